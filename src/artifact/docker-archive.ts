// Reads an image from what `docker save` writes. Its name is the digest of its config, which is Docker's image id.
import type { ArchiveFile } from './archive-file.ts';
import { bytesOf } from './archive-file.ts';
import type { Artifact } from './artifact.ts';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { type ImageContext, makeImage, type Naming } from './image.ts';
import {
  type DockerArchiveImage,
  DOCUMENT_BYTES_MAX,
  parseDockerArchive,
  parseImageConfig,
} from './image-documents.ts';
import { compressionOf } from './layer-source.ts';
import { badDigest, notFound, printable, unreadable } from './refusal.ts';

/** Longest name that is shown for an image; Docker's own bound is 255. */
const NAME_CHARS_MAX = 256;

export interface DockerArchiveInput {
  readonly archive: ArchiveFile;
  readonly tag: string | null;
  readonly naming: Naming;
  /** What the image's id must be, when it is known. */
  readonly expected: Digest | null;
}

/**
 * Reads the image that `tag` names, or the only one.
 *
 * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_DIGEST, and what unpacking throws
 */
export async function readDockerArchive(input: DockerArchiveInput, context: ImageContext): Promise<Artifact> {
  const { archive } = input;
  const manifest = bytesOf(archive.file('manifest.json'), DOCUMENT_BYTES_MAX, 'manifest.json');
  const image = chooseImage(parseDockerArchive(manifest), input.tag);
  const configBytes = bytesOf(archive.file(image.configPath), DOCUMENT_BYTES_MAX, 'the image config');
  const digest = verifiedId(configBytes, image.configPath, input.expected);
  const config = parseImageConfig(configBytes);
  if (config.diffIds.length !== image.layerPaths.length) {
    throw unreadable(`manifest.json names ${image.layerPaths.length} layers, its config ${config.diffIds.length}`);
  }
  // The archive names no digest of a layer's file: its uncompressed content is checked, in quarantine, while it is unpacked.
  const pending = image.layerPaths.map((path, index) => ({
    diffId: config.diffIds[index] as Digest,
    open: async () => ({
      source: archive.file(path),
      compression: compressionOf(await archive.head(path)),
      release: async () => undefined,
    }),
  }));
  const name = input.naming.name === '' ? printable(image.tags[0] ?? digest, NAME_CHARS_MAX) : input.naming.name;
  return makeImage(
    { digest, manifestBytes: null, configBytes, config, pending, naming: { ...input.naming, name } },
    context,
  );
}

/** The config's file carries its digest in its name, `<hex>.json` or `blobs/sha256/<hex>`: what it holds must agree. */
function verifiedId(configBytes: Buffer, path: string, expected: Digest | null): Digest {
  const digest = digestOf(configBytes);
  const named = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
  if (named !== undefined && named !== hexOf(digest))
    throw badDigest('the image config', `sha256:${named}` as Digest, digest);
  if (expected !== null && digest !== expected) throw badDigest('the image config', expected, digest);
  return digest;
}

function chooseImage(images: readonly DockerArchiveImage[], tag: string | null): DockerArchiveImage {
  const fitting = tag === null ? images : images.filter((image) => image.tags.some((name) => name.endsWith(`:${tag}`)));
  if (fitting.length === 1 && fitting[0] !== undefined) return fitting[0];
  const offered =
    images
      .flatMap((image) => image.tags)
      .slice(0, 20)
      .join(', ') || 'none with a tag';
  throw notFound(
    fitting.length === 0
      ? `the archive has no image '${tag}'; it has ${offered}`
      : `the archive has several images: ${offered}`,
    'Name one of them: docker-archive:FILE:TAG.',
  );
}
