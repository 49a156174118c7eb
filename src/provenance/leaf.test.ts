import { expect, it } from 'vitest';

import { type Digest, digestOf } from '../artifact/index.ts';
import { canonicalJson } from '../base/index.ts';
import { ENTRY_BYTES_MAX } from '../ledger/index.ts';
import { type LeafInput, leafKinds, makeLeaf, parseLeaf } from './leaf.ts';

const input: LeafInput = {
  kind: 'decision',
  document: Buffer.from('{"a":1}'),
  type: 'application/json',
  subjects: [digestOf('artifact')],
  keys: ['ab'.repeat(32)],
  parents: [0, 7],
  issuer: 'home:3f9a01',
};
const refused = expect.objectContaining({ code: 'PROVENANCE_LEAF', exit: 4 });

it('writes one canonical line that parses back to the same', () => {
  const line = makeLeaf(input);
  expect(line.toString()).toBe(
    `{"document":{"bytes":7,"digest":"${digestOf('{"a":1}')}","type":"application/json"},"issuer":"home:3f9a01",` +
      `"keys":["${'ab'.repeat(32)}"],"kind":"decision","parents":[0,7],"subjects":["${digestOf('artifact')}"]}`,
  );
  expect(canonicalJson(parseLeaf(line))).toBe(line.toString());
});

it.each(leafKinds)('takes the kind %s', (kind) => {
  expect(parseLeaf(makeLeaf({ ...input, kind })).kind).toBe(kind);
});

it('fits into an entry at the limits of its lists', () => {
  const line = makeLeaf({
    ...input,
    subjects: Array.from({ length: 32 }, () => digestOf('x')),
    keys: Array.from({ length: 16 }, () => 'cd'.repeat(32)),
    parents: Array.from({ length: 64 }, () => 999_999_999),
  });
  expect(line.length).toBeLessThanOrEqual(ENTRY_BYTES_MAX);
});

it.each([
  ['an unknown kind', { kind: 'gossip' as never }],
  ['a subject that is no digest', { subjects: ['md5:abc' as Digest] }],
  ['too many subjects', { subjects: Array.from({ length: 33 }, () => digestOf('x')) }],
  ['a key id that is none', { keys: ['alice'] }],
  ['a parent before the first', { parents: [-1] }],
  ['no issuer', { issuer: '' }],
])('refuses to make a leaf with %s', (_, fields) => {
  expect(() => makeLeaf({ ...input, ...fields })).toThrow(refused);
});

it('refuses another form of the same leaf, a field more, and rubbish', () => {
  const line = makeLeaf(input).toString();
  expect(() => parseLeaf(Buffer.from(line.replace('{"document"', '{ "document"')))).toThrow(refused);
  expect(() => parseLeaf(Buffer.from(line.replace('{"document"', '{"also":1,"document"')))).toThrow(refused);
  expect(() => parseLeaf(Buffer.from('rubbish'))).toThrow(refused);
});
