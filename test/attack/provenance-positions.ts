// Targets of the attack corpus about places in the log: what a stolen key, an edited keyring and a forged event come to.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { digestOf } from '../../src/artifact/index.ts';
import { canonicalJson } from '../../src/base/index.ts';
import {
  attest,
  makeLeaf,
  openAttestationStore,
  openKeyring,
  parseLeaf,
  RELEASE_TYPE,
  requireOperator,
  type StoredAttestation,
  verifyArtifact,
} from '../../src/provenance/index.ts';
import { applyKeyEvent, parseKeyEvent } from '../../src/provenance/key-events.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../keyring-fixture.ts';
import { mutateBytes, mutationSchema } from './provenance-mutation.ts';
import { inFolder, laterOutcomeOf, type Outcome, outcomeOf, type Target } from './provenance-outcome.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const ISSUER = 'home:3f9a01';
const artifact = { name: 'shop/web', digest: digestOf('the artifact') };
const OVERRIDE_TYPE = 'https://provost.dev/document/override/v1';
const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());

/** Alice is trusted to publish the shop, bob is known, carol is an operator; then come other entries, up to `FILLED`. */
function openRing(folder: string): LoggedKeyring {
  const ring = openLoggedKeyring(folder, ISSUER);
  for (const name of ['alice', 'bob', 'carol']) ring.generateKey({ name, nowMs: NOW_MS });
  const trust = { publicPem: null, scope: 'shop/*', predicateTypes: [], expiresMs: null, nowMs: NOW_MS };
  ring.trustKey({ key: 'alice', role: 'publisher', ...trust });
  ring.trustKey({ key: 'carol', role: 'operator', ...trust, predicateTypes: [OVERRIDE_TYPE] });
  const document = Buffer.from('{}');
  const other = { kind: 'decision', type: 'text/plain', subjects: [], keys: [], parents: [], issuer: ISSUER } as const;
  while (ring.log.size < FILLED) ring.log.append({ document, leaf: makeLeaf({ ...other, document }) });
  return ring;
}

const FILLED = 100;

const placeSetup = z.strictObject({
  /** Where the log has the attestation. */
  at: z.int().nullable().optional(),
  /** What the predicate claims of its time. */
  claims: z.string().optional(),
  /** What is done after the attestation was made. */
  afterwards: z.enum(['revoke', 'revoke wholly', 'rotate']).optional(),
  lastValidIndex: z.int().optional(),
  sinceIndex: z.int().optional(),
  artifactName: z.string().optional(),
  /** The attestation is filed under the place of another leaf. */
  isMisplaced: z.boolean().optional(),
});

function tryPlace(setup: unknown): Outcome {
  const { at = 50, claims = '2026-01-01', artifactName = artifact.name, ...rest } = placeSetup.parse(setup);
  return inFolder((folder) => {
    const ring = openRing(folder);
    const { sinceIndex, lastValidIndex = 60 } = rest;
    const trust = { publicPem: null, role: 'publisher', scope: 'shop/*', predicateTypes: [], expiresMs: null } as const;
    if (sinceIndex !== undefined) ring.trustKey({ key: 'alice', ...trust, sinceIndex, nowMs: NOW_MS });
    const signer = ring.openSigner('alice');
    const predicate = { finishedOn: claims };
    const made = attest({ subjects: [artifact], predicateType: RELEASE_TYPE, predicate, signer, issuer: ISSUER });
    if (rest.afterwards === 'rotate') ring.rotateKey({ key: 'alice', nowMs: NOW_MS });
    const revocation = { key: 'alice', reason: 'stolen', nowMs: NOW_MS };
    if (rest.afterwards === 'revoke') ring.revokeKey({ ...revocation, lastValidIndex });
    if (rest.afterwards === 'revoke wholly') ring.revokeKey(revocation);
    const attestation = { digest: made.digest, bytes: made.bytes, logIndex: at };
    const { verdict, signatures, findings } = verifyArtifact({
      artifact: { ...artifact, name: artifactName },
      attestations: rest.isMisplaced === true ? storedAt(folder, attestation) : [attestation],
      keyring: ring.state(),
      caps: {
        unsigned: { max: 0.49 },
        provenanceOnly: { max: 0.8, liftedByCleanMs: null },
        revoked: { max: 0 },
        failedVerification: { max: 0 },
      },
      nowMs: NOW_MS,
    });
    if (verdict === 'verified') return { kind: 'accepted' };
    const message = signatures.map(({ reason }) => reason).join('; ');
    return { kind: 'judged', verdict, cap: findings.caps.map(({ id }) => id).join(), message };
  });
}

