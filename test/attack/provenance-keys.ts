// Targets of the attack corpus about keys: signatures on envelopes, verdicts on artifacts, operations on a keyring.
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { digestOf } from '../../src/artifact/index.ts';
import { parseEnvelope, verifyArtifact, verifyEnvelope } from '../../src/provenance/index.ts';
import { trustRoles } from '../../src/provenance/key-records.ts';
import { STATEMENT_MEDIA_TYPE } from '../../src/provenance/statement.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../keyring-fixture.ts';
import { artifact, envelopeOf, type EnvelopeSetup, envelopeSetup, publicKeyOf, values } from './provenance-envelope.ts';
import { mutateBytes, mutationSchema } from './provenance-mutation.ts';
import { inFolder, type Outcome, outcomeOf, type Target } from './provenance-outcome.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const pemOf = (name: string): string => publicKeyOf(name).object.export({ type: 'spki', format: 'pem' }).toString();

const signatureSetup = z.strictObject({
  envelope: envelopeSetup.optional(),
  change: mutationSchema.optional(),
  expectedType: z.string().optional(),
  keys: z.array(z.string()).optional(),
  threshold: z.union([z.number(), z.enum(['NaN', 'Infinity'])]).optional(),
});

function bytesOf(envelope: EnvelopeSetup = {}, change: z.infer<typeof mutationSchema> = {}): Buffer {
  const bytes = envelopeOf(envelope);
  if (Object.keys(change).length === 0) return bytes;
  return mutateBytes(JSON.parse(bytes.toString()), change, { values });
}

function trySignature(setup: unknown): Outcome {
  const { envelope, change, ...rest } = signatureSetup.parse(setup);
  const { expectedType = STATEMENT_MEDIA_TYPE, keys = ['alice', 'bob'], threshold = 1 } = rest;
  const bytes = bytesOf(envelope, change);
  const policy = { payloadType: expectedType, keys: keys.map(publicKeyOf), threshold: Number(threshold) };
  return outcomeOf(() => verifyEnvelope(parseEnvelope(bytes), policy));
}

const trustSetup = z.strictObject({
  key: z.string().optional(),
  role: z.enum(trustRoles).optional(),
  scope: z.string().optional(),
  predicateTypes: z.array(z.string()).optional(),
  /** Milliseconds after now. */
  sinceMs: z.int().optional(),
  expiresMs: z.int().nullable().optional(),
});

const artifactSetup = z.strictObject({
  /** None: no key is trusted. */
  trust: z.array(trustSetup).optional(),
  attestations: z
    .array(z.strictObject({ envelope: envelopeSetup.optional(), change: mutationSchema.optional() }))
    .optional(),
  /** The attestations' digests are those of other bytes. */
  isSwapped: z.boolean().optional(),
  artifactName: z.string().optional(),
  artifactText: z.string().optional(),
  /** A key that was revoked, and when, in milliseconds after now. */
  revoked: z.strictObject({ key: z.string(), atMs: z.int() }).optional(),
});

function trust(
  ring: LoggedKeyring,
  { key = 'alice', sinceMs = 0, expiresMs = null, ...rest }: z.infer<typeof trustSetup>,
): void {
  const { role = 'publisher', scope = 'shop/*', predicateTypes = [] } = rest;
  const times = { expiresMs: expiresMs === null ? null : NOW_MS + expiresMs, nowMs: NOW_MS + sinceMs };
  const known = ring.state().keys.some(({ name }) => name === key);
  ring.trustKey({ key, publicPem: known ? null : pemOf(key), role, scope, predicateTypes, ...times });
}

