// A build as statements: a command is run in a clean work tree, and what went in and came out is named by digest.
import { randomUUID } from 'node:crypto';

import { type ContentStore, hexOf, parseReference, resolveArtifact } from '../artifact/index.ts';
import { exitStatus, systemClock } from '../base/index.ts';
import {
  type BuildEnvironment,
  builderId,
  describeBuild,
  type GitCommit,
  openKeyring,
  type Resource,
  SLSA_PROVENANCE_TYPE,
  sourceUri,
  tellEnvironment,
  toolsIn,
} from '../provenance/index.ts';
import { type BuildHost, type Product, readProduct, trackedMaterials } from './building.ts';
import type { StatementRequest } from './engine.ts';
import { EngineError } from './errors.ts';
import { homeAt } from './home.ts';
import { openReadContent, type Progress } from './reading.ts';
import { issuerOf } from './recording.ts';
import { changedFiles, checkClean, findWorkTree, readHead, takeSnapshot, type WorkTree } from './work-tree.ts';

/** Subjects of one statement: as many as a leaf names. More products make more statements. */
const SUBJECTS_MAX = 32;
/** Products of one build that are found by themselves. */
const FOUND_PRODUCTS_MAX = 512;

export interface BuildOptions {
  readonly homeDir: string;
  /** Where the command runs. */
  readonly dir: string;
  readonly command: readonly string[];
  readonly isIsolated: boolean;
  /** A line for the shell, run on the host before. */
  readonly fetch: string | null;
  /** References of what is built; empty: what the command makes or changes and git does not track. */
  readonly products: readonly string[];
  /** What goes in beside the commit and its lockfiles, by name and reference. */
  readonly materials: readonly { readonly name: string; readonly reference: string }[];
  readonly mayBeDirty: boolean;
  /** Name or id of the key that will sign: asked for before the build, not after. */
  readonly key: string;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly progress: Progress;
}

/** A build that was done. */
export interface BuildReport {
  readonly commit: string;
  readonly builder: string;
  readonly isClean: boolean;
  readonly products: readonly Product[];
  readonly materials: readonly { readonly name: string; readonly sha256: string }[];
  /** To be signed. */
  readonly statements: readonly StatementRequest[];
}

/**
 * Runs a build and describes it. A command that fails says so by its status, and there is nothing to record.
 *
 * @throws EngineError ENGINE_WORK_TREE, ENGINE_NO_PRODUCTS; ProvenanceError for the key and the repository; ArtifactError for products and
 * materials
 */
export async function recordBuild(
  options: BuildOptions,
  host: BuildHost,
): Promise<
  { readonly kind: 'built'; readonly report: BuildReport } | { readonly kind: 'failed'; readonly status: number }
> {
  const home = homeAt(options.homeDir);
  openKeyring(home.keysDir, issuerOf(home)).openSigner(options.key);
  await using stack = new AsyncDisposableStack();
  const store = await openReadContent(home, stack);
  const tree = findWorkTree(options.dir);
  const commit = readHead(tree);
  let isClean = await checkClean(tree, host.git, options);
  const { fetch, command, isIsolated } = options;
  const environment = await environmentOf({ ...options, environment: withEpoch(options.environment, commit) }, host);
  if (fetch !== null) {
    const status = await host.run({ argv: ['/bin/sh', '-c', fetch], tree, isIsolated: false, env: {} });
    if (status !== 0) return { kind: 'failed', status };
    isClean = await checkClean(tree, host.git, options);
  }
  const tracked = await host.git.tracked(tree.top);
  const materials = [...trackedMaterials(tree, tracked), ...(await namedMaterials(options, store))];
  const known = new Set(tracked);
  const before = options.products.length === 0 ? await takeSnapshot(tree, known) : null;
  const startedMs = systemClock.nowMs();
  const status = await host.run({
    argv: command,
    tree,
    isIsolated,
    env: isIsolated ? environment.variables : epochOf(environment),
  });
  const finishedMs = systemClock.nowMs();
  if (status !== 0) return { kind: 'failed', status };
  if (readHead(tree).id !== commit.id) throw otherCommit(tree);
  const names = before === null ? options.products : changedFiles(before, await takeSnapshot(tree, known));
  const products = await readProducts(store, tree, names, options.progress);
  const uri = sourceUri(await host.git.remote(tree.top), tree.top);
  const build = {
    ...{ command, isIsolated, fetch, isClean, environment, materials, startedMs, finishedMs },
    workdir: tree.workdir,
    commit: { uri, id: commit.id, digest: commit.digest },
    homeId: home.id,
    builderVersion: options.version,
    invocationId: randomUUID(),
  };
  return {
    kind: 'built',
    report: reportOf(describeBuild(build), {
      commit: commit.id,
      isClean,
      products,
      materials,
      builder: builderId(home.id, build),
    }),
  };
}

