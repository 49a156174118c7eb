// Puts an image together from verified documents and layers, whatever they came from, and unpacks what is not unpacked yet.
import type { Artifact, Layer } from './artifact.ts';
import { type ContentStore, type PreparedLayer, requireRoot } from './content-store.ts';
import type { Digest } from './digest.ts';
import {
  type Descriptor,
  DOCUMENT_BYTES_MAX,
  layerCompression,
  parseImageConfig,
  parseImageDocument,
  type ParsedConfig,
} from './image-documents.ts';
import type { ByteSource, Compression } from './layer-source.ts';
import { notFound, tooLarge, unreadable, unsupported } from './refusal.ts';
import { type UnpackLimits, unpackLayer } from './unpack.ts';

/** Told while a layer is read; `bytes` of an unpacking layer are uncompressed, and `total` is then null. */
export interface Progress {
  readonly step: 'download' | 'unpack';
  readonly digest: Digest;
  readonly bytes: number;
  readonly total: number | null;
}

export interface ImageContext {
  readonly store: ContentStore;
  /** `linux/amd64`. */
  readonly platform: string;
  readonly limits: UnpackLimits;
  readonly progress: ((progress: Progress) => void) | null;
}

/** A layer whose bytes were checked; `release` drops what was kept only for unpacking. */
interface OpenLayer {
  readonly source: ByteSource;
  readonly compression: Compression;
  release(): Promise<void>;
}

/** Where an image's parts come from. What it gives has the digest and size of its descriptor. */
export interface ImageSource {
  document(descriptor: Descriptor): Promise<Buffer>;
  layer(descriptor: Descriptor): Promise<OpenLayer>;
}

/** A layer that will be unpacked when it is not there yet. */
interface PendingLayer {
  readonly diffId: Digest;
  open(): Promise<OpenLayer>;
}

/** What an artifact is called. */
export interface Naming {
  readonly name: string;
  readonly reference: string;
}

/** Indexes inside indexes: one level is usual, more is a maze. */
const INDEX_DEPTH_MAX = 3;

/**
 * Follows an index to the manifest of this platform, and makes the image.
 *
 * @throws ArtifactError ARTIFACT_UNSUPPORTED when there is none for this platform
 */
export async function readImage(
  source: ImageSource,
  root: Descriptor,
  naming: Naming,
  context: ImageContext,
): Promise<Artifact> {
  let descriptor = root;
  for (let depth = 0; depth <= INDEX_DEPTH_MAX; depth += 1) {
    const bytes = await readDocument(source, descriptor);
    const document = parseImageDocument(bytes);
    if (document.kind === 'index') {
      descriptor = selectPlatform(document.manifests, context.platform);
      continue;
    }
    const configBytes = await readDocument(source, document.config);
    const config = parseImageConfig(configBytes);
    if (config.diffIds.length !== document.layers.length) {
      throw unreadable(`the manifest names ${document.layers.length} layers, its config ${config.diffIds.length}`);
    }
    const pending = document.layers.map((layer, index) => ({
      diffId: config.diffIds[index] as Digest,
      open: () => source.layer(layer),
    }));
    for (const layer of document.layers) layerCompression(layer);
    return makeImage(
      { digest: descriptor.digest, manifestBytes: bytes, configBytes, config, pending, naming },
      context,
    );
  }
  throw unsupported(`the image nests indexes deeper than ${INDEX_DEPTH_MAX}`, 'Name the manifest by its digest.');
}

async function readDocument(source: ImageSource, descriptor: Descriptor): Promise<Buffer> {
  if (descriptor.size > DOCUMENT_BYTES_MAX)
    throw tooLarge(`a document of the image has ${descriptor.size} bytes (at most ${DOCUMENT_BYTES_MAX})`);
  return source.document(descriptor);
}

/**
 * Chooses the manifest for a platform out of an index. One without a platform fits when it is the only one.
 *
 * @throws ArtifactError ARTIFACT_UNSUPPORTED, with the platforms that there are
 */
export function selectPlatform(manifests: readonly Descriptor[], platform: string): Descriptor {
  const named = manifests.filter((manifest) => manifest.platform !== null);
  const fitting = named.find((manifest) => platformOf(manifest) === platform);
  const only = manifests.length === 1 ? manifests[0] : undefined;
  const chosen = fitting ?? (only?.platform === null ? only : undefined);
  if (chosen === undefined) {
    const offered = [...new Set(named.map(platformOf))].slice(0, 20).join(', ') || 'none that is named';
    throw unsupported(
      `the image has no manifest for ${platform}; it has ${offered}`,
      `Build or pull it for ${platform}.`,
    );
  }
  return chosen;
}

