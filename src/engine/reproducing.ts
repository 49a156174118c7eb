// Building again what somebody built: the same commit, the same command, and a comparison of what comes out.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ContentStore, hexOf, parseDigest } from '../artifact/index.ts';
import { exitStatus, messageOf, ProvostError } from '../base/index.ts';
import {
  builderId,
  type CommandBuild,
  openRepository,
  parseBuild,
  parseEnvelope,
  parseStatement,
  readTree,
  REPRODUCTION_TYPE,
  type Resource,
  SLSA_PROVENANCE_TYPE,
  type StoredAttestation,
  variablesToRepeat,
  verifyArtifact,
} from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import { type AttestationFile, readAttestationFile } from './attestation-file.ts';
import { type BuildHost, readProduct } from './building.ts';
import type { StatementRequest } from './engine.ts';
import { EngineError } from './errors.ts';
import { openReadContext, type ReadContext, type ReadOptions } from './reading.ts';
import type { WorkTree } from './work-tree.ts';

export interface ReproduceOptions extends ReadOptions {
  /** A clone that has the commit. */
  readonly repository: string;
  /** Attestations that count beside the home's own; null: none. */
  readonly attestations: AttestationFile | null;
  /** In a sandbox, also where the build was on the host. */
  readonly isIsolated: boolean;
  readonly key: string;
}

/** A product, and what came out in its place: null when nothing did. */
export interface Compared {
  readonly name: string;
  readonly was: string;
  readonly is: string | null;
}

/** A build that was done again. */
export interface Reproduction {
  readonly artifact: { readonly digest: string; readonly name: string };
  /** Digest of the provenance that it was built by. */
  readonly provenance: string;
  readonly commit: string;
  readonly command: readonly string[];
  readonly builder: string;
  readonly products: readonly Compared[];
  /** To be signed; null when something differs. */
  readonly statement: StatementRequest | null;
}

/**
 * Builds an artifact again, in a folder of its own that is removed, and compares all that its provenance says was built with it.
 *
 * @throws EngineError ENGINE_NO_PROVENANCE when no trusted key says how it was built, ENGINE_NOT_REPRODUCIBLE when that cannot be
 * done again; ProvenanceError for the key and the repository; ArtifactError
 */
export async function reproduceBuild(
  options: ReproduceOptions,
  host: BuildHost,
): Promise<
  { readonly kind: 'built'; readonly result: Reproduction } | { readonly kind: 'failed'; readonly status: number }
> {
  await using context = await openReadContext(options.homeDir);
  context.keyring.openSigner(options.key);
  const artifact = await readArtifact(context, options, options.progress);
  const origin = findBuild(context, options, artifact);
  const isIsolated = options.isIsolated || origin.build.isIsolated;
  using folder = makeFolder();
  const tree = checkOut(options.repository, origin, folder.dir);
  for (const step of stepsOf(origin.build, tree, isIsolated)) {
    const status = await host.run(step);
    if (status !== 0) return { kind: 'failed', status };
  }
  const products: Compared[] = [];
  for (const { name, digest } of origin.products)
    products.push({ name, was: digest, is: await digestOrNull(context.content, tree, name) });
  const builder = builderId(context.home.id, { isIsolated });
  const isEqual = products.every(({ was, is }) => was === is);
  const { digest, name } = artifact;
  const { command, commit } = origin.build;
  const statement = isEqual ? statementOf(origin, { builder, digest, name }) : null;
  const result = {
    artifact: { digest, name },
    provenance: origin.envelope,
    commit: commit.id,
    command,
    builder,
    products,
    statement,
  };
  return { kind: 'built', result };
}

/** How an artifact was built, by the word of a key that is trusted with it. */
interface Origin {
  readonly build: CommandBuild & { readonly provenance: { readonly resolvedDependencies: readonly Resource[] } };
  readonly envelope: string;
  readonly products: readonly { readonly name: string; readonly digest: string }[];
}

/** The newest provenance counts. What is run is what it says, so nothing of it is believed without a trusted signature. */
function findBuild(
  context: ReadContext,
  options: ReproduceOptions,
  artifact: { readonly name: string; readonly digest: string },
): Origin {
  const digest = parseDigest(artifact.digest);
  const given = options.attestations === null ? null : readAttestationFile(options.attestations, digest);
  const attestations = [...context.attestations.list(digest), ...(given?.bySubject.get(digest) ?? [])];
  const { signatures } = verifyArtifact({
    artifact: { name: artifact.name, digest },
    attestations,
    keyring: context.keyring.state(),
    nowMs: context.clock.nowMs(),
    caps: context.policy.policy.trust.caps,
  });
  const builds = signatures.filter(({ predicateType }) => predicateType === SLSA_PROVENANCE_TYPE);
  const trusted = new Set(
    builds.filter(({ status }) => status === 'trusted').map(({ envelopeDigest }) => envelopeDigest),
  );
  const [newest] = attestations
    .filter((one) => trusted.has(one.digest))
    .toSorted((a, b) => (b.logIndex ?? -1) - (a.logIndex ?? -1));
  if (newest === undefined) throw noProvenance(artifact.digest, builds[0]?.reason ?? null);
  return originOf(newest);
}

