// Targets of the attack corpus that read one document: envelope, statement, leaf, predicates, files.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { canonicalJson } from '../../src/base/index.ts';
import {
  makeLeaf,
  openAttestationStore,
  openKeyring,
  parseAttestationLines,
  parseEnvelope,
  parseLeaf,
  parseSlsaProvenance,
  parseStatement,
  parseVerificationSummary,
} from '../../src/provenance/index.ts';
import { openLoggedKeyring } from '../keyring-fixture.ts';
import { artifact, envelopeOf, publicKeyOf, statement, values } from './provenance-envelope.ts';
import { mutateBytes, mutateValue, type Mutation, mutationSchema } from './provenance-mutation.ts';
import { inFolder, outcomeOf, type Target } from './provenance-outcome.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const slsa = {
  buildDefinition: {
    buildType: 'https://provost.test/build/v1',
    externalParameters: { source: 'https://forge.test/shop' },
    internalParameters: { cpus: 2 },
    resolvedDependencies: [{ uri: 'git+https://forge.test/shop', digest: { gitCommit: 'ab'.repeat(20) } }],
  },
  runDetails: {
    builder: { id: 'https://provost.test/builder', version: { provost: '1' } },
    metadata: { invocationId: '7', startedOn: '2026-01-02T00:00:00Z', finishedOn: '2026-01-02T00:00:01Z' },
    byproducts: [{ name: 'log', digest: { sha256: 'cd'.repeat(32) } }],
  },
};
const summary = {
  verifier: { id: 'https://provost.test/verifier' },
  timeVerified: '2026-01-02T00:00:00Z',
  resourceUri: 'shop/web',
  policy: { uri: 'https://provost.test/policy', digest: { sha256: 'ab'.repeat(32) } },
  inputAttestations: [{ uri: 'https://provost.test/a', digest: { sha256: 'ab'.repeat(32) } }],
  verificationResult: 'PASSED',
  verifiedLevels: ['SLSA_BUILD_LEVEL_2'],
  dependencyLevels: { SLSA_BUILD_LEVEL_1: 3 },
  slsaVersion: '1.0',
};

const json = (bytes: Buffer): unknown => JSON.parse(bytes.toString());

/** A target that takes a document's bytes. */
function ofBytes(
  document: () => unknown,
  parse: (bytes: Buffer) => unknown,
  serialise?: (value: unknown) => string,
): Target {
  return (setup) => {
    const bytes = mutateBytes(document(), mutationSchema.parse(setup), { values, ...(serialise && { serialise }) });
    return outcomeOf(() => parse(bytes));
  };
}

/** A target that takes a document's JSON, read before by the parser of what holds it. */
function ofValue(document: unknown, parse: (value: unknown) => unknown): Target {
  return (setup) => {
    const value = mutateValue(document, mutationSchema.parse(setup), values);
    return outcomeOf(() => parse(value));
  };
}

function leafDocument(): unknown {
  return json(
    makeLeaf({
      kind: 'decision',
      document: Buffer.from('{}'),
      type: 'application/json',
      subjects: [artifact.digest],
      keys: [publicKeyOf('alice').id],
      parents: [3],
      issuer: 'home:3f9a01',
    }),
  );
}

function tryLines(setup: unknown): ReturnType<Target> {
  const mutation: Mutation = mutationSchema.parse(setup);
  const text = [envelopeOf({}), envelopeOf({ signers: ['bob'] })].map(String).join('\n');
  const bytes = mutateBytes(text, mutation, { values, serialise: String });
  return outcomeOf(() => parseAttestationLines(bytes));
}

/** A keyring with a rotated key, a revoked one, and trust; then its file is changed. */
function tryKeyringFile(setup: unknown): ReturnType<Target> {
  const mutation = mutationSchema.parse(setup);
  return inFolder((folder) => {
    const ring = openLoggedKeyring(folder, 'home:3f9a01');
    const first = ring.generateKey({ name: 'alice', nowMs: NOW_MS }).key;
    const second = ring.rotateKey({ key: 'alice', nowMs: NOW_MS }).key;
    const trust = { publicPem: null, role: 'publisher', scope: '*', predicateTypes: [], expiresMs: null } as const;
    ring.trustKey({ key: 'alice', ...trust, nowMs: NOW_MS });
    ring.generateKey({ name: 'bob', nowMs: NOW_MS });
    ring.revokeKey({ key: 'bob', reason: 'lost', nowMs: NOW_MS });
    const file = join(folder, 'keyring.json');
    const all = { ...values, first: first.id, second: second.id, bob: ring.findKey('bob').id };
    writeFileSync(file, mutateBytes(json(readFileSync(file)), mutation, { values: all }));
    return outcomeOf(() => openKeyring(folder, 'home:3f9a01').state());
  });
}

const storeSetup = z.strictObject({ stored: z.int().optional(), change: mutationSchema.optional() });

/** A store that has so many attestations about the artifact gets one more. */
function tryStore(setup: unknown): ReturnType<Target> {
  const { stored = 0, change = {} } = storeSetup.parse(setup);
  return inFolder((folder) => {
    const store = openAttestationStore(folder);
    for (let n = 0; n < stored; n += 1) store.put(envelopeOf({ keyIds: [`somebody ${n}`], form: 'zero' }), n);
    const bytes = mutateBytes(json(envelopeOf({})), change, { values });
    return outcomeOf(() => store.put(bytes, 1));
  });
}

/** Targets that read one document. */
export const documentTargets: Readonly<Record<string, Target>> = {
  envelope: ofBytes(() => json(envelopeOf({})), parseEnvelope),
  statement: ofBytes(() => statement, parseStatement),
  leaf: ofBytes(leafDocument, parseLeaf, canonicalJson),
  'loose leaf': ofBytes(leafDocument, parseLeaf),
  slsa: ofValue(slsa, parseSlsaProvenance),
  vsa: ofValue(summary, parseVerificationSummary),
  lines: tryLines,
  'keyring file': tryKeyringFile,
  store: tryStore,
};
