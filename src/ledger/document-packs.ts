// Documents that the entries of a log name by their SHA-256, in packs beside it: many share one write, and each can be erased.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { exitStatus, MIB } from '../base/index.ts';
import { BatchQueue } from './batch-queue.ts';
import { writeError } from './disk.ts';
import { LedgerError } from './journal.ts';
import type { AppendFile, LogDisk } from './log-disk.ts';
import { takeWriterLock } from './writer-lock.ts';

/** Begins a pack, and then each of its documents: chance, so that no document holds what reads as the beginning of another. */
const MARK_BYTES = 16;
/** Mark, length (4), SHA-256 (32). */
const HEADER_BYTES = MARK_BYTES + 4 + 32;
/** In the length, of a document whose bytes were overwritten. */
const ERASED = 0x8000_0000;
/** A pack is read whole where one of its documents is looked for, and written whole where one is erased. */
const PACK_BYTES = 16 * MIB;

/** Where the documents of the log in `dir` are. */
function folderOf(dir: string): string {
  return join(dir, 'documents');
}

function packFile(dir: string, number: number): string {
  return join(folderOf(dir), String(number).padStart(9, '0'));
}

/** Numbers of the packs, in their order. */
function packNumbers(disk: LogDisk, dir: string): number[] {
  const names = disk.list(folderOf(dir)).filter((name) => /^\d{9}$/.test(name));
  return names.map(Number).toSorted((a, b) => a - b);
}

/** A document in a pack. */
interface Kept {
  /** Where its header begins. */
  readonly at: number;
  readonly sha256: Buffer;
  /** Null when it was erased. */
  readonly bytes: Buffer | null;
  readonly end: number;
}

/** The documents of a pack, by their headers alone: what is no document is passed over. */
function* documentsOf(pack: Buffer): Generator<Kept> {
  const mark = pack.subarray(0, MARK_BYTES);
  if (mark.length < MARK_BYTES || mark.every((byte) => byte === 0)) return;
  for (let at = pack.indexOf(mark, MARK_BYTES); at !== -1 && at + HEADER_BYTES <= pack.length;) {
    const length = pack.readUInt32LE(at + MARK_BYTES);
    const [from, end] = [at + HEADER_BYTES, at + HEADER_BYTES + (length % ERASED)];
    const sha256 = pack.subarray(from - 32, from);
    if (end <= pack.length) yield { at, sha256, bytes: length >= ERASED ? null : pack.subarray(from, end), end };
    at = pack.indexOf(mark, end <= pack.length ? end : at + 1);
  }
}

function isWhole({ sha256, bytes }: Kept): boolean {
  return bytes === null || sha256Of(bytes).equals(sha256);
}