function originOf({ digest, bytes }: StoredAttestation): Origin {
  const { predicate, subjects } = parseStatement(parseEnvelope(bytes).payload);
  const build = parseBuild(predicate);
  if (!build.isClean) throw notReproducible('its work tree held more than the commit');
  const products = subjects.map((subject) => ({ name: subject.name ?? '', digest: subject.digest }));
  const outside = products.find(({ name }) => !isInside(name));
  if (outside !== undefined) throw notReproducible('what was built lay outside of its work folder');
  return { build, envelope: digest, products };
}

function isInside(name: string): boolean {
  const path = name.replace(/^(?:oci|docker-archive):/, '');
  return path !== '' && !path.startsWith('/') && !path.split('/').includes('..');
}

/** Writes the commit's files, and nothing else: no repository, no filters, no hooks. */
function checkOut(repositoryDir: string, { build }: Origin, top: string): WorkTree {
  using repository = openRepository(repositoryDir);
  const commit = repository.readCommit(build.commit.id);
  if (commit.digest !== build.commit.digest)
    throw notReproducible(
      `commit ${commit.id} of the repository is not the one that was built`,
      exitStatus.verificationFailed,
    );
  try {
    for (const { kind, path, bytes } of readTree(repository, commit.tree)) {
      const target = join(top, path);
      if (kind === 'folder') mkdirSync(target);
      else if (kind === 'link') symlinkSync(bytes, target);
      else writeFileSync(target, bytes, { flag: 'wx', mode: kind === 'executable' ? 0o755 : 0o644 });
    }
  } catch (error) {
    throw error instanceof ProvostError
      ? error
      : notReproducible(`the commit cannot be checked out: ${messageOf(error)}`);
  }
  return { top, dir: join(top, build.workdir), workdir: build.workdir };
}

function stepsOf(build: CommandBuild, tree: WorkTree, isIsolated: boolean): Parameters<BuildHost['run']>[0][] {
  const env = variablesToRepeat(build.environment);
  const own = isIsolated ? { PATH: process.env['PATH'] ?? '', ...env } : env;
  const command = { argv: build.command, tree, isIsolated, env: own };
  return build.fetch === null
    ? [command]
    : [{ argv: ['/bin/sh', '-c', build.fetch], tree, isIsolated: false, env }, command];
}

async function digestOrNull(store: ContentStore, tree: WorkTree, name: string): Promise<string | null> {
  try {
    return (await readProduct(store, tree, name)).digest;
  } catch (error) {
    // Whatever is not there, or is no such artifact any more, is another than what was built.
    if (error instanceof ProvostError) return null;
    throw error;
  }
}

function statementOf(
  { envelope, build, products }: Origin,
  { builder, digest, name }: { readonly builder: string; readonly digest: string; readonly name: string },
): StatementRequest {
  const materials = build.provenance.resolvedDependencies.map(({ name: material, uri, digests }) => ({
    ...(material === null ? {} : { name: material }),
    ...(uri === null ? {} : { uri }),
    ...(digests.size === 0 ? {} : { digest: Object.fromEntries(digests) }),
  }));
  return {
    name: products.find((product) => product.digest === digest)?.name ?? name,
    digest,
    alsoAbout: products.filter((product) => product.digest !== digest),
    predicateType: REPRODUCTION_TYPE,
    predicate: {
      provenance: { digest: { sha256: hexOf(parseDigest(envelope)) } },
      isEqual: true,
      builder: { id: builder },
      materials,
    },
  };
}

function makeFolder(): Disposable & { readonly dir: string } {
  const dir = mkdtempSync(join(tmpdir(), 'provost-build-'));
  // As a clone has it: a build may look.
  chmodSync(dir, 0o755);
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

function noProvenance(digest: string, why: string | null): EngineError {
  const reason = why === null ? 'no attestation says how it was built' : `no trusted key says how it was built: ${why}`;
  return new EngineError('ENGINE_NO_PROVENANCE', `${digest} cannot be built again: ${reason}`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Record its build (provost record build), or trust the key that did: provost key trust KEY --role builder.',
  });
}

function notReproducible(why: string, exit: 4 | 5 = exitStatus.evidenceMissing): EngineError {
  return new EngineError('ENGINE_NOT_REPRODUCIBLE', `the build cannot be done again: ${why}`, {
    exit,
    hint: 'Only a build of a clean work tree, with its products in it, can be compared.',
  });
}
