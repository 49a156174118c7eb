import { expect, it } from 'vitest';

import { encodeAttestationLines, parseAttestationLines } from './attestation-lines.ts';
import { encodeEnvelope, signEnvelope } from './dsse.ts';
import { makeKeyPair, signerOf } from './ed25519.ts';

const signer = signerOf(makeKeyPair().privatePem);
const envelopes = ['one', 'two', 'three'].map((text) => signEnvelope('text/plain', Buffer.from(text), [signer]));
const file = encodeAttestationLines(envelopes);
const refused = (details: object = {}) =>
  expect.objectContaining({ code: 'PROVENANCE_LINES', exit: 4, ...details }) as unknown;

it('writes one envelope a line, and reads each with its number and its bytes', () => {
  expect(file.toString().split('\n')).toEqual([...envelopes.map((each) => encodeEnvelope(each).toString()), '']);
  expect(parseAttestationLines(file)).toEqual(
    envelopes.map((envelope, at) => ({ line: at + 1, bytes: encodeEnvelope(envelope), envelope })),
  );
});

it('reads a file without an end of its last line, with the ends of Windows, and an empty one', () => {
  expect(parseAttestationLines(file.subarray(0, -1))).toHaveLength(3);
  expect(parseAttestationLines(Buffer.from(file.toString().replaceAll('\n', '\r\n')))).toHaveLength(3);
  expect(parseAttestationLines(Buffer.alloc(0))).toEqual([]);
});

it('refuses a file for its bad lines, and says every one of them with its number', () => {
  const lines = file.toString().split('\n');
  const text = [lines[0], 'rubbish', lines[1], '', '{}', lines[2]].join('\n');
  const faults = [
    { line: 2, code: 'PROVENANCE_JSON' },
    { line: 4, code: 'PROVENANCE_JSON' },
    { line: 5, code: 'PROVENANCE_ENVELOPE' },
  ].map((fault) => expect.objectContaining(fault) as unknown);
  expect(() => parseAttestationLines(Buffer.from(text))).toThrow(
    refused({ details: { faults }, message: expect.stringContaining('line 2, 4, 5: ') as unknown }),
  );
});

it('names a few bad lines of many', () => {
  const text = Array.from({ length: 9 }, () => 'x').join('\n');
  expect(() => parseAttestationLines(Buffer.from(text))).toThrow(/line 1, 2, 3, 4, 5 and 4 more: /);
});

it('refuses too many lines, and too large a file', () => {
  const line = encodeEnvelope(envelopes[0] ?? signEnvelope('', Buffer.alloc(0), [])).toString();
  const of = (count: number) => Buffer.from(`${line}\n`.repeat(count));
  expect(parseAttestationLines(of(1024))).toHaveLength(1024);
  expect(() => parseAttestationLines(of(1025))).toThrow(refused());
  expect(() => parseAttestationLines(Buffer.alloc(64 * 1024 * 1024 + 1, 0x20))).toThrow(refused());
});
