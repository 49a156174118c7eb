// Where the bytes of a blob come from, and how they are made plain: uncompressed, counted, and digested on the way.
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { errnoOf, messageOf } from '../base/index.ts';
import { type Digest, hexOf } from './digest.ts';
import { badDigest, badSize, hostile, unreadable } from './refusal.ts';

/** Bytes that can be read more than once, from the start. */
export interface ByteSource {
  readonly bytes: number;
  open(): Readable;
  /** All of it at once: for documents, which a stream would read many times slower. */
  whole(): Buffer;
}

/** Large pieces: each costs a turn of the event loop, and a turn must stay in the low milliseconds. */
const PIECE_BYTES = 256 * 1024;

/** A part of a file. */
export function fileSource(path: string, start: number, bytes: number): ByteSource {
  return {
    bytes,
    open: () =>
      bytes === 0
        ? Readable.from([])
        : createReadStream(path, { start, end: start + bytes - 1, highWaterMark: PIECE_BYTES }),
    whole: () => readPart(path, start, bytes),
  };
}

/** Shorter when the file ends before. */
function readPart(path: string, start: number, bytes: number): Buffer {
  const part = Buffer.allocUnsafe(bytes);
  const fd = openSync(path, 'r');
  try {
    let at = 0;
    while (at < bytes) {
      const taken = readSync(fd, part, at, bytes - at, start + at);
      if (taken === 0) break;
      at += taken;
    }
    return part.subarray(0, at);
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads the whole source and checks it against its descriptor.
 *
 * @throws ArtifactError ARTIFACT_DIGEST when the size or the digest differs
 */
export async function verifySource(source: ByteSource, digest: Digest, what: string): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of source.open() as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
  }
  if (bytes !== source.bytes) throw badSize(what, source.bytes, bytes);
  const got = hash.digest('hex');
  if (got !== hexOf(digest)) throw badDigest(what, digest, `sha256:${got}`);
}

export type Compression = 'none' | 'gzip' | 'zstd';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** What the first bytes of a stream say about its compression. */
export function compressionOf(head: Buffer): Compression {
  if (head.subarray(0, 2).equals(GZIP_MAGIC)) return 'gzip';
  if (head.subarray(0, 4).equals(ZSTD_MAGIC)) return 'zstd';
  return 'none';
}

/** Codes of the kernel, as against those of zlib, zstd and Node. */
const SYSTEM_ERROR = /^E(?!RR_)[A-Z0-9]+$/;

/**
 * Gives the uncompressed bytes of a source, piece by piece.
 *
 * @throws ArtifactError ARTIFACT_HOSTILE for a stream that is damaged, truncated, or goes on after its end
 */
export async function* plainBytes(source: ByteSource, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'none') {
    yield* source.open() as AsyncIterable<Buffer>;
    return;
  }
  const decompressor: Transform & { bytesWritten: number } =
    compression === 'gzip'
      ? createGunzip({ chunkSize: PIECE_BYTES })
      : createZstdDecompress({ chunkSize: PIECE_BYTES });
  // Errors of either stream destroy the decompressor, whose iterator then throws them.
  pipeline(source.open(), decompressor, () => undefined);
  const pieces = (decompressor as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await nextPiece(pieces, compression);
      if (next.done === true) break;
      yield next.value;
    }
  } finally {
    decompressor.destroy();
  }
  if (decompressor.bytesWritten !== source.bytes) throw hostile(`the ${compression} stream goes on after its end`);
}

async function nextPiece(pieces: AsyncIterator<Buffer>, compression: Compression): Promise<IteratorResult<Buffer>> {
  try {
    return await pieces.next();
  } catch (error) {
    if (SYSTEM_ERROR.test(errnoOf(error) ?? '')) throw unreadable('a layer cannot be read', error);
    throw hostile(`the ${compression} stream is damaged or truncated: ${messageOf(error)}`, error);
  }
}
