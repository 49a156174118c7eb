// A chain of attestations as tests make them: people with keys, a log, and what each says of what.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Digest, digestOf, hexOf } from '../src/artifact/index.ts';
import { makeKeyPair, signerOf } from '../src/provenance/ed25519.ts';
import {
  attest,
  ChainCache,
  type ChainInput,
  type ChainVerification,
  DEPLOY_TYPE,
  type KeyringState,
  makeSlsaProvenance,
  PACKAGE_TYPE,
  parseOriginPolicy,
  RELEASE_TYPE,
  REPRODUCTION_TYPE,
  REVIEW_TYPE,
  type Resource,
  SLSA_PROVENANCE_TYPE,
  SOURCE_PREDICATE_TYPE,
  type StoredAttestation,
  TEST_RESULT_TYPE,
  type TrustRole,
  verifyChain,
} from '../src/provenance/index.ts';
import { type LoggedKeyring, openLoggedKeyring } from './keyring-fixture.ts';

export const CHAIN_NOW_MS = Date.UTC(2026, 0, 2);
export const CHAIN_CAPS = {
  unsigned: { max: 0.49 },
  provenanceOnly: { max: 0.8, liftedByCleanMs: null, liftedByReview: true, liftedByReproduction: true },
  revoked: { max: 0 },
  failedVerification: { max: 0 },
};

/** Who is trusted for what: `mallory` is known and not trusted; a `stranger` is not even known. */
const PEOPLE: Readonly<Record<string, TrustRole | null>> = {
  alice: 'publisher',
  ci: 'builder',
  rebuilder: 'builder',
  lead: 'reviewer',
  'alice-reviews': 'reviewer',
  mallory: null,
};
export type Person = 'alice' | 'ci' | 'rebuilder' | 'lead' | 'alice-reviews' | 'mallory' | 'stranger';

const stranger = signerOf(makeKeyPair().privatePem);

export const ORIGINS = parseOriginPolicy({
  registries: [{ ecosystem: 'npm', urlPrefixes: ['https://registry.npmjs.org/'] }],
});

/** A resource by its SHA-256, and as a commit where git's id is given. */
export function resourceOf(digest: Digest | null, commit?: string): Resource {
  const digests = new Map<string, string>();
  if (digest !== null) digests.set('sha256', hexOf(digest));
  if (commit !== undefined) digests.set('gitCommit', commit);
  return { name: null, uri: commit === undefined ? 'pkg:generic/x' : 'git+https://forge.test/shop', digests };
}

/** Predicates with their types, as whoever says them writes them. */
export const says = {
  release: (): Said => [RELEASE_TYPE, { version: '1' }],
  build: (materials: readonly Resource[], isClean = true): Said => [
    SLSA_PROVENANCE_TYPE,
    makeSlsaProvenance({
      buildType: 'https://provost.dev/build-types/command/v1',
      externalParameters: { isolated: true },
      internalParameters: { isClean },
      resolvedDependencies: materials,
      builder: { id: 'https://provost.test/builder', version: new Map(), dependencies: [] },
      metadata: { invocationId: null, startedMs: null, finishedMs: null },
      byproducts: [],
    }),
  ],
  source: (
    commit: string,
    digest: Digest,
    more: { readonly status?: string; readonly publisher?: string | null; readonly environment?: number | null } = {},
  ): Said => {
    const { status = 'verified', publisher = 'alice', environment = 1 } = more;
    const build = environment === null ? {} : { build: { paths: [], score: environment, findings: [] } };
    return [SOURCE_PREDICATE_TYPE, { commit, digest, signature: { status }, publisher, ...build }];
  },
  deps: (registry = 'https://registry.npmjs.org/'): Said => [
    'https://cyclonedx.org/bom',
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      components: [
        {
          type: 'library',
          name: 'left-pad',
          version: '1.3.0',
          purl: 'pkg:npm/left-pad@1.3.0',
          hashes: [{ alg: 'SHA-512', content: 'ab'.repeat(64) }],
          externalReferences: [{ type: 'distribution', url: `${registry}left-pad/-/left-pad-1.3.0.tgz` }],
        },
      ],
    },
  ],
  test: (result = 'PASSED'): Said => [TEST_RESULT_TYPE, { result, configuration: [], passedTests: ['one'] }],
  package: (contents: readonly Digest[]): Said => [
    PACKAGE_TYPE,
    { format: 'oci', contents: contents.map((digest) => ({ digest: { sha256: hexOf(digest) } })) },
  ],
  deploy: (): Said => [DEPLOY_TYPE, { workload: 'web' }],
  review: (): Said => [REVIEW_TYPE, { summary: 'read it' }],
  reproduction: (provenance: Digest, isEqual = true): Said => [
    REPRODUCTION_TYPE,
    {
      provenance: { digest: { sha256: hexOf(provenance) } },
      isEqual,
      builder: { id: 'https://other.test/builder' },
      materials: [],
    },
  ],
} as const;

