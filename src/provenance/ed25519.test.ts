import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../test/needs.ts';
import {
  isSignatureOf,
  isSignatureOfAsync,
  makeKeyPair,
  parsePublicPem,
  parseSpki,
  publicKeyOfRaw,
  signerOf,
} from './ed25519.ts';

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
    }[];
  }[];
}

interface Cctv {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
  readonly flags: readonly string[] | null;
}

function load(path: string): unknown {
  return JSON.parse(readFileSync(resolve(VECTORS_FOLDER, path), 'utf8'));
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe.skipIf(needs('vectors'))('public vectors', () => {
  it('gives the verdict of every Wycheproof case', async () => {
    const { testGroups } = load('wycheproof/testvectors_v1/ed25519_test.json') as Wycheproof;
    let seen = 0;
    for (const { publicKey, tests } of testGroups) {
      const key = publicKeyOfRaw(hex(publicKey.pk));
      for (const { tcId, msg, sig, result } of tests) {
        const verdicts = [isSignatureOf(key, hex(msg), hex(sig)), await isSignatureOfAsync(key, hex(msg), hex(sig))];
        expect(verdicts, `case ${tcId}`).toEqual(Array(2).fill(result === 'valid'));
        seen += 1;
      }
    }
    expect(seen).toBeGreaterThanOrEqual(151);
  });

  it('refuses every CCTV edge case but keys and signatures of full order in canonical form', async () => {
    // A component of small order in a key of full order does no harm without a cofactor; everything else here does.
    const harmless = new Set(['low_order_component_A', 'low_order_component_R']);
    const cases = load('cctv/ed25519/ed25519vectors.json') as readonly Cctv[];
    const accepted = cases.filter(({ key, msg, sig }) =>
      isSignatureOf(publicKeyOfRaw(hex(key)), Buffer.from(msg), hex(sig)),
    );
    for (const one of cases) {
      const verdict = await isSignatureOfAsync(publicKeyOfRaw(hex(one.key)), Buffer.from(one.msg), hex(one.sig));
      expect(verdict, `case ${one.number}`).toBe(accepted.includes(one));
    }
    const expected = cases.filter(({ flags }) => (flags ?? []).every((flag) => harmless.has(flag)));
    expect(accepted.map(({ number }) => number)).toEqual(expected.map(({ number }) => number));
    expect([cases.length >= 914, accepted.length > 0]).toEqual([true, true]);
  });
});

it('signs what only its own public key verifies, over exactly these bytes', () => {
  const [mine, other] = [makeKeyPair(), makeKeyPair()];
  const message = Buffer.from('message');
  const signature = signerOf(mine.privatePem).sign(message);
  expect(isSignatureOf(mine.publicKey, message, signature)).toBe(true);
  expect(isSignatureOf(other.publicKey, message, signature)).toBe(false);
  expect(isSignatureOf(mine.publicKey, Buffer.from('massage'), signature)).toBe(false);
  expect(isSignatureOf(mine.publicKey, message, signature.subarray(1))).toBe(false);
});

it('names a key by the SHA-256 of its public part, the same from PEM and DER', () => {
  const { publicKey, privatePem } = makeKeyPair();
  const pem = publicKey.object.export({ type: 'spki', format: 'pem' }).toString();
  expect([parsePublicPem(pem).id, parseSpki(publicKey.spki).id, signerOf(privatePem).keyId]).toEqual(
    Array.from({ length: 3 }, () => publicKey.id),
  );
  expect(publicKey.id).toMatch(/^[0-9a-f]{64}$/);
});

it('refuses a key of another kind, a private key in the place of a public one, and rubbish', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { privatePem, publicKey } = makeKeyPair();
  const bad = expect.objectContaining({ code: 'PROVENANCE_KEY_FORM', exit: 2 });
  expect(() => parsePublicPem(rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString())).toThrow(bad);
  expect(() => signerOf(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toThrow(bad);
  expect(() => parsePublicPem(privatePem)).toThrow(bad);
  expect(() => parsePublicPem('-----BEGIN PUBLIC KEY-----\nrubbish\n-----END PUBLIC KEY-----')).toThrow(bad);
  expect(() => parsePublicPem('x'.repeat(10_000))).toThrow(bad);
  expect(() => parseSpki(publicKey.spki.subarray(0, 43))).toThrow(bad);
  expect(() => signerOf('rubbish')).toThrow(bad);
});
