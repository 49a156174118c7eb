import { expect, it } from 'vitest';
import { z } from 'zod';

import { excerptOf, faultsOf, shown } from './excerpt.ts';

it('keeps a plain text, shortens a long one, and escapes what steers a terminal or the reader', () => {
  expect(excerptOf('shop/web “é” 日本', 40)).toBe('shop/web “é” 日本');
  expect(excerptOf('abcdef', 3)).toBe('abc…');
  expect(excerptOf('a\u001b[31m\n\u202e\u2028\ud800z', 40)).toBe('a\\u{1b}[31m\\u{a}\\u{202e}\\u{2028}\\u{d800}z');
});

it('names where a document is wrong on one bounded line', () => {
  const schema = z.record(z.string().max(3), z.string());
  const { error } = schema.safeParse({ ['x\n'.repeat(1000)]: 'a' });
  const text = error === undefined ? '' : faultsOf(error);
  expect(text).toMatch(/^x\\u\{a\}x.*…: Invalid key in record$/);
  const many = z.array(z.string()).safeParse(Array.from({ length: 9 }, () => 1));
  expect(many.error === undefined ? '' : faultsOf(many.error).split('; ')).toHaveLength(3);
  expect(z.string().safeParse(1).error?.issues.length).toBe(1);
  const top = z.string().safeParse(1);
  expect(top.error === undefined ? '' : faultsOf(top.error)).toMatch(/^Invalid input/);
});

it.each([
  ['left-pad', "'left-pad'"],
  ['grüße 你好 👍', "'grüße 你好 👍'"],
  ['a\u001b[31mb', String.raw`'a\u{1b}[31mb'`],
  ['a\u202eb\u200b', String.raw`'a\u{202e}b\u{200b}'`],
  ['\ud800', String.raw`'\u{d800}'`],
  ['\u2028', String.raw`'\u{2028}'`],
])('shows %j as it is', (text, expected) => {
  expect(shown(text)).toBe(expected);
});

it('cuts what is long, also within a character', () => {
  expect(shown('a'.repeat(81))).toBe(`'${'a'.repeat(80)}…'`);
  expect(shown(`${'a'.repeat(79)}👍`)).toBe(String.raw`'${'a'.repeat(79)}\u{d83d}…'`);
});