function tryArtifact(setup: unknown): Outcome {
  const { attestations = [{}], artifactName = artifact.name, ...rest } = artifactSetup.parse(setup);
  const digest = digestOf(rest.artifactText ?? 'the artifact');
  return inFolder((folder) => {
    const ring = openLoggedKeyring(folder, 'home:3f9a01');
    for (const each of rest.trust ?? [{}]) trust(ring, each);
    if (rest.revoked !== undefined) {
      ring.revokeKey({ key: rest.revoked.key, reason: 'stolen', nowMs: NOW_MS + rest.revoked.atMs });
    }
    const { verdict, signatures, findings } = verifyArtifact({
      artifact: { name: artifactName, digest },
      attestations: attestations.map(({ envelope, change }) => {
        const bytes = bytesOf(envelope, change);
        return { digest: rest.isSwapped === true ? digestOf('x') : digestOf(bytes), bytes, logIndex: 0 };
      }),
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
    const reasons = [...signatures, ...findings.evidence].map(({ reason }) => reason);
    return { kind: 'judged', verdict, cap: findings.caps.map(({ id }) => id).join(), message: reasons.join('; ') };
  });
}

const step = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('generate'), name: z.string() }),
  z.strictObject({
    do: z.literal('trust'),
    key: z.string(),
    pem: z.string().optional(),
    scope: z.string().optional(),
    role: z.string().optional(),
    predicateTypes: z.array(z.string()).optional(),
  }),
  z.strictObject({ do: z.literal('rotate'), key: z.string() }),
  z.strictObject({ do: z.literal('revoke'), key: z.string(), reason: z.string() }),
  z.strictObject({ do: z.literal('sign'), key: z.string() }),
  z.strictObject({ do: z.literal('expose'), key: z.string() }),
  z.strictObject({ do: z.literal('lose'), key: z.string() }),
  z.strictObject({ do: z.literal('exchange'), key: z.string(), for: z.string() }),
]);
const keysSetup = z.strictObject({ steps: z.array(step).optional(), last: step.optional() });

/** Does the steps, which must all work, and then tries the last. */
function tryKeys(setup: unknown): Outcome {
  const { steps = [], last = { do: 'sign', key: 'alice' } } = keysSetup.parse(setup);
  return inFolder((folder) => {
    const ring = openLoggedKeyring(folder, 'home:3f9a01');
    for (const name of ['alice', 'bob']) ring.generateKey({ name, nowMs: NOW_MS });
    for (const each of steps) takeStep(ring, folder, each);
    return outcomeOf(() => takeStep(ring, folder, last));
  });
}

function takeStep(ring: LoggedKeyring, folder: string, taken: z.infer<typeof step>): void {
  const fileOf = (key: string): string => join(folder, `${ring.findKey(key).id}.key`);
  switch (taken.do) {
    case 'generate':
      ring.generateKey({ name: taken.name, nowMs: NOW_MS });
      break;
    case 'trust': {
      const { key, pem, scope = '*', role = 'publisher', predicateTypes = [] } = taken;
      const publicPem = pem === undefined ? null : pemNamed(pem);
      const request = { key, publicPem, scope, predicateTypes, expiresMs: null, nowMs: NOW_MS };
      ring.trustKey({ ...request, role: role as (typeof trustRoles)[number] });
      break;
    }
    case 'rotate':
      ring.rotateKey({ key: taken.key, nowMs: NOW_MS });
      break;
    case 'revoke':
      ring.revokeKey({ key: taken.key, reason: taken.reason, nowMs: NOW_MS });
      break;
    case 'sign':
      ring.openSigner(taken.key).sign(Buffer.from('x'));
      break;
    case 'expose':
      chmodSync(fileOf(taken.key), 0o644);
      break;
    case 'lose':
      rmSync(fileOf(taken.key));
      break;
    case 'exchange':
      copyFileSync(fileOf(taken.for), fileOf(taken.key));
      chmodSync(fileOf(taken.key), 0o600);
      break;
  }
}

/** A PEM by its name: one of the people's, of another kind, or the text itself. */
function pemNamed(name: string): string {
  if (name === 'rsa') return spkiPem(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
  if (name === 'ec') return spkiPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
  if (name === 'x25519') return spkiPem(generateKeyPairSync('x25519').publicKey);
  if (name === 'private') {
    return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }
  return name.startsWith('-') || name === '' ? name : pemOf(name);
}

function spkiPem(key: ReturnType<typeof generateKeyPairSync>['publicKey']): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** Targets about keys. */
export const keyTargets: Readonly<Record<string, Target>> = {
  signature: trySignature,
  artifact: tryArtifact,
  keys: tryKeys,
};
