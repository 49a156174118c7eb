import { expect, it } from 'vitest';

import {
  encodeEnvelope,
  ENVELOPE_BYTES_MAX,
  parseEnvelope,
  preAuthEncoding,
  signEnvelope,
  verifyEnvelope,
  verifyEnvelopeAsync,
} from './dsse.ts';
import { makeKeyPair, parsePublicPem, parseSpki, publicKeyOfRaw, signerOf } from './ed25519.ts';

const TYPE = 'application/vnd.test+json';
const pairs = [makeKeyPair(), makeKeyPair(), makeKeyPair()] as const;
const keys = pairs.map(({ publicKey }) => publicKey);
const signers = pairs.map(({ privatePem }) => signerOf(privatePem));
// Bytes whose base64 has both characters that the alphabets differ in, and padding.
const payload = Buffer.from([0xfb, 0xff, 0xfe, 0x3e]);

const wireOf = (fields: object): Buffer => Buffer.from(JSON.stringify(fields));
const signature = { keyid: 'k', sig: 'AAAA' };

it('encodes type and payload as the specification shows', () => {
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  expect(preAuthEncoding('é', Buffer.from('')).toString()).toBe('DSSEv1 2 é 0 ');
});

it('verifies what it signed, and hands out exactly the verified bytes', () => {
  const envelope = parseEnvelope(encodeEnvelope(signEnvelope(TYPE, payload, signers.slice(0, 1))));
  const verified = verifyEnvelope(envelope, { payloadType: TYPE, keys, threshold: 1 });
  expect(verified).toEqual({ payload, keyIds: [keys[0]?.id] });
});

it('reads standard and URL-safe base64, and writes standard', () => {
  const encoded = encodeEnvelope(signEnvelope(TYPE, payload, signers.slice(0, 1))).toString();
  expect(encoded).toContain('"+//+Pg=="');
  const urlSafe = encoded.replaceAll('+//+Pg==', '-__-Pg==');
  const unpadded = encoded.replaceAll('+//+Pg==', '-__-Pg');
  for (const text of [urlSafe, unpadded]) expect(parseEnvelope(Buffer.from(text)).payload).toEqual(payload);
});

it.each([
  ['mixed alphabets', '+__+Pg=='],
  ['standard without padding', '+//+Pg'],
  ['URL-safe with half its padding', '-__-Pg='],
  ['bits after the end', '+//+Ph=='],
  ['white space', '+//+\nPg=='],
  ['a length that none has', 'AAAAA'],
])('refuses a payload in base64 with %s', (_, text) => {
  const bytes = wireOf({ payloadType: TYPE, payload: text, signatures: [signature] });
  expect(() => parseEnvelope(bytes)).toThrow(expect.objectContaining({ code: 'PROVENANCE_ENVELOPE', exit: 4 }));
});

it.each([
  ['no signatures', { payloadType: TYPE, payload: '', signatures: [] }],
  ['too many signatures', { payloadType: TYPE, payload: '', signatures: Array.from({ length: 17 }, () => signature) }],
  ['no payload type', { payload: '', signatures: [signature] }],
  ['a key id that is no text', { payloadType: TYPE, payload: '', signatures: [{ keyid: 7, sig: '' }] }],
  ['an array', []],
])('refuses an envelope with %s', (_, fields) => {
  expect(() => parseEnvelope(wireOf(fields))).toThrow(expect.objectContaining({ code: 'PROVENANCE_ENVELOPE' }));
});

it('ignores fields that it does not know, as the specification demands', () => {
  const bytes = wireOf({ payloadType: TYPE, payload: '', signatures: [{ ...signature, cert: 'x' }], extra: 1 });
  expect(parseEnvelope(bytes).signatures).toHaveLength(1);
});

it('takes an absent, null or empty key id for none', () => {
  const signatures = [{ sig: 'AAAA' }, { keyid: null, sig: 'AAAA' }, { keyid: '', sig: 'AAAA' }];
  const { signatures: parsed } = parseEnvelope(wireOf({ payloadType: TYPE, payload: '', signatures }));
  expect(parsed.map(({ keyId }) => keyId)).toEqual([null, null, null]);
});

it('refuses an envelope beyond the limit before it parses it', () => {
  const bytes = Buffer.alloc(ENVELOPE_BYTES_MAX + 1, '[');
  expect(() => parseEnvelope(bytes)).toThrow(expect.objectContaining({ code: 'PROVENANCE_JSON' }));
});

it('counts distinct keys towards the threshold', () => {
  const twice = signEnvelope(TYPE, payload, [...signers.slice(0, 1), ...signers.slice(0, 1)]);
  const both = signEnvelope(TYPE, payload, signers.slice(0, 2));
  const policy = { payloadType: TYPE, keys, threshold: 2 };
  expect(() => verifyEnvelope(twice, policy)).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_SIGNATURE', exit: 4 }),
  );
  expect(verifyEnvelope(both, policy).keyIds).toHaveLength(2);
  expect(() => verifyEnvelope(both, { ...policy, threshold: 3 })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' }),
  );
});

it.each([0, -1, Number.NaN])('refuses a threshold of %d, which nothing would have to meet', (threshold) => {
  const envelope = signEnvelope(TYPE, payload, signers);
  expect(() => verifyEnvelope(envelope, { payloadType: TYPE, keys, threshold })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' }),
  );
});