function platformOf(manifest: Descriptor): string {
  return `${manifest.platform?.os}/${manifest.platform?.architecture}`;
}

export interface ImageParts {
  readonly digest: Digest;
  /** Null where the image has none, as in a docker-archive. */
  readonly manifestBytes: Buffer | null;
  readonly configBytes: Buffer;
  readonly config: ParsedConfig;
  readonly pending: readonly PendingLayer[];
  readonly naming: Naming;
}

/**
 * Unpacks what is missing, and keeps the config and the name, so that the digest alone finds the image again. The image is
 * taken whole or not at all: a refused layer leaves none of the others.
 */
export async function makeImage(parts: ImageParts, context: ImageContext): Promise<Artifact> {
  const { digest, config, naming } = parts;
  if (config.platform !== null && config.platform !== context.platform) {
    throw unsupported(
      `the image is for ${config.platform}, this host is ${context.platform}`,
      `Build or pull it for ${context.platform}.`,
    );
  }
  const layers = await context.store.once(digest, () => unpackedLayers(parts.pending, context));
  if (parts.manifestBytes !== null) await context.store.put(parts.manifestBytes);
  await context.store.put(parts.configBytes);
  await context.store.remember(digest, { kind: 'image', ...naming });
  return { digest, kind: 'image', ...naming, config: config.config, layers };
}

async function unpackedLayers(pending: readonly PendingLayer[], context: ImageContext): Promise<readonly Layer[]> {
  // An image may name one layer twice, such as the empty one.
  const prepared = new Map<Digest, PreparedLayer>();
  try {
    let bytes = 0;
    for (const layer of pending) {
      const made = prepared.get(layer.diffId) ?? (await prepareLayer(layer, context));
      prepared.set(layer.diffId, made);
      bytes += made.facts.bytes;
      if (bytes > context.limits.imageBytesMax) {
        throw tooLarge(`the image unpacks to more than ${context.limits.imageBytesMax} bytes`);
      }
    }
    const dirs = new Map<Digest, string>();
    for (const [diffId, layer] of prepared) dirs.set(diffId, (await layer.commit()).dir);
    return pending.map(({ diffId }) => ({
      diffId,
      dir: dirs.get(diffId) ?? '',
      bytes: prepared.get(diffId)?.facts.bytes ?? 0,
    }));
  } finally {
    for (const layer of prepared.values()) await layer.discard();
  }
}

function prepareLayer(pending: PendingLayer, context: ImageContext): Promise<PreparedLayer> {
  const { store, limits, progress } = context;
  const { diffId } = pending;
  return store.prepareLayer(diffId, async (dir) => {
    requireRoot('unpacking an image');
    const open = await pending.open();
    try {
      const onBytes = (bytes: number): void => progress?.({ step: 'unpack', digest: diffId, bytes, total: null });
      return await unpackLayer({ ...open, diffId, dir, kernel: store.kernel, limits, onBytes });
    } finally {
      await open.release();
    }
  });
}

/**
 * Makes an image again from its digest alone: verified documents in the store, layers already unpacked.
 *
 * @throws ArtifactError ARTIFACT_NOT_FOUND when a part is no longer there
 */
export async function recallImage(digest: Digest, naming: Naming, store: ContentStore): Promise<Artifact> {
  const bytes = await store.get(digest);
  // A docker-archive's image is named by its config, every other by its manifest.
  const configBytes = isConfig(bytes) ? bytes : await configOf(bytes, store);
  const { config, diffIds } = parseImageConfig(configBytes);
  const layers = diffIds.map((diffId): Layer => {
    const layer = store.layer(diffId);
    if (layer === null)
      throw notFound(`layer ${diffId} of ${naming.name} is no longer unpacked`, `Read ${naming.reference} again.`);
    return { diffId, dir: layer.dir, bytes: layer.facts.bytes };
  });
  return { digest, kind: 'image', ...naming, config, layers };
}

function isConfig(bytes: Buffer): boolean {
  const value: unknown = JSON.parse(bytes.toString('utf8'));
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'rootfs');
}

async function configOf(manifest: Buffer, store: ContentStore): Promise<Buffer> {
  const document = parseImageDocument(manifest);
  if (document.kind === 'index') throw notFound('the digest names an index, not one image', 'Name the image itself.');
  return store.get(document.config.digest);
}
