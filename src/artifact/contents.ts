// Looks for files by their bytes in what an artifact holds: its layers, its folder, or the tar that it is.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { GIB, KIB, MIB } from '../base/index.ts';
import { openingOf } from './archive-file.ts';
import type { Artifact } from './artifact.ts';
import { ArtifactError, type Digest, parseDigest } from './digest.ts';
import { compressionOf, fileSource, plainBytes } from './layer-source.ts';
import { tooLarge, unreadable } from './refusal.ts';
import { parseTarHeader, TAR_BLOCK_BYTES } from './tar-entry.ts';
import { TarReader } from './tar-reader.ts';

const ENTRIES_MAX = 1_000_000;
const FOLDERS_A_TURN = 50;
const READ_BYTES = 256 * KIB;
/** Bytes of a tar once plain; a small file that grows beyond this many times its size is a trap. */
const PLAIN_BYTES_MAX = 64 * GIB;
const RATIO_MAX = 200;
const RATIO_FREE_BYTES = 64 * MIB;

/** A file that is looked for. */
export interface SoughtFile {
  readonly digest: Digest;
  readonly bytes: number;
}

/** What a look into an artifact gave: its form, and which of the sought files it has. */
export interface Contents {
  /** `tar` for a file that is one, plain or compressed; `file` for one that cannot be looked into. */
  readonly form: 'layers' | 'tar' | 'file';
  readonly found: ReadonlySet<Digest>;
}

/**
 * Looks for files in every layer of an artifact, also below what upper layers hide, or in the tar that it is. Follows no link.
 *
 * @param path where a file artifact lies
 * @throws ArtifactError ARTIFACT_HOSTILE, ARTIFACT_TOO_LARGE, ARTIFACT_UNREADABLE
 */
export async function findContents(
  artifact: Pick<Artifact, 'layers' | 'kind'>,
  path: string,
  sought: readonly SoughtFile[],
): Promise<Contents> {
  const look = new Look(sought);
  try {
    if (artifact.kind !== 'file') {
      for (const { dir } of artifact.layers) await look.intoFolder(Buffer.from(dir).toString('latin1'));
      return { form: 'layers', found: look.found };
    }
    const isTar = await look.intoTar(path);
    return { form: isTar ? 'tar' : 'file', found: look.found };
  } catch (error) {
    if (error instanceof ArtifactError) throw error;
    throw unreadable('the artifact cannot be read whole', error);
  }
}

class Look {
  readonly found = new Set<Digest>();
  readonly #digests: ReadonlySet<Digest>;
  readonly #sizes: ReadonlySet<number>;
  #entries = 0;

  constructor(sought: readonly SoughtFile[]) {
    this.#digests = new Set(sought.map(({ digest }) => digest));
    this.#sizes = new Set(sought.map(({ bytes }) => bytes));
  }

  /** Only files of a sought size are read. Paths are binary strings, as names on the disk are bytes. */
  async intoFolder(root: string): Promise<void> {
    const waiting = [root];
    let folders = 0;
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      folders += 1;
      if (folders % FOLDERS_A_TURN === 0) await nextTurn();
      for (const entry of readdirSync(onDisk(folder), { encoding: 'latin1', withFileTypes: true })) {
        this.#count();
        const full = `${folder}/${entry.name}`;
        if (entry.isDirectory()) waiting.push(full);
        else if (entry.isFile()) await this.#file(full);
      }
    }
  }

  async #file(full: string): Promise<void> {
    const fd = openSync(onDisk(full), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || !this.#sizes.has(stat.size)) return;
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      for (let taken = readSync(fd, buffer); taken > 0; taken = readSync(fd, buffer)) {
        hash.update(buffer.subarray(0, taken));
        if (taken === READ_BYTES) await nextTurn();
      }
      this.#note(hash.digest('hex'));
    } finally {
      closeSync(fd);
    }
  }

  /** False for a file that is no tar. */
  async intoTar(path: string): Promise<boolean> {
    const { bytes, head } = openingOf(path);
    const compression = compressionOf(head);
    const plainMax = Math.min(PLAIN_BYTES_MAX, Math.max(RATIO_FREE_BYTES, bytes * RATIO_MAX));
    const reader = this.#tarReader();
    let [start, plain, isTar]: [Buffer, number, boolean] = [Buffer.alloc(0), 0, false];
    for await (const piece of plainBytes(fileSource(path, 0, bytes), compression)) {
      plain += piece.length;
      if (plain > plainMax) throw tooLarge(`the archive has more than ${plainMax} bytes`);
      if (isTar) {
        reader.push(piece);
        continue;
      }
      start = Buffer.concat([start, piece]);
      if (start.length < TAR_BLOCK_BYTES) continue;
      if (!isTarHeader(start)) return false;
      isTar = true;
      reader.push(start);
    }
    if (isTar) reader.end();
    return isTar;
  }

  #tarReader(): TarReader {
    let hash: ReturnType<typeof createHash> | null = null;
    return new TarReader({
      entry: ({ type, size }) => {
        this.#count();
        hash = type === 'file' && this.#sizes.has(size) ? createHash('sha256') : null;
      },
      content: (piece) => void hash?.update(piece),
      entryEnd: () => {
        if (hash !== null) this.#note(hash.digest('hex'));
        hash = null;
      },
    });
  }

  #note(hex: string): void {
    const digest = parseDigest(`sha256:${hex}`);
    if (this.#digests.has(digest)) this.found.add(digest);
  }

  #count(): void {
    this.#entries += 1;
    if (this.#entries > ENTRIES_MAX) throw tooLarge(`the artifact has more than ${ENTRIES_MAX} entries`);
  }
}

function isTarHeader(start: Buffer): boolean {
  if (start.toString('latin1', 257, 262) !== 'ustar') return false;
  try {
    parseTarHeader(start.subarray(0, TAR_BLOCK_BYTES));
    return true;
  } catch (error) {
    // Five letters in the right place are no archive yet.
    if (error instanceof ArtifactError) return false;
    throw error;
  }
}

function onDisk(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
