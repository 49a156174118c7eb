// Reads an image from an OCI layout, a folder or the same inside a tar.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';

import { errnoOf } from '../base/index.ts';
import type { Artifact } from './artifact.ts';
import { type ArchiveFile, bytesOf } from './archive-file.ts';
import { digestOf, hexOf } from './digest.ts';
import { type ImageContext, type ImageSource, type Naming, readImage, selectPlatform } from './image.ts';
import {
  type Descriptor,
  DOCUMENT_BYTES_MAX,
  layerCompression,
  parseImageDocument,
  verifyLayoutVersion,
} from './image-documents.ts';
import { type ByteSource, fileSource, verifySource } from './layer-source.ts';
import { badDigest, badSize, notFound, unreadable } from './refusal.ts';

/** The files of a layout by their names in it. */
export interface LayoutFiles {
  file(name: string): ByteSource;
}

/** The files of a layout that is a folder. */
export function folderFiles(dir: string): LayoutFiles {
  return {
    file: (name) => {
      const path = join(dir, name);
      const bytes = regularFileBytes(path);
      return fileSource(path, 0, bytes);
    },
  };
}

/** Size of a regular file, following no link: a layout holds its own bytes, and a link could name a device. */
function regularFileBytes(path: string): number {
  try {
    const stat = lstatSync(path);
    if (stat.isFile()) return stat.size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw notFound(`the layout lacks '${path}'`, 'Copy the image again, whole.');
    throw unreadable(`'${path}' cannot be read`, error);
  }
  throw unreadable(`'${path}' is no regular file`);
}

/** The files of a layout that is inside a tar. */
export function archiveFiles(archive: ArchiveFile): LayoutFiles {
  return { file: (name) => archive.file(name) };
}

/**
 * Reads the image that `tag` names, or the only one.
 *
 * @throws ArtifactError ARTIFACT_NOT_FOUND for a tag that is not there, ARTIFACT_DIGEST, and what unpacking throws
 */
export async function readLayout(
  files: LayoutFiles,
  tag: string | null,
  naming: Naming,
  context: ImageContext,
): Promise<Artifact> {
  verifyLayoutVersion(bytesOf(files.file('oci-layout'), DOCUMENT_BYTES_MAX, 'oci-layout'));
  const index = parseImageDocument(bytesOf(files.file('index.json'), DOCUMENT_BYTES_MAX, 'index.json'));
  if (index.kind !== 'index') throw unreadable('index.json is no index');
  return readImage(layoutSource(files), chooseImage(index.manifests, tag, context.platform), naming, context);
}

const REF_NAME = 'org.opencontainers.image.ref.name';

/** An annotation may be the tag alone, or a whole name that ends with it. */
function isTagged(manifest: Descriptor, tag: string): boolean {
  const name = manifest.annotations.get(REF_NAME) ?? '';
  return name === tag || name.endsWith(`:${tag}`);
}

function chooseImage(manifests: readonly Descriptor[], tag: string | null, platform: string): Descriptor {
  const fitting = tag === null ? manifests : manifests.filter((manifest) => isTagged(manifest, tag));
  if (fitting.length === 1 && fitting[0] !== undefined) return fitting[0];
  const tags = [...new Set(manifests.map((manifest) => manifest.annotations.get(REF_NAME) ?? '(without tag)'))];
  const offered = tags.slice(0, 20).join(', ');
  if (fitting.length === 0) throw notFound(`the layout has no image '${tag}'; it has ${offered}`, 'Name one of them.');
  const names = new Set(fitting.map((manifest) => manifest.annotations.get(REF_NAME)));
  if (names.size > 1) throw notFound(`the layout has several images: ${offered}`, 'Name one of them: oci:DIR:TAG.');
  return selectPlatform(fitting, platform);
}

function layoutSource(files: LayoutFiles): ImageSource {
  return {
    document: async (descriptor) => {
      const source = blobOf(files, descriptor);
      const bytes = bytesOf(source, DOCUMENT_BYTES_MAX, `blob ${descriptor.digest}`);
      const got = digestOf(bytes);
      if (got !== descriptor.digest) throw badDigest('a document of the image', descriptor.digest, got);
      return bytes;
    },
    layer: async (descriptor) => {
      const source = blobOf(files, descriptor);
      await verifySource(source, descriptor.digest, 'a layer');
      return { source, compression: layerCompression(descriptor), release: async () => undefined };
    },
  };
}

function blobOf(files: LayoutFiles, descriptor: Descriptor): ByteSource {
  const source = files.file(`blobs/sha256/${hexOf(descriptor.digest)}`);
  if (source.bytes !== descriptor.size) throw badSize(`blob ${descriptor.digest}`, descriptor.size, source.bytes);
  return source;
}
