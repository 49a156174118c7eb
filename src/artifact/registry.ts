// Pulls an image from a registry: manifest by tag or digest, then the blobs that are not here yet, each checked as it comes.
import { GIB } from '../base/index.ts';
import type { Artifact } from './artifact.ts';
import { ArtifactError, type Digest, digestOf, parseDigest } from './digest.ts';
import { type ImageContext, type ImageSource, type Naming, readImage, recallImage } from './image.ts';
import { type Descriptor, DOCUMENT_BYTES_MAX, layerCompression, mediaTypes } from './image-documents.ts';
import { fileSource } from './layer-source.ts';
import { badDigest, badSize } from './refusal.ts';
import type { RegistryReference } from './reference.ts';
import { bodyOf, piecesOf, RegistryClient } from './registry-client.ts';
import { dockerConfigPath, loadCredentials } from './registry-auth.ts';

/** Bound of one compressed layer. */
const LAYER_BLOB_BYTES_MAX = 16 * GIB;
/** Downloads of one blob that broke off on the way. */
const DOWNLOADS_MAX = 3;

const MANIFEST_TYPES = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
].join(', ');

export interface PullOptions {
  /** Speak http to a registry that is not on this machine. */
  readonly isInsecure: boolean;
  /** Docker's config file, for credentials; default where `docker login` writes. */
  readonly dockerConfig?: string;
}

/**
 * Pulls an image. A tag is asked for each time, since it may have moved; a digest that is known here needs no registry.
 *
 * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_REGISTRY, ARTIFACT_REGISTRY_DENIED, ARTIFACT_DIGEST, and what unpacking throws
 * @source OCI distribution-spec v1.1, "Pull"
 */
export async function pullImage(
  reference: RegistryReference,
  naming: Naming,
  options: PullOptions,
  context: ImageContext,
): Promise<Artifact> {
  const { host, repository, digest } = reference;
  const { store } = context;
  if (digest !== null && store.has(digest) && (await store.remembered(digest)) !== null) {
    return recallImage(digest, naming, store);
  }
  const credentials = loadCredentials(options.dockerConfig ?? dockerConfigPath(), host);
  const client = new RegistryClient({ host, repository, isInsecure: options.isInsecure, credentials });
  const response = await client.get(`manifests/${digest ?? reference.tag}`, MANIFEST_TYPES);
  const bytes = await bodyOf(response, DOCUMENT_BYTES_MAX);
  const root = rootDescriptor(bytes, digest, response.headers.get('docker-content-digest'));
  return readImage(registrySource(client, root, bytes, context), root, naming, context);
}

/** The manifest that came, named by its own bytes: they must be what we asked for, and what the registry says they are. */
function rootDescriptor(bytes: Buffer, asked: Digest | null, claimed: string | null): Descriptor {
  const digest = digestOf(bytes);
  if (asked !== null && digest !== asked) throw badDigest("the registry's manifest", asked, digest);
  if (claimed?.startsWith('sha256:') === true && digest !== claimed) {
    throw badDigest("the registry's manifest", parseDigest(claimed), digest);
  }
  return { mediaType: '', digest, size: bytes.length, platform: null, annotations: new Map() };
}

function registrySource(
  client: RegistryClient,
  root: Descriptor,
  rootBytes: Buffer,
  context: ImageContext,
): ImageSource {
  return {
    document: async (descriptor) => {
      if (descriptor.digest === root.digest) return rootBytes;
      const isManifest = MANIFEST_TYPES.split(', ').includes(descriptor.mediaType);
      const path = `${isManifest ? 'manifests' : 'blobs'}/${descriptor.digest}`;
      const bytes = context.store.has(descriptor.digest)
        ? await context.store.get(descriptor.digest)
        : await bodyOf(await client.get(path, isManifest ? MANIFEST_TYPES : '*/*'), DOCUMENT_BYTES_MAX);
      return verified(bytes, descriptor);
    },
    layer: async (descriptor) => {
      // Only for unpacking, so a temporary file of this process: it is never shared, and a crash leaves nothing for good.
      const path = context.store.temporaryPath();
      await download(client, descriptor, path, context);
      return {
        source: fileSource(path, 0, descriptor.size),
        compression: layerCompression(descriptor),
        release: () => context.store.removeTemporary(path),
      };
    },
  };
}

function verified(bytes: Buffer, descriptor: Descriptor): Buffer {
  if (bytes.length !== descriptor.size) throw badSize(`blob ${descriptor.digest}`, descriptor.size, bytes.length);
  const got = digestOf(bytes);
  if (got !== descriptor.digest) throw badDigest("the registry's blob", descriptor.digest, got);
  return bytes;
}

/** Brings a layer's blob to `path`. A broken connection is tried again; wrong content is not. */
async function download(
  client: RegistryClient,
  descriptor: Descriptor,
  path: string,
  context: ImageContext,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await client.get(`blobs/${descriptor.digest}`, '*/*');
      const expected = { digest: descriptor.digest, bytes: descriptor.size, bytesMax: LAYER_BLOB_BYTES_MAX };
      await context.store.writeTemporary(path, counted(response, descriptor, context), expected);
      return;
    } catch (error) {
      const mayPass = error instanceof ArtifactError && error.code === 'ARTIFACT_REGISTRY';
      if (!mayPass || attempt === DOWNLOADS_MAX) throw error;
    }
  }
}

async function* counted(
  response: Response,
  { digest, size }: Descriptor,
  context: ImageContext,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of piecesOf(response)) {
    bytes += piece.length;
    context.progress?.({ step: 'download', digest, bytes, total: size });
    yield piece;
  }
}