const EPOCH = 'SOURCE_DATE_EPOCH';

/**
 * The environment with the time of the commit where the caller gives no other: tools that take it make the same bytes another day.
 *
 * @source https://reproducible-builds.org/specs/source-date-epoch/
 */
function withEpoch(environment: BuildOptions['environment'], { committer }: GitCommit): BuildOptions['environment'] {
  return { ...environment, [EPOCH]: environment[EPOCH] ?? String(committer.seconds) };
}

function epochOf({ variables }: BuildEnvironment): Record<string, string> {
  return { [EPOCH]: variables[EPOCH] ?? '' };
}

/** What an environment is told as: an isolated build has nothing of the host's but what is told. */
async function environmentOf(
  { environment, command, isIsolated }: BuildOptions,
  host: BuildHost,
): Promise<BuildEnvironment> {
  const { variables, otherNames } = tellEnvironment(environment);
  const tools: Record<string, string> = {};
  for (const [tool, args] of toolsIn(command)) {
    const version = await host.toolVersion(tool, args);
    if (version !== null) tools[tool] = version;
  }
  return {
    variables,
    otherNames: isIsolated ? [] : otherNames,
    tools,
    platform: `${process.platform}/${process.arch}`,
  };
}

async function namedMaterials({ materials }: BuildOptions, store: ContentStore): Promise<Resource[]> {
  const named: Resource[] = [];
  for (const { name, reference } of materials) {
    const { digest } = await resolveArtifact(parseReference(reference), { store });
    named.push({ name, uri: null, digests: new Map([['sha256', hexOf(digest)]]) });
  }
  return named;
}

async function readProducts(
  store: ContentStore,
  tree: WorkTree,
  names: readonly string[],
  progress: Progress,
): Promise<Product[]> {
  if (names.length === 0) throw noProducts('the command made nothing that git does not track');
  if (names.length > FOUND_PRODUCTS_MAX)
    throw noProducts(`the command made ${names.length} files, more than ${FOUND_PRODUCTS_MAX}`);
  const products: Product[] = [];
  for (const name of names) {
    products.push(await readProduct(store, tree, name));
    progress('reading products', products.length / names.length);
  }
  return products;
}

function reportOf(
  predicate: Record<string, unknown>,
  {
    materials,
    products,
    ...rest
  }: Omit<BuildReport, 'statements' | 'materials'> & { readonly materials: readonly Resource[] },
): BuildReport {
  const statements: StatementRequest[] = [];
  for (let at = 0; at < products.length; at += SUBJECTS_MAX) {
    const [first, ...alsoAbout] = products.slice(at, at + SUBJECTS_MAX);
    if (first !== undefined) statements.push({ ...first, alsoAbout, predicateType: SLSA_PROVENANCE_TYPE, predicate });
  }
  const named = materials.map(({ name, digests }) => ({ name: name ?? '', sha256: digests.get('sha256') ?? '' }));
  return { ...rest, products, materials: named, statements };
}

function noProducts(why: string): EngineError {
  return new EngineError('ENGINE_NO_PRODUCTS', `nothing is recorded: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Name what is built with --product FILE, --product FOLDER or --product oci:DIR.',
  });
}

function otherCommit({ top }: WorkTree): EngineError {
  return new EngineError('ENGINE_WORK_TREE', `another commit is checked out in ${top} than when the build began`, {
    exit: exitStatus.verificationFailed,
    hint: 'Let nothing but the build change the work tree, and record it again.',
  });
}