function sha256Of(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

interface Pack {
  readonly path: string;
  readonly mark: Buffer;
  readonly file: AppendFile;
  bytes: number;
  /** Whether its folders are known to be durable. */
  isFound: boolean;
}

/** The packs of a log that this process writes. */
export class DocumentPacks implements AsyncDisposable {
  readonly #disk: LogDisk;
  readonly #dir: string;
  readonly #queue = new BatchQueue((documents) => this.#write(documents));
  #pack: Pack | null;
  /** Number of the next pack. */
  #next: number;

  /**
   * Opens those of the log in `dir`, whose writer's lock the caller holds. What a crash left of a write behind the last whole document is cut off.
   *
   * @throws LedgerError LEDGER_NO_SPACE, LEDGER_STOPPED
   */
  constructor(disk: LogDisk, dir: string) {
    this.#disk = disk;
    this.#dir = dir;
    const last = packNumbers(disk, dir).at(-1);
    this.#pack = last === undefined ? null : reopen(disk, packFile(dir, last));
    this.#next = last === undefined ? 0 : last + 1;
  }

  /** Resolves when the document is durable. @throws LedgerError LEDGER_BUSY, LEDGER_NO_SPACE, LEDGER_STOPPED */
  async put(document: Uint8Array): Promise<void> {
    await this.#queue.push(document, { flush: true });
  }

  async #write(documents: readonly Buffer[]): Promise<number> {
    try {
      const pack = this.#pack === null || this.#pack.bytes >= PACK_BYTES ? this.#openNext() : this.#pack;
      const bytes = Buffer.concat(documents.flatMap((document) => [headerOf(pack.mark, document), document]));
      pack.file.append(bytes);
      await (pack.isFound ? pack.file.sync() : this.#disk.sync([pack.path], this.#dir));
      pack.isFound = true;
      pack.bytes += bytes.length;
      return 0;
    } catch (error) {
      throw writeError(folderOf(this.#dir), error);
    }
  }

  #openNext(): Pack {
    this.#pack?.file[Symbol.dispose]();
    // Nothing to close again, should the next not open.
    this.#pack = null;
    const path = packFile(this.#dir, this.#next);
    const [mark, file] = [randomBytes(MARK_BYTES), this.#disk.openAppend(path, 0)];
    this.#next += 1;
    this.#pack = { path, mark, file, bytes: mark.length, isFound: false };
    file.append(mark);
    return this.#pack;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.drain();
    this.#pack?.file[Symbol.dispose]();
  }
}

/** The pack, to be added to; null when no document in it can be read: then it is left as it is. */
function reopen(disk: LogDisk, path: string): Pack | null {
  try {
    const pack = disk.read(path) ?? Buffer.alloc(0);
    const end = [...documentsOf(pack)].findLast(isWhole)?.end;
    if (end === undefined) return null;
    const mark = Buffer.from(pack.subarray(0, MARK_BYTES));
    return { path, mark, file: disk.openAppend(path, end), bytes: end, isFound: false };
  } catch (error) {
    throw writeError(path, error);
  }
}

function headerOf(mark: Buffer, document: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(document.length);
  return Buffer.concat([mark, length, sha256Of(document)]);
}

/**
 * Reads a document of the log in `dir`. No index is kept, since only people ask: all packs are looked through.
 *
 * @throws LedgerError LEDGER_NO_DOCUMENT when it is not kept, or was erased; LEDGER_CORRUPT when it was changed
 */
export function readDocument(disk: LogDisk, dir: string, sha256: Uint8Array): Buffer {
  const found = packNumbers(disk, dir).flatMap((number) => find(disk, packFile(dir, number), sha256));
  const whole = found.find((kept) => kept.bytes !== null && isWhole(kept));
  if (whole?.bytes) return whole.bytes;
  if (found.some(({ bytes }) => bytes !== null)) {
    throw new LedgerError('LEDGER_CORRUPT', `the document in ${folderOf(dir)} was changed since it was kept`, {
      exit: exitStatus.verificationFailed,
      hint: 'Get it from where it was made: the log’s entry names it by its digest.',
    });
  }
  throw noDocument(dir, found.length > 0 ? 'was erased' : 'is not kept');
}

/**
 * Overwrites a document of the log in `dir`, wherever it is kept; its entry and all proofs stay.
 *
 * @throws LedgerError LEDGER_NO_DOCUMENT, LEDGER_LOCKED while the log is written, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export async function eraseDocument(disk: LogDisk, dir: string, sha256: Uint8Array): Promise<void> {
  using _lock = takeWriterLock(join(dir, 'lock'));
  let count = 0;
  for (const path of packNumbers(disk, dir).map((number) => packFile(dir, number))) {
    const found = find(disk, path, sha256);
    count += found.length;
    if (found.some(({ bytes }) => bytes !== null)) await overwrite(disk, { path, dir, found });
  }
  if (count === 0) throw noDocument(dir, 'is not kept');
}

async function overwrite(
  disk: LogDisk,
  { path, dir, found }: { readonly path: string; readonly dir: string; readonly found: readonly Kept[] },
): Promise<void> {
  const pack = disk.read(path) ?? Buffer.alloc(0);
  for (const { at, end } of found) {
    pack.writeUInt32LE((pack.readUInt32LE(at + MARK_BYTES) | ERASED) >>> 0, at + MARK_BYTES);
    pack.fill(0, at + HEADER_BYTES, end);
  }
  try {
    await disk.replaceWhole(path, pack);
    await disk.sync([path], dir);
  } catch (error) {
    throw writeError(path, error);
  }
}

function find(disk: LogDisk, path: string, sha256: Uint8Array): Kept[] {
  const pack = disk.read(path) ?? Buffer.alloc(0);
  return [...documentsOf(pack)].filter((kept) => kept.sha256.equals(sha256));
}

function noDocument(dir: string, why: string): LedgerError {
  return new LedgerError('LEDGER_NO_DOCUMENT', `the document ${why} in ${folderOf(dir)}`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Give its digest as the log’s entry has it; other logs may have it too.',
  });
}