it('finds the signer also without a key id, or with one that nobody knows', () => {
  const envelope = signEnvelope(TYPE, payload, signers.slice(1, 2));
  const relabelled = (keyId: string | null) => ({
    ...envelope,
    signatures: envelope.signatures.map((one) => ({ ...one, keyId })),
  });
  const policy = { payloadType: TYPE, keys, threshold: 1 };
  for (const keyId of [null, 'somebody'])
    expect(verifyEnvelope(relabelled(keyId), policy).keyIds).toEqual([keys[1]?.id]);
});

it('tries a bounded number of keys on a signature that names none', () => {
  const envelope = signEnvelope(TYPE, payload, signers.slice(0, 1));
  const nameless = { ...envelope, signatures: envelope.signatures.map((one) => ({ ...one, keyId: null })) };
  const others = Array.from({ length: 64 }, () => makeKeyPair().publicKey);
  const find = (ring: typeof keys) => () => verifyEnvelope(nameless, { payloadType: TYPE, keys: ring, threshold: 1 });
  expect(find([...keys.slice(0, 1), ...others.slice(1)])().keyIds).toHaveLength(1);
  expect(find([...keys.slice(0, 1), ...others])).toThrow(expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' }));
});

it('tries a bounded number of keys on all signatures that name none', () => {
  const envelope = signEnvelope(TYPE, payload, signers.slice(0, 1));
  const nameless = envelope.signatures.map((one) => ({ ...one, keyId: null }));
  const ring = [...Array.from({ length: 63 }, () => makeKeyPair().publicKey), ...keys.slice(0, 1)];
  const after = (count: number) => () => {
    const junk = Array.from({ length: count }, () => ({ keyId: null, signature: Buffer.alloc(64) }));
    return verifyEnvelope(
      { ...envelope, signatures: [...junk, ...nameless] },
      { payloadType: TYPE, keys: ring, threshold: 1 },
    );
  };
  expect(after(1)().keyIds).toEqual([keys[0]?.id]);
  expect(after(2)).toThrow(expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' }));
});

it('counts one key in several encodings once', () => {
  const pem = keys[0]?.object.export({ type: 'spki', format: 'pem' }).toString() ?? '';
  const raw = keys[0]?.spki.subarray(-32) ?? Buffer.alloc(32);
  const crowd = [pem, pem.replaceAll('\n', '\r\n'), `a note\n${pem}`].map(parsePublicPem);
  const same = [...crowd, publicKeyOfRaw(raw), parseSpki(Buffer.from(keys[0]?.spki ?? []))];
  expect(new Set(same.map(({ id }) => id)).size).toBe(1);
  const twice = signEnvelope(TYPE, payload, [...signers.slice(0, 1), ...signers.slice(0, 1)]);
  expect(verifyEnvelope(twice, { payloadType: TYPE, keys: same, threshold: 1 }).keyIds).toHaveLength(1);
  expect(() => verifyEnvelope(twice, { payloadType: TYPE, keys: same, threshold: 2 })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' }),
  );
});

it('keeps what steers a terminal out of its messages', () => {
  const envelope = signEnvelope('\u001b[2J\u202e', payload, signers);
  expect(() => verifyEnvelope(envelope, { payloadType: TYPE, keys, threshold: 1 })).toThrow("'\\u{1b}[2J\\u{202e}'");
});

it('refuses a changed payload, a changed type, and a key that is not expected', () => {
  const envelope = signEnvelope(TYPE, payload, signers.slice(0, 1));
  const policy = { payloadType: TYPE, keys, threshold: 1 };
  const refused = expect.objectContaining({ code: 'PROVENANCE_SIGNATURE' });
  expect(() => verifyEnvelope({ ...envelope, payload: Buffer.from('other') }, policy)).toThrow(refused);
  expect(() => verifyEnvelope({ ...envelope, payloadType: 'text/plain' }, policy)).toThrow(refused);
  expect(() =>
    verifyEnvelope({ ...envelope, payloadType: 'text/plain' }, { ...policy, payloadType: 'text/plain' }),
  ).toThrow(refused);
  expect(() => verifyEnvelope(envelope, { ...policy, keys: keys.slice(1) })).toThrow(refused);
});

it('says the same on other threads: whatever signed it, and whatever is wrong', async () => {
  const signed = signEnvelope(TYPE, payload, signers.slice(0, 2));
  const [first, second] = signed.signatures;
  if (first === undefined || second === undefined) throw new Error('two keys signed');
  const changed = (at: number): Buffer => {
    const bytes = Buffer.from(first.signature);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const envelopes = [
    signed,
    { ...signed, payload: Buffer.from('other') },
    { ...signed, payloadType: 'text/plain' },
    { ...signed, signatures: [first, first] },
    {
      ...signed,
      signatures: [
        { ...first, keyId: null },
        { ...second, keyId: 'unknown' },
      ],
    },
    { ...signed, signatures: [{ ...first, keyId: second.keyId }, second] },
    ...[0, 31, 32, 63].map((at) => ({ ...signed, signatures: [{ ...first, signature: changed(at) }, second] })),
    { ...signed, signatures: [{ ...first, signature: first.signature.subarray(1) }, second] },
  ];
  const outcomes = { verified: 0, refused: 0 };
  for (const envelope of envelopes) {
    for (const threshold of [0, 1, 2, 3, Number.NaN]) {
      const policy = { payloadType: TYPE, keys, threshold };
      const [here] = await Promise.allSettled([(async () => verifyEnvelope(envelope, policy))()]);
      const [there] = await Promise.allSettled([verifyEnvelopeAsync(envelope, policy)]);
      expect(there).toEqual(here);
      outcomes[here.status === 'fulfilled' ? 'verified' : 'refused'] += 1;
    }
  }
  expect(outcomes.verified).toBeGreaterThan(10);
  expect(outcomes.refused).toBeGreaterThan(10);
});