export type Said = readonly [predicateType: string, predicate: unknown];

/** A log and a store of attestations, in memory; the keyring is a real one. */
export class ChainFixture implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'provost-chain-'));
  readonly keyring: LoggedKeyring;
  readonly cache = new ChainCache(ORIGINS);
  readonly log: Buffer[] = [];
  readonly attestations = new Map<Digest, StoredAttestation[]>();
  #state: KeyringState | null = null;

  constructor() {
    this.keyring = openLoggedKeyring(this.#dir, 'home:test');
    for (const [name, role] of Object.entries(PEOPLE)) {
      this.keyring.generateKey({ name, nowMs: CHAIN_NOW_MS });
      if (role === null) continue;
      const rest = { publicPem: null, scope: 'shop/*', predicateTypes: [], expiresMs: null, nowMs: CHAIN_NOW_MS };
      this.keyring.trustKey({ key: name, role, ...rest });
    }
  }

  /** Signs what somebody says of things, logs it, and keeps it. */
  say(who: Person, [predicateType, predicate]: Said, ...about: readonly Digest[]): StoredAttestation {
    const made = this.make(who, [predicateType, predicate], ...about);
    const attestation = { digest: made.digest, bytes: made.bytes, logIndex: this.log.push(made.leaf) - 1 };
    return this.keep(attestation, ...about);
  }

  make(who: Person, [predicateType, predicate]: Said, ...about: readonly Digest[]): ReturnType<typeof attest> {
    return attest({
      subjects: about.map((digest) => ({ name: 'thing', digest })),
      predicateType,
      predicate,
      signer: who === 'stranger' ? stranger : this.keyring.openSigner(who),
      issuer: 'home:test',
    });
  }

  keep(attestation: StoredAttestation, ...about: readonly Digest[]): StoredAttestation {
    for (const digest of about) this.attestations.set(digest, [...(this.attestations.get(digest) ?? []), attestation]);
    return attestation;
  }

  revoke(who: Exclude<Person, 'stranger'>): void {
    this.keyring.revokeKey({ key: who, reason: 'stolen', nowMs: CHAIN_NOW_MS });
    this.#state = null;
  }

  input(artifact: Digest, more: Partial<ChainInput> = {}): ChainInput {
    this.#state ??= this.keyring.state();
    return {
      artifact: { name: 'shop/web', digest: artifact },
      attestationsOf: (subject) => this.attestations.get(subject) ?? [],
      leafAt: (index) => this.log[index] ?? null,
      keyring: this.#state,
      caps: CHAIN_CAPS,
      nowMs: CHAIN_NOW_MS,
      cache: this.cache,
      ...more,
    };
  }

  verify(artifact: Digest, more: Partial<ChainInput> = {}): ChainVerification {
    return verifyChain(this.input(artifact, more));
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export const COMMIT = 'c0'.repeat(20);
export const things = {
  image: digestOf('the image'),
  product: digestOf('the product'),
  lockfile: digestOf('the lockfile'),
  commit: digestOf('the commit'),
  other: digestOf('another commit'),
} as const;

/** The whole life of an image: commit, dependencies, build, tests, package, deployment. */
export function sayWholeLife(
  fixture: ChainFixture,
): Record<'source' | 'deps' | 'build' | 'test' | 'package' | 'deploy', StoredAttestation> {
  const { image, product, lockfile, commit } = things;
  return {
    source: fixture.say('alice', says.source(COMMIT, commit), commit),
    deps: fixture.say('ci', says.deps(), lockfile),
    build: fixture.say('ci', says.build([resourceOf(commit, COMMIT), resourceOf(lockfile)]), product),
    test: fixture.say('ci', says.test(), commit),
    package: fixture.say('ci', says.package([product]), image),
    deploy: fixture.say('ci', says.deploy(), image),
  };
}
