// The JSON documents of an image: index, manifest, config, Docker's archive manifest. Parsed under limits, from verified bytes.
import { z } from 'zod';

import { messageOf, MIB } from '../base/index.ts';
import type { ImageConfig } from './artifact.ts';
import { type Digest, isDigest } from './digest.ts';
import type { Compression } from './layer-source.ts';
import { unreadable, unsupported } from './refusal.ts';

/** Bound of one document, as registries set it. @source OCI distribution-spec, "Pushing Manifests": 4 MiB */
export const DOCUMENT_BYTES_MAX = 4 * MIB;
/** Docker's own bound is 127. */
const LAYERS_MAX = 128;
const LIST_MAX = 4096;
const TEXT_CHARS_MAX = 131_072;

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

const text = z.string().max(TEXT_CHARS_MAX);
const digest = z.string().refine(isDigest, 'only sha256 digests are supported');
const texts = z.array(text).max(LIST_MAX).nullish();

const descriptor = z.object({
  mediaType: text.optional(),
  digest,
  size: z.int().min(0),
  platform: z.object({ os: text, architecture: text, variant: text.optional() }).nullish(),
  annotations: z.record(text, text).nullish(),
});

/** Names content by type, digest and size. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform: { readonly os: string; readonly architecture: string } | null;
  readonly annotations: ReadonlyMap<string, string>;
}

/** An index names manifests of several platforms; a manifest names a config and layers. */
export type ImageDocument =
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }
  | { readonly kind: 'manifest'; readonly config: Descriptor; readonly layers: readonly Descriptor[] };

const indexSchema = z.object({ manifests: z.array(descriptor).min(1).max(LIST_MAX) });
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor).max(LAYERS_MAX) });

/**
 * Parses an index or a manifest, whichever its fields say.
 *
 * @throws ArtifactError ARTIFACT_UNREADABLE; ARTIFACT_UNSUPPORTED for something that is neither, such as Docker's schema 1
 */
export function parseImageDocument(bytes: Buffer): ImageDocument {
  const value = parseJson(bytes, 'a manifest');
  const has = (key: string): boolean => typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  // Both at once reads one way here and another way elsewhere. @source CVE-2021-41190
  if (has('manifests') && (has('layers') || has('config'))) {
    throw unreadable('a manifest claims to be an index as well');
  }
  if (has('manifests')) {
    const index = checked(indexSchema, value, 'an index');
    return { kind: 'index', manifests: index.manifests.map(toDescriptor) };
  }
  if (has('config') && has('layers')) {
    const manifest = checked(manifestSchema, value, 'a manifest');
    return { kind: 'manifest', config: toDescriptor(manifest.config), layers: manifest.layers.map(toDescriptor) };
  }
  throw unsupported('the manifest is of a kind that is not supported', 'Push the image again with a current tool.');
}

function toDescriptor(found: z.infer<typeof descriptor>): Descriptor {
  return {
    mediaType: found.mediaType ?? '',
    digest: found.digest,
    size: found.size,
    platform: found.platform ?? null,
    annotations: new Map(Object.entries(found.annotations ?? {})),
  };
}

const LAYER_COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  [mediaTypes.ociLayer, 'none'],
  [`${mediaTypes.ociLayer}+gzip`, 'gzip'],
  [`${mediaTypes.ociLayer}+zstd`, 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  [mediaTypes.dockerLayer, 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
]);

/** How a layer is compressed, by its media type. @throws ArtifactError ARTIFACT_UNSUPPORTED for any other type */
export function layerCompression(layer: Descriptor): Compression {
  const compression = LAYER_COMPRESSIONS.get(layer.mediaType);
  if (compression === undefined) {
    throw unsupported(
      `a layer has the type '${layer.mediaType.slice(0, 100)}', which is no layer of files`,
      'Build the image with layers that are tar archives, plain or compressed with gzip or zstd.',
    );
  }
  return compression;
}

