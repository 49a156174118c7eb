import { describe, expect, it } from 'vitest';

import { parseToml, type TomlValue } from './toml-subset.ts';

function plain(value: TomlValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Map ? Object.fromEntries([...value].map(([key, member]) => [key, plain(member)])) : value;
}

const parse = (text: string): unknown => plain(parseToml(text, 'the text'));
const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES' });

it.each([
  ['nothing', '', {}],
  ['comments and empty lines', '# a\n\n  # b\n', {}],
  ['values', 'a = 1\nb = -20\nc = true\nd = false # e\ne = +0\r\n', { a: 1, b: -20, c: true, d: false, e: 0 }],
  [
    'strings',
    String.raw`a = "x \"y\" \\ é"` + '\nb = \'c:\\d\'\nc = "a\tb"\nd = ""\n',
    { a: 'x "y" \\ é', b: 'c:\\d', c: 'a\tb', d: '' },
  ],
  ['keys in quotes and with dots', `"a b".'c'.d = 1\na . b = 2\n`, { 'a b': { c: { d: 1 } }, a: { b: 2 } }],
  ['arrays', 'a = []\nb = [ 1, [2], "3", ]\nc = [\n  1, # one\n\n  2\n]', { a: [], b: [1, [2], '3'], c: [1, 2] }],
  ['inline tables', 'a = {}\nb = { c = 1, d.e = "x" }', { a: {}, b: { c: 1, d: { e: 'x' } } }],
  ['tables', '[a]\nb = 1\n[a.c]\nd = 2\n[ e . f ]\n[e]\n', { a: { b: 1, c: { d: 2 } }, e: { f: {} } }],
  [
    'arrays of tables',
    '[[p]]\na = 1\n[p.q]\nb = 1\n[[p]]\n[p.q]\nb = 2\n[[p.r]]\n[[p.r]]\nc = 1',
    {
      p: [
        { a: 1, q: { b: 1 } },
        { q: { b: 2 }, r: [{}, { c: 1 }] },
      ],
    },
  ],
])('reads %s', (_, text, value) => {
  expect(parse(text)).toEqual(value);
});

it.each([
  ['a key twice', 'a = 1\na = 2'],
  ['a key twice in an inline table', 'a = { b = 1, b = 2 }'],
  ['a table twice', '[a]\n[b]\n[a]'],
  ['a table twice within an array of tables', '[[p]]\n[p.q]\n[p.q]'],
  ['a table of a value', 'a = 1\n[a.b]'],
  ['a heading of a value', 'a = 1\n[a]'],
  ['an array of tables of a table', '[a]\n[[a]]'],
  ['a date', 'a = 2026-01-01'],
  ['a float', 'a = 1.5'],
  ['a number of another base', 'a = 0xff'],
  ['a number with a leading zero', 'a = 01'],
  ['a number beyond what is exact', 'a = 1234567890123456'],
  ['a string of many lines', 'a = """x"""'],
  ['a literal string of many lines', "a = '''x'''"],
  ['a string without an end', 'a = "x'],
  ['a string over the end of its line', 'a = "x\n"'],
  ['an escape that TOML does not have', String.raw`a = "\/"`],
  ['an escape that is cut', String.raw`a = "\u00"`],
  ['a control character in a string', 'a = "\u0001"'],
  ['a string that is too long', `a = "${'x'.repeat(70_000)}"`],
  ['two values in a line', 'a = 1 b = 2'],
  ['a key without a value', 'a ='],
  ['a key without a sign', 'a'],
  ['no key', '= 1'],
  ['an array without an end', 'a = [1, '],
  ['an array without a comma', 'a = [1 2]'],
  ['a table without an end', 'a = { b = 1'],
  ['a heading without an end', '[a'],
  ['a heading with one bracket', '[[a]\n'],
  ['deep arrays', `a = ${'['.repeat(100)}`],
  ['deep tables', `a = ${'{ a = '.repeat(100)}`],
  ['deep keys', `${'a.'.repeat(100)}a = 1`],
])('refuses %s', (_, text) => {
  expect(() => parse(text)).toThrow(refused);
});

describe('keys of every object', () => {
  it('are keys as any other', () => {
    const table = parseToml('__proto__ = 1\n[constructor]\nprototype = 2\n', 'the text');
    expect(table.get('__proto__')).toBe(1);
    expect(table.get('constructor')).toEqual(new Map([['prototype', 2]]));
    expect(table.get('toString')).toBeUndefined();
  });
});

it('reads megabytes of blanks, comments and tables in no time', () => {
  const startMs = performance.now();
  parseToml('\n'.repeat(3_000_000) + '# x\n'.repeat(500_000) + '[[p]]\na = "b"\n'.repeat(50_000), 'the text');
  expect(performance.now() - startMs).toBeLessThan(5000);
});
