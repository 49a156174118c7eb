import { expect, it } from 'vitest';

import { escaped, shown } from './shown-text.ts';

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
  expect(escaped('\n')).toBe(String.raw`\u{a}`);
});
