import fc from 'fast-check';
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
  ['[-1.5e+300,0,1E2,{"a":-0}]'],
  ['{"\\ud83d\\ude00":"\\u00e9\\ud83d\\ude00 \\\\ud800"}'],
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
  ['a number beyond a double', '{"a":[1,1e999]}'],
  ['a negative number beyond a double', '-1e999'],
  ['half of a character', '["\\ud800"]'],
  ['half of a character in a key', '{"\\udc00":1}'],
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

it('reads whatever JSON.stringify writes of whole characters, as JSON.parse does', () => {
  const value = fc.jsonValue({ depthSize: 'medium', stringUnit: 'binary' });
  fc.assert(
    fc.property(value, fc.nat(4), (written, indent) => {
      const text = JSON.stringify(written, null, indent);
      expect(parseStrictJson(Buffer.from(text), { ...bounds, bytesMax: 10_000_000 })).toEqual(JSON.parse(text));
    }),
  );
});

it('refuses a key that is said twice wherever the two stand, and however they are escaped', () => {
  const key = fc.string({ unit: 'grapheme', minLength: 1 });
  const escaped = (text: string): string =>
    `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;
  fc.assert(
    fc.property(key, fc.array(fc.jsonValue(), { maxLength: 3 }), fc.nat(20), (name, values, depth) => {
      const between = values.map((value, at) => `"${name.length}-${at}":${JSON.stringify(value)},`).join('');
      const object = `{${JSON.stringify(name)}:1,${between}${escaped(name)}:2}`;
      const text = `${'[{"a":'.repeat(depth)}${object}${'}]'.repeat(depth)}`;
      expect(() => parseStrictJson(Buffer.from(text), bounds)).toThrow(
        expect.objectContaining({ code: 'PROVENANCE_JSON' }),
      );
    }),
  );
});

it('shows what is hostile escaped', () => {
  expect(() => parse('{"\\u202e":1,"\\u202e":2}')).toThrow(/says the key '\\u\{202e\}' twice/);
  expect(() => parse('\u001b[31m')).toThrow(/is not JSON: [^\p{Cc}]+$/u);
});
