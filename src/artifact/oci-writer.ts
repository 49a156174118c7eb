// Writes an OCI layout with one image: for images that are made here, offline, without a builder.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { canonicalJson, rfc3339 } from '../base/index.ts';
import type { ImageConfig } from './artifact.ts';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { mediaTypes } from './image-documents.ts';
import type { Compression } from './layer-source.ts';
import { type TarInput, tarOf } from './tar-writer.ts';

export interface OciLayoutInput {
  /** Folder to write; made when it is not there. */
  readonly dir: string;
  /** Lowest first: entries, or a whole tar archive (see `tarOfFolder`). */
  readonly layers: readonly (readonly TarInput[] | Uint8Array)[];
  /** What is left out is empty; `createdMs` null leaves the image without a date. */
  readonly config?: Partial<ImageConfig>;
  /** Default gzip. */
  readonly compression?: Compression;
  /** Default `latest`. */
  readonly tag?: string;
  /** Default: this host's. */
  readonly architecture?: string;
}

/** What was written. */
export interface WrittenLayout {
  readonly manifestDigest: Digest;
  readonly configDigest: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly diffId: Digest; readonly size: number }[];
}

const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
]);

/** This host's architecture, in Go's word, as images write it. */
export function hostArchitecture(): string {
  return ARCHITECTURES.get(process.arch) ?? process.arch;
}

/** Writes the layout. The same input gives the same bytes, so the same digests. */
export function writeOciLayout(input: OciLayoutInput): WrittenLayout {
  mkdirSync(join(input.dir, 'blobs/sha256'), { recursive: true });
  const compression = input.compression ?? 'gzip';
  const layers = input.layers.map((layer) => {
    const plain = layer instanceof Uint8Array ? Buffer.from(layer) : tarOf(layer);
    const { digest, size } = writeBlob(input.dir, compressed(plain, compression));
    return { digest, size, diffId: digestOf(plain) };
  });
  const config = writeBlob(input.dir, Buffer.from(canonicalJson(configOf(input, layers))));
  const manifest = writeBlob(
    input.dir,
    Buffer.from(
      canonicalJson({
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: { mediaType: mediaTypes.ociConfig, ...config },
        layers: layers.map(({ digest, size }) => ({ mediaType: layerType(compression), digest, size })),
      }),
    ),
  );
  const annotations = { 'org.opencontainers.image.ref.name': input.tag ?? 'latest' };
  const manifests = [{ mediaType: mediaTypes.ociManifest, ...manifest, annotations }];
  writeFileSync(
    join(input.dir, 'index.json'),
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  );
  writeFileSync(join(input.dir, 'oci-layout'), canonicalJson({ imageLayoutVersion: '1.0.0' }));
  return { manifestDigest: manifest.digest, configDigest: config.digest, layers };
}

function writeBlob(dir: string, bytes: Buffer): { digest: Digest; size: number } {
  const digest = digestOf(bytes);
  writeFileSync(join(dir, 'blobs/sha256', hexOf(digest)), bytes);
  return { digest, size: bytes.length };
}

function compressed(plain: Buffer, compression: Compression): Buffer {
  if (compression === 'none') return plain;
  return compression === 'gzip' ? gzipSync(plain) : zstdCompressSync(plain);
}

function layerType(compression: Compression): string {
  return compression === 'none' ? mediaTypes.ociLayer : `${mediaTypes.ociLayer}+${compression}`;
}

function configOf(input: OciLayoutInput, layers: readonly { readonly diffId: Digest }[]): unknown {
  const config = input.config ?? {};
  const emptyObjects = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, {}]));
  return {
    created: typeof config.createdMs === 'number' ? rfc3339(config.createdMs) : undefined,
    architecture: input.architecture ?? hostArchitecture(),
    os: 'linux',
    config: {
      User: config.user,
      Env: config.env,
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      WorkingDir: config.workingDir,
      ExposedPorts: emptyObjects(config.exposedPorts ?? []),
      Volumes: emptyObjects(config.volumes ?? []),
      StopSignal: config.stopSignal ?? undefined,
      Labels: config.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  };
}
