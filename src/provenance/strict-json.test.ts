import { expect, it } from 'vitest';

import { parseStrictJson } from './strict-json.ts';

const bounds = { what: 'the text', bytesMax: 10_000 };
const parse = (text: string): unknown => parseStrictJson(Buffer.from(text), bounds);

it.each([
  ['{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}'],
  ['{"a,\\"a\\"":"}{","b":"\\\\"}'],
  ['[1,2,[],{},"a,b","{"]'],
  ['"a"'],
  [' { "a" : [ { } , "x" ] , "b" : null } '],
])('reads %s as JSON.parse does', (text) => {
  expect(parse(text)).toEqual(JSON.parse(text));
});

it.each([
  ['the same key twice', '{"a":1,"a":2}'],
  ['the same key twice, once escaped', '{"a":1,"\\u0061":2}'],
  ['the same key twice, further in', '[{"x":{"k":[1,"k"],"y":0,"k":2}}]'],
  ['a missing end', '{"a":1'],
  ['a byte order mark', '\ufeff{}'],
  ['something after the end', '{} {}'],
  ['nothing', ''],
  ['too deep nesting', '['.repeat(65) + ']'.repeat(65)],
])('refuses %s', (_, text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'PROVENANCE_JSON', exit: 4 }));
});

it('takes nesting up to the limit, and a size up to the limit', () => {
  expect(parse('['.repeat(64) + ']'.repeat(64))).toBeDefined();
  expect(parse(`"${'x'.repeat(9998)}"`)).toHaveLength(9998);
  expect(() => parse(`"${'x'.repeat(9999)}"`)).toThrow(expect.objectContaining({ code: 'PROVENANCE_JSON' }));
});

it('refuses bytes that are no UTF-8', () => {
  expect(() => parseStrictJson(Buffer.from([0x22, 0xff, 0x22]), bounds)).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_JSON' }),
  );
});

it('shows what is hostile escaped', () => {
  expect(() => parse('{"\\u202e":1,"\\u202e":2}')).toThrow(/says the key '\\u\{202e\}' twice/);
  expect(() => parse('\u001b[31m')).toThrow(/is not JSON: [^\p{Cc}]+$/u);
});