/** What the store makes of an attestation whose name claims the place of another document's leaf. */
function storedAt(folder: string, { bytes, logIndex }: StoredAttestation): readonly StoredAttestation[] {
  const dir = join(folder, 'attestations');
  openAttestationStore(dir).put(bytes, logIndex ?? 0);
  return openAttestationStore(dir, () => digestOf('another document')).list(artifact.digest);
}

const ringSetup = z.strictObject({
  /** The file as somebody edited it. */
  file: mutationSchema.optional(),
});

/** A supervisor starts with the file and the log. */
async function tryRing(setup: unknown): Promise<Outcome> {
  const { file: change = {} } = ringSetup.parse(setup);
  return inFolder(async (folder) => {
    const { log, findKey } = openRing(folder);
    const values = { alice: findKey('alice').id, bob: findKey('bob').id };
    const file = join(folder, 'keyring.json');
    writeFileSync(file, mutateBytes(json(readFileSync(file)), change, { values }));
    return laterOutcomeOf(() => openKeyring(folder, ISSUER).reconcile(log, NOW_MS));
  });
}

const eventSetup = z.strictObject({
  kind: z.enum(['generate', 'trust', 'rotate', 'revoke']).optional(),
  document: mutationSchema.optional(),
  leaf: mutationSchema.optional(),
});

/** An event as the log might have it, read by who replays it. */
function tryEvent(setup: unknown): Outcome {
  const { kind = 'revoke', document: change = {}, leaf: leafChange = {} } = eventSetup.parse(setup);
  return inFolder((folder) => {
    const { findKey, state } = openRing(folder);
    const ring = openKeyring(folder, ISSUER);
    const trust = { publicPem: null, scope: '*', predicateTypes: [], sinceIndex: null, expiresMs: null } as const;
    const revocation = { reason: 'lost', lastValidIndex: 50, logSize: FILLED } as const;
    const { document, leaf } = {
      generate: () => ring.generateKey({ name: 'dave', nowMs: NOW_MS }),
      trust: () => ring.trustKey({ key: 'bob', role: 'publisher', ...trust, nowMs: NOW_MS }),
      rotate: () => ring.rotateKey({ key: 'bob', nowMs: NOW_MS }),
      revoke: () => ring.revokeKey({ key: 'bob', ...revocation, nowMs: NOW_MS }),
    }[kind]();
    const options = { values: { alice: findKey('alice').id, bob: findKey('bob').id } };
    const changed = mutateBytes(json(document), change, options);
    const named = parseLeaf(mutateBytes(json(leaf), leafChange, { ...options, serialise: canonicalJson }));
    return outcomeOf(() => applyKeyEvent(state(), parseKeyEvent(changed, named), FILLED));
  });
}

const operatorSetup = z.strictObject({
  key: z.string().optional(),
  artifactName: z.string().optional(),
  type: z.string().optional(),
});

/** Somebody signs an override. */
function tryOperator(setup: unknown): Outcome {
  const { key = 'carol', artifactName = artifact.name, type = OVERRIDE_TYPE } = operatorSetup.parse(setup);
  return inFolder((folder) => {
    const ring = openRing(folder);
    return outcomeOf(() => requireOperator(ring.state(), ring.findKey(key), { type, artifactName, nowMs: NOW_MS }));
  });
}

/** Targets about places in the log. */
export const positionTargets: Readonly<Record<string, Target>> = {
  place: tryPlace,
  'keyring and log': tryRing,
  'key event': tryEvent,
  operator: tryOperator,
};
