// From a reference to an artifact: looks at what is there, and hands it to the reader that knows the form.
import { createReadStream, lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';

import { errnoOf } from '../base/index.ts';
import { openArchive, openingOf } from './archive-file.ts';
import type { Artifact } from './artifact.ts';
import type { ContentStore } from './content-store.ts';
import { type Digest, parseDigest } from './digest.ts';
import { readDockerArchive } from './docker-archive.ts';
import { DOCKER_SOCKET, readDocker } from './docker-engine.ts';
import { readTree } from './folder-tree.ts';
import { readHostRoot } from './host-root.ts';
import { type ImageContext, type Naming, type Progress, recallImage } from './image.ts';
import { emptyConfig } from './image-documents.ts';
import { archiveFiles, folderFiles, readLayout } from './oci-layout.ts';
import { hostArchitecture } from './oci-writer.ts';
import { parseReference, type Reference } from './reference.ts';
import { badDigest, notFound, unreadable, unsupported } from './refusal.ts';
import { pullImage } from './registry.ts';
import { parseTarHeader, TAR_BLOCK_BYTES } from './tar-entry.ts';
import { type UnpackLimits, unpackLimits } from './unpack.ts';

export interface ResolveOptions {
  readonly store: ContentStore;
  /** Default: Linux on this host's architecture. */
  readonly platform?: string;
  readonly progress?: (progress: Progress) => void;
  /** Speak http to a registry that is not on this machine; default false. */
  readonly isInsecure?: boolean;
  /** Docker's config file, for credentials; default where `docker login` writes. */
  readonly dockerConfig?: string;
  /** The local Docker engine's socket; default /var/run/docker.sock. */
  readonly dockerSocket?: string;
  readonly limits?: UnpackLimits;
  /** Base of relative paths; default the working directory of this process. */
  readonly baseDir?: string;
}

/**
 * Reads the artifact that `reference` names. Every digest is checked before a byte is used, layers are unpacked once by
 * their digest, and a refusal leaves nothing behind. An image whose layers are unpacked already is not read again.
 *
 * The digest is: of an image, its manifest's (of a docker-archive, its config's, which is Docker's image id); of a file, its
 * content's; of a folder or root file system, its tree's; of the host's root, that of its release and packages.
 *
 * @throws ArtifactError any of its codes
 */
export async function resolveArtifact(reference: Reference, options: ResolveOptions): Promise<Artifact> {
  const context: ImageContext = {
    store: options.store,
    platform: options.platform ?? `linux/${hostArchitecture()}`,
    limits: options.limits ?? unpackLimits,
    progress: options.progress ?? null,
  };
  const naming = { name: reference.text, reference: reference.text };
  const pathOf = (path: string): string => resolve(options.baseDir ?? process.cwd(), path);
  switch (reference.kind) {
    case 'oci':
      return readOci(pathOf(reference.path), reference.tag, naming, context);
    case 'docker-archive':
      return readDockerFile(pathOf(reference.path), reference.tag, naming, context);
    case 'docker': {
      const socketPath = options.dockerSocket ?? DOCKER_SOCKET;
      return readDocker({ socketPath, image: reference.name, naming: { ...naming, name: reference.name } }, context);
    }
    case 'registry': {
      const config = options.dockerConfig === undefined ? {} : { dockerConfig: options.dockerConfig };
      return pullImage(reference, naming, { isInsecure: options.isInsecure ?? false, ...config }, context);
    }
    case 'known':
      return readKnown(reference.digest, options);
    case 'path':
      return readPath(pathOf(reference.path), naming, context);
    case 'rootfs':
      return readFolder(pathOf(reference.path), 'rootfs', naming, context);
    case 'host':
      return readHostRoot('/', reference.text);
  }
  return unknownKind(reference);
}

function unknownKind(reference: never): never {
  throw unsupported(`unknown kind of reference ${JSON.stringify(reference)}`, 'Use parseReference.');
}

async function readOci(path: string, tag: string | null, naming: Naming, context: ImageContext): Promise<Artifact> {
  if (statOf(path).isDirectory()) return readLayout(folderFiles(path), tag, naming, context);
  await using archive = await openArchive(path, context.store);
  return await readLayout(archiveFiles(archive), tag, naming, context);
}

async function readDockerFile(
  path: string,
  tag: string | null,
  naming: Naming,
  context: ImageContext,
): Promise<Artifact> {
  statOf(path);
  await using archive = await openArchive(path, context.store);
  return await readDockerArchive({ archive, tag, naming: { ...naming, name: '' }, expected: null }, context);
}

/** An image is made again from the store; anything else is read again from where it was, and must still be the same. */
async function readKnown(digest: Digest, options: ResolveOptions): Promise<Artifact> {
  const called = await options.store.remembered(digest);
  if (called === null)
    throw notFound(`${digest} is not known here`, 'Name it by where it is; after that its digest is enough.');
  if (called.kind === 'image') return recallImage(digest, called, options.store);
  const reference: Reference =
    called.kind === 'rootfs'
      ? { kind: 'rootfs', text: called.reference, path: called.name }
      : parseReference(called.name);
  const artifact = await resolveArtifact(reference, options);
  if (artifact.digest !== digest) throw badDigest(`'${called.name}'`, digest, artifact.digest);
  return artifact;
}

async function readPath(path: string, naming: Naming, context: ImageContext): Promise<Artifact> {
  const stat = statOf(path);
  if (stat.isDirectory()) {
    if (isThere(join(path, 'oci-layout'))) return readLayout(folderFiles(path), null, naming, context);
    return readFolder(path, 'folder', naming, context);
  }
  if (!stat.isFile()) throw unsupported(`'${path}' is neither a file nor a folder`, 'Name a file or a folder.');
  if (looksLikeImage(path)) {
    await using archive = await openArchive(path, context.store);
    if (archive.has('oci-layout')) return await readLayout(archiveFiles(archive), null, naming, context);
    if (archive.has('manifest.json'))
      return await readDockerArchive({ archive, tag: null, naming, expected: null }, context);
  }
  return readFile(path, naming, context);
}

/** What `docker save` and OCI tools put first into a tar. A tar that begins so must be an image, whole. */
const IMAGE_FIRST_NAME =
  /^(?:\.\/)?(?:blobs\/|oci-layout$|index\.json$|manifest\.json$|repositories$|[0-9a-f]{64}(?:\/|\.json$))/;

function looksLikeImage(path: string): boolean {
  const { head } = openingOf(path);
  if (head.length < TAR_BLOCK_BYTES || head.toString('latin1', 257, 262) !== 'ustar') return false;
  return IMAGE_FIRST_NAME.test(parseTarHeader(head).name);
}

async function readFolder(
  path: string,
  kind: 'rootfs' | 'folder',
  naming: Naming,
  context: ImageContext,
): Promise<Artifact> {
  if (!statOf(path).isDirectory())
    throw unsupported(`'${path}' is no folder`, 'Name the folder that holds the root file system.');
  const dir = realpathSync(path);
  const facts = await readTree(dir, context.store);
  const digest = facts.diffId;
  await context.store.remember(digest, { kind, name: dir, reference: naming.reference });
  const layers = [{ diffId: digest, dir, bytes: facts.bytes }];
  return { digest, kind, ...naming, name: dir, config: emptyConfig, layers };
}

async function readFile(path: string, naming: Naming, context: ImageContext): Promise<Artifact> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) hash.update(piece);
  } catch (error) {
    throw unreadable(`'${path}' cannot be read`, error);
  }
  const digest = parseDigest(`sha256:${hash.digest('hex')}`);
  await context.store.remember(digest, { kind: 'file', name: path, reference: naming.reference });
  return { digest, kind: 'file', ...naming, name: basename(path), config: emptyConfig, layers: [] };
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') {
      throw notFound(
        `there is no '${path}'`,
        'For an image in a registry write its host too, such as docker.io/library/nginx.',
      );
    }
    throw unreadable(`'${path}' cannot be looked at`, error);
  }
}

function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw unreadable(`'${path}' cannot be looked at`, error);
  }
}