const configSchema = z.object({
  created: text.nullish(),
  architecture: text.optional(),
  os: text.optional(),
  config: z
    .object({
      User: text.nullish(),
      Env: texts,
      Entrypoint: texts,
      Cmd: texts,
      WorkingDir: text.nullish(),
      ExposedPorts: z.record(text, z.unknown()).nullish(),
      Volumes: z.record(text, z.unknown()).nullish(),
      StopSignal: text.nullish(),
      Labels: z.record(text, text).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers').optional(), diff_ids: z.array(digest).max(LAYERS_MAX) }),
});

export interface ParsedConfig {
  readonly config: ImageConfig;
  readonly diffIds: readonly Digest[];
  /** `linux/amd64`, or null when the config does not say. */
  readonly platform: string | null;
}

/** Parses an image's config. @throws ArtifactError ARTIFACT_UNREADABLE */
export function parseImageConfig(bytes: Buffer): ParsedConfig {
  const parsed = checked(configSchema, parseJson(bytes, 'an image config'), 'an image config');
  const run = parsed.config ?? {};
  const createdMs = Date.parse(parsed.created ?? '');
  return {
    config: {
      user: run.User ?? '',
      env: run.Env ?? [],
      entrypoint: run.Entrypoint ?? [],
      cmd: run.Cmd ?? [],
      workingDir: run.WorkingDir ?? '',
      exposedPorts: Object.keys(run.ExposedPorts ?? {}).sort(),
      volumes: Object.keys(run.Volumes ?? {}).sort(),
      stopSignal: run.StopSignal ?? null,
      createdMs: Number.isNaN(createdMs) ? null : createdMs,
      labels: run.Labels ?? {},
    },
    diffIds: parsed.rootfs.diff_ids,
    platform:
      parsed.os === undefined || parsed.architecture === undefined ? null : `${parsed.os}/${parsed.architecture}`,
  };
}

/** How a thing that is no image asks to be run: in no way. */
export const emptyConfig: ImageConfig = {
  user: '',
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: '',
  exposedPorts: [],
  volumes: [],
  stopSignal: null,
  createdMs: null,
  labels: {},
};

const dockerArchiveSchema = z
  .array(z.object({ Config: text, RepoTags: texts, Layers: z.array(text).max(LAYERS_MAX) }))
  .min(1)
  .max(LIST_MAX);

/** One image of a docker-archive: where its config and layers lie inside, and what it is called. */
export interface DockerArchiveImage {
  readonly configPath: string;
  readonly tags: readonly string[];
  readonly layerPaths: readonly string[];
}

/** Parses the `manifest.json` of `docker save`. @throws ArtifactError ARTIFACT_UNREADABLE */
export function parseDockerArchive(bytes: Buffer): readonly DockerArchiveImage[] {
  const images = checked(dockerArchiveSchema, parseJson(bytes, 'manifest.json'), 'manifest.json');
  return images.map((image) => ({ configPath: image.Config, tags: image.RepoTags ?? [], layerPaths: image.Layers }));
}

const layoutSchema = z.object({ imageLayoutVersion: z.literal('1.0.0') });

/** Checks the `oci-layout` file. @throws ArtifactError ARTIFACT_UNREADABLE */
export function verifyLayoutVersion(bytes: Buffer): void {
  checked(layoutSchema, parseJson(bytes, 'oci-layout'), 'oci-layout');
}

/** Parses JSON of a bounded size. @throws ArtifactError ARTIFACT_UNREADABLE */
export function parseJson(bytes: Buffer, what: string): unknown {
  if (bytes.length > DOCUMENT_BYTES_MAX)
    throw unreadable(`${what} has ${bytes.length} bytes (at most ${DOCUMENT_BYTES_MAX})`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw unreadable(`${what} is not JSON`, error);
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw unreadable(
      `${what} is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? messageOf(result.error)}`,
    );
  }
  return result.data;
}
