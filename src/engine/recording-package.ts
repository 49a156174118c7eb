// A package as a statement: what it is, and that what was built is really in it.
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import {
  type Artifact,
  type Contents,
  type ContentStore,
  type Digest,
  findContents,
  hexOf,
  parseDigest,
  parseReference,
  resolveArtifact,
  type SoughtFile,
} from '../artifact/index.ts';
import { exitStatus } from '../base/index.ts';
import { excerptOf, PACKAGE_TYPE } from '../provenance/index.ts';
import { EngineError } from './errors.ts';
import { homeAt } from './home.ts';
import { openReadContent, type ReadOptions } from './reading.ts';

/** Products of one package, and files of them. */
const PRODUCTS_MAX = 1024;
const FILES_MAX = 100_000;

export interface PackageOptions extends ReadOptions {
  /** What the package was made from, by name and reference. */
  readonly products: readonly { readonly name: string; readonly reference: string }[];
  /** Whether products may be named that are not seen in it. */
  readonly mayBeUnseen: boolean;
}

/** A product, and whether its bytes were seen in the package. */
export interface Packed {
  readonly name: string;
  readonly digest: string;
  readonly isSeen: boolean;
}

/** What there is to sign about a package. */
export interface PackageReport {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly format: string;
  readonly contents: readonly Packed[];
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/**
 * Looks for products in a package: a file by its bytes, a folder by those of every file in it, an image by its layers. Nothing is recorded.
 *
 * @throws EngineError ENGINE_PACKAGE when one is not in it and may not be unseen; ArtifactError
 */
export async function reportPackage(options: PackageOptions): Promise<PackageReport> {
  await using stack = new AsyncDisposableStack();
  const store = await openReadContent(homeAt(options.homeDir), stack);
  if (options.products.length === 0 || options.products.length > PRODUCTS_MAX)
    throw badPackage(`a package is made from 1 to ${PRODUCTS_MAX} products`, 'Name each with --from.');
  const whole = await read(store, options.reference, options);
  const products: Product[] = [];
  for (const { name, reference } of options.products)
    products.push(await productOf(name, await read(store, reference, options)));
  refuseItself(whole, products);
  options.progress('looking into the package', null);
  const { form, found } = await findContents(
    whole,
    whole.reference,
    products.flatMap(({ files }) => files),
  );
  const contents = products.map((product) => ({
    name: product.name,
    digest: product.artifact.digest,
    isSeen: isSeen(product, whole, found),
  }));
  const unseen = contents.filter((one) => !one.isSeen);
  if (unseen[0] !== undefined && !options.mayBeUnseen) throw notIn(whole, unseen[0], unseen.length);
  const format = formatOf(whole, form);
  const { digest, name } = whole;
  return {
    artifact: { digest, name },
    format,
    contents,
    predicateType: PACKAGE_TYPE,
    predicate: predicateOf(format, contents),
  };
}

interface Product {
  readonly name: string;
  readonly artifact: Artifact;
  /** The files that it stands for. */
  readonly files: readonly SoughtFile[];
}

function read(store: ContentStore, reference: string, { progress }: PackageOptions): Promise<Artifact> {
  const showing = ({ step }: { readonly step: string }): void => progress(step, null);
  return resolveArtifact(parseReference(reference), { store, progress: showing });
}

async function productOf(name: string, artifact: Artifact): Promise<Product> {
  const paths =
    artifact.kind === 'file' ? [artifact.reference] : artifact.kind === 'folder' ? filesIn(artifact.name) : [];
  const files: SoughtFile[] = [];
  for (const path of paths) files.push({ digest: await digestOfFile(path), bytes: statSync(path).size });
  return { name, artifact, files };
}

function filesIn(root: string): string[] {
  const files: string[] = [];
  const waiting = [root];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) waiting.push(join(folder, entry.name));
      else if (entry.isFile()) files.push(join(folder, entry.name));
      if (files.length > FILES_MAX) throw badPackage(`${root} has more than ${FILES_MAX} files`, 'Name parts of it.');
    }
  }
  return files;
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) hash.update(piece);
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

/** A folder without files, and an image without layers, would be in everything. */
function isSeen({ artifact, files }: Product, whole: Artifact, found: ReadonlySet<Digest>): boolean {
  if (artifact.digest === whole.digest) return true;
  if (files.length > 0) return files.every(({ digest }) => found.has(digest));
  const layers = new Set(whole.layers.map(({ diffId }) => diffId));
  return (
    artifact.kind === 'image' && artifact.layers.length > 0 && artifact.layers.every(({ diffId }) => layers.has(diffId))
  );
}

function formatOf({ kind, reference }: Artifact, form: Contents['form']): string {
  if (kind !== 'image') return kind === 'file' ? form : kind;
  return /^(docker-archive|docker):/.exec(reference)?.[1] ?? 'oci';
}

function predicateOf(format: string, contents: readonly Packed[]): Record<string, unknown> {
  return {
    format,
    contents: contents.map(({ name, digest, isSeen: seen }) => ({
      name,
      digest: { sha256: hexOf(parseDigest(digest)) },
      ...(seen ? {} : { annotations: { seen: false } }),
    })),
  };
}

/** A circle proves nothing, and what was built needs no package. */
function refuseItself({ digest, name }: Artifact, products: readonly Product[]): void {
  if (products.every(({ artifact }) => artifact.digest !== digest)) return;
  const hint = 'Name what it was packed from; what a build made is recorded by that build, with --product.';
  throw badPackage(`${excerptOf(name, 200)} is not packed from itself`, hint);
}

function notIn({ name }: Artifact, { name: product, digest }: Packed, count: number): EngineError {
  const more = count === 1 ? '' : `, and ${count - 1} more`;
  return badPackage(
    `${excerptOf(product, 200)} (${digest}) was not found in ${excerptOf(name, 200)}${more}`,
    'Package what was built, unchanged; where it cannot be seen (compressed inside, changed on its way), say --unseen.',
    exitStatus.verificationFailed,
  );
}

function badPackage(message: string, hint: string, exit: 2 | 4 = exitStatus.usage): EngineError {
  return new EngineError('ENGINE_PACKAGE', message, { exit, hint });
}
