import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';

import { openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { digestOf } from '../artifact/index.ts';
import { attest, type KeyringState, RELEASE_TYPE, type StoredAttestation, verifyArtifact } from './index.ts';
import { applyRevocation } from './key-events.ts';
import { judgeAttestation } from './judge-signature.ts';
import { ORIGIN_PREDICATE_TYPES } from './lifecycle.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const artifact = { name: 'shop/web', digest: digestOf('the image') };
const caps = {
  unsigned: { max: 0.49 },
  provenanceOnly: { max: 0.8, liftedByCleanMs: null },
  revoked: { max: 0 },
  failedVerification: { max: 0 },
};
const dir = mkdtempSync(join(tmpdir(), 'provost-judge-'));
const ring = openLoggedKeyring(dir, 'home:3f9a01');
const trusting = { publicPem: null, role: 'publisher', scope: '*', predicateTypes: [], expiresMs: null } as const;
for (const name of ['alice', 'bob', 'carol']) ring.generateKey({ name, nowMs: NOW_MS });
for (const key of ['alice', 'bob']) ring.trustKey({ key, ...trusting, nowMs: NOW_MS });

afterAll(() => rmSync(dir, { recursive: true }));

function sign(key: string): Omit<StoredAttestation, 'logIndex'> {
  const signer = ring.openSigner(key);
  // The time that a thief would claim.
  const predicate = { signedOn: '2020-01-01T00:00:00Z' };
  return attest({ subjects: [artifact], predicateType: RELEASE_TYPE, predicate, signer, issuer: 'home:3f9a01' });
}

const made = new Map(['alice', 'bob', 'carol'].map((key) => [key, sign(key)]));
const before = ring.state();

function attestation(key: string, logIndex: number | null): StoredAttestation {
  const one = made.get(key);
  if (one === undefined) throw new Error(`there is no ${key}`);
  return { digest: one.digest, bytes: one.bytes, logIndex };
}

function judge(key: string, logIndex: number | null, keyring: KeyringState = ring.state()) {
  const input = { artifact, keyring, typesByRole: ORIGIN_PREDICATE_TYPES, nowMs: NOW_MS };
  const [verdict] = judgeAttestation(attestation(key, logIndex), input);
  return [verdict?.status, verdict?.reason];
}

function revoke(keyring: KeyringState, key: string, lastValidIndex: number | null): KeyringState {
  const id = ring.findKey(key).id;
  return applyRevocation(keyring, id, { reason: 'stolen', atMs: NOW_MS, logIndex: 100, lastValidIndex });
}

it('tells what a stolen key signed by its place in the log', () => {
  const keyring = revoke(before, 'alice', 7);
  expect(judge('alice', 7, keyring)).toEqual(['trusted', "signed by 'alice', a trusted publisher"]);
  const why = `key 'alice' was revoked at 2026-01-02T00:00:00.000Z: stolen`;
  expect(judge('alice', 8, keyring)).toEqual(['revoked', `${why}; it counts up to log index 7, and this is at 8`]);
  expect(judge('alice', null, keyring)).toEqual([
    'revoked',
    `${why}; it counts up to log index 7, and this is not in the log`,
  ]);
  expect(judge('bob', 8, keyring)[0]).toBe('trusted');
  for (const at of [0, 7, null]) expect(judge('alice', at, revoke(before, 'alice', null))).toEqual(['revoked', why]);
});

it('takes of a rotated key what the log had before it was', () => {
  const id = ring.findKey('alice').id;
  const rotated = { atMs: NOW_MS, logIndex: 7 };
  const keyring = { ...before, keys: before.keys.map((key) => (key.id === id ? { ...key, rotated } : key)) };
  expect(judge('alice', 6, keyring)[0]).toBe('trusted');
  expect(judge('alice', 8, keyring)).toEqual(['untrusted', "key 'alice' was rotated at log index 7, and this is at 8"]);
  expect(judge('alice', null, keyring)[0]).toBe('untrusted');
});

it('begins trust at a place in the log', () => {
  const trust = before.trust.map((record) => ({ ...record, sinceIndex: 5 }));
  const keyring = { ...before, trust };
  expect(judge('alice', 5, keyring)[0]).toBe('trusted');
  expect(judge('alice', 4, keyring)).toEqual([
    'untrusted',
    "the trust in key 'alice' begins at log index 5, and this is at 4",
  ]);
  expect(judge('alice', null, keyring)[0]).toBe('untrusted');
  // Trust in the same words from the beginning is as good.
  expect(judge('alice', 4, { ...keyring, trust: [...trust, ...before.trust] })[0]).toBe('trusted');
});

const place = fc.option(fc.nat(20));
const signed = fc.array(fc.tuple(fc.constantFrom('alice', 'bob', 'carol'), place), { maxLength: 5 });

/** The highest score that an artifact's attestations leave room for, and its evidence. */
function worth(of: readonly (readonly [string, number | null])[], keyring: KeyringState): readonly [number, number] {
  const attestations = of.map(([key, at]) => attestation(key, at));
  const { findings } = verifyArtifact({ artifact, attestations, keyring, caps, nowMs: NOW_MS });
  return [Math.min(...findings.caps.map(({ max }) => max)), findings.evidence[0]?.score ?? 0];
}

it('law: a revocation never raises what an artifact is worth', () => {
  fc.assert(
    fc.property(signed, fc.constantFrom('alice', 'bob', 'carol'), place, place, (of, key, first, second) => {
      const once = revoke(before, key, first);
      const twice = revoke(once, key, second);
      const [all, less, least] = [before, once, twice].map((keyring) => worth(of, keyring));
      for (const part of [0, 1]) {
        expect(less?.[part]).toBeLessThanOrEqual(all?.[part] ?? 0);
        expect(least?.[part]).toBeLessThanOrEqual(less?.[part] ?? 0);
      }
    }),
    { numRuns: 200 },
  );
});

it('law: a later last valid index never takes from a signature that an earlier one leaves valid', () => {
  fc.assert(
    fc.property(place, fc.nat(20), fc.nat(20), (at, index, more) => {
      const [early] = judge('alice', at, revoke(before, 'alice', index));
      const [late] = judge('alice', at, revoke(before, 'alice', index + more));
      if (early === 'trusted') expect(late).toBe('trusted');
      expect(early === 'trusted').toBe(at !== null && at <= index);
    }),
  );
});
