import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import { IDENTITY, SigstoreInstance } from '../../../test/sigstore-fixture.ts';
import { digestOf } from '../../artifact/index.ts';
import { ProvenanceError } from '../errors.ts';
import { parseSigstoreBundle } from './bundle.ts';
import { verifySigstoreBundle } from './verify-bundle.ts';

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKeyDer: string;
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
    }[];
  }[];
}

/** Hex digits of 3 KiB, which are 4 KiB of base64. */
const SIGNATURE_DIGITS_MAX = 6144;

const instance = new SigstoreInstance();
const trustedRoot = Buffer.from(JSON.stringify(instance.root()));
const policy = { identities: [{ issuer: IDENTITY.issuer, subjectPattern: IDENTITY.subject }] };
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** What becomes of a bundle in which everything but the signature is good: the code of its refusal, or null. */
function verdictOf(spki: Buffer, artifact: Buffer, signature: Buffer): string | null {
  const bundle = instance.sign(artifact, { given: { spki, signature } });
  try {
    const parsed = parseSigstoreBundle(Buffer.from(JSON.stringify(bundle)));
    expect(verifySigstoreBundle(parsed, { trustedRoot, policy, artifact }).artifact).toBe(digestOf(artifact));
    return null;
  } catch (error) {
    // Only refusals of the room are verdicts.
    if (!(error instanceof ProvenanceError)) throw error;
    return error.code;
  }
}

describe.skipIf(needs('vectors'))('signatures by ECDSA on P-256', () => {
  it('get the verdict of every Wycheproof case', () => {
    const path = resolve(VECTORS_FOLDER, 'wycheproof/testvectors_v1/ecdsa_secp256r1_sha256_test.json');
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as Wycheproof;
    let seen = 0;
    for (const { publicKeyDer, tests } of testGroups) {
      for (const { tcId, msg, sig, result } of tests) {
        // No signature at all, and one without end, are faults of the bundle's form.
        const isFormed = sig !== '' && sig.length <= SIGNATURE_DIGITS_MAX;
        const refusal = isFormed ? 'PROVENANCE_SIGSTORE_SIGNATURE' : 'PROVENANCE_SIGSTORE_BUNDLE';
        const expected = result === 'valid' ? null : refusal;
        expect(verdictOf(hex(publicKeyDer), hex(msg), hex(sig)), `case ${tcId}`).toBe(expected);
        seen += 1;
      }
    }
    expect(seen).toBeGreaterThanOrEqual(480);
  });
});
