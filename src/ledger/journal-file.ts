// Reading a journal's file: finds its records, checks the chain from the first byte, and tells a torn tail from damage.
import { readSync } from 'node:fs';

import { exitStatus } from '../base/index.ts';
import {
  continueChain,
  emptyHead,
  entryOfRecord,
  headOfRecord,
  JOURNAL_HEADER,
  RECORD_BYTES_MAX,
  RECORD_OVERHEAD_BYTES,
} from './chain.ts';
import { type JournalEntry, LedgerError } from './journal.ts';

const NEWLINE = 0x0a;

/** Bytes per read: large enough that hashing dominates, small enough to hold many journals. */
const CHUNK_BYTES = 1 << 20;

/** Entries that one `read` gives at most: 1024 × 8 KiB bounds its memory. */
export const READ_ENTRIES_MAX = 1024;

/** The first record that does not continue the chain. */
export interface Damage {
  readonly index: number;
  readonly offset: number;
  readonly reason: string;
}

/** What a file's records add up to. */
export interface JournalIndex {
  /** Offset of each good record; record i ends where i + 1, or `end`, begins. */
  readonly offsets: number[];
  /** Offset after the last good record. */
  end: number;
  head: string;
}

/** Records found from some offset on. */
export interface ScanResult {
  /** Bytes after `end` that are the beginning of a record whose write never finished. */
  readonly tornBytes: number;
  readonly damage: Damage | null;
}

/** An index of nothing, to be filled by {@link scanRecords}. */
export function emptyIndex(): JournalIndex {
  return { offsets: [], end: 0, head: emptyHead };
}

/**
 * Extends `index` with the records that follow it in the file, each checked against the chain, and stops at the first
 * that is wrong.
 */
export function scanRecords(fd: number, index: JournalIndex): ScanResult {
  if (index.end === 0) {
    const damage = readHeader(fd, index);
    if (damage !== null) return { tornBytes: 0, damage };
  }
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = readAt(fd, index.end + rest.length, CHUNK_BYTES);
    if (chunk.length === 0) return judgeTail(index, rest);
    const bytes = Buffer.concat([rest, chunk]);
    const taken = takeRecords(bytes, index);
    if (taken === null) return { tornBytes: 0, damage: damageAt(index, 'it does not continue the chain') };
    rest = bytes.subarray(taken);
    if (rest.length >= RECORD_BYTES_MAX) return { tornBytes: 0, damage: damageAt(index, 'it is longer than a record') };
  }
}

function readHeader(fd: number, index: JournalIndex): Damage | null {
  const header = readAt(fd, 0, JOURNAL_HEADER.length);
  if (header.toString('latin1') !== JOURNAL_HEADER) return damageAt(index, 'the first line is not that of a journal');
  index.end = JOURNAL_HEADER.length;
  return null;
}

/** Adds every whole record of `bytes` to the index; gives the bytes taken, or null at one that breaks the chain. */
function takeRecords(bytes: Buffer, index: JournalIndex): number | null {
  let start = 0;
  for (;;) {
    const newline = bytes.indexOf(NEWLINE, start);
    if (newline === -1) return start;
    const head = newline - start >= RECORD_BYTES_MAX ? null : continueChain(index.head, bytes.subarray(start, newline));
    if (head === null) return null;
    index.offsets.push(index.end);
    index.head = head;
    index.end += newline + 1 - start;
    start = newline + 1;
  }
}

/**
 * An acknowledged record was written whole, with its newline. A tail without one is torn and was never acknowledged;
 * but a whole record with another byte in the place of the newline was damaged afterwards.
 */
function judgeTail(index: JournalIndex, rest: Buffer): ScanResult {
  const wasWhole = continueChain(index.head, rest.subarray(0, -1)) !== null;
  if (wasWhole) return { tornBytes: 0, damage: damageAt(index, 'its line break was changed') };
  return { tornBytes: rest.length, damage: null };
}

function damageAt(index: JournalIndex, reason: string): Damage {
  return { index: index.offsets.length, offset: index.end, reason };
}

/** The error for a damaged file. */
export function corrupt(file: string, damage: Damage): LedgerError {
  return new LedgerError(
    'LEDGER_CORRUPT',
    `${file} is damaged at entry ${damage.index} (byte ${damage.offset}): ${damage.reason}`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Someone or something changed the file. Keep it for examination and restore it from a backup; entries before the damage can still be read.',
      details: { ...damage, file },
    },
  );
}

/** What a range of entries is read from. */
export interface EntryRange {
  readonly file: string;
  readonly fd: number;
  readonly index: JournalIndex;
  readonly from: number;
  /** At most {@link READ_ENTRIES_MAX} are given. */
  readonly limit: number;
}

/**
 * Reads entries and checks again that they continue the chain, so that a change after opening is found.
 *
 * @throws LedgerError LEDGER_RANGE when `from` is beyond the end, LEDGER_CORRUPT
 */
export function readEntries({ file, fd, index, from, limit }: EntryRange): JournalEntry[] {
  const size = index.offsets.length;
  checkRange(from, size + 1);
  const count = Math.max(0, Math.min(limit, READ_ENTRIES_MAX, size - from));
  if (count === 0) return [];
  const offsetOf = (at: number): number => index.offsets[at] ?? index.end;
  const bytes = readAt(fd, offsetOf(from), offsetOf(from + count) - offsetOf(from));
  let head = headAtSize(fd, index, from);
  return Array.from({ length: count }, (_, at) => {
    const begin = offsetOf(from + at) - offsetOf(from);
    const record = bytes.subarray(begin, offsetOf(from + at + 1) - offsetOf(from) - 1);
    const next = continueChain(head, record);
    if (next === null) {
      throw corrupt(file, { index: from + at, offset: offsetOf(from + at), reason: 'it changed after it was opened' });
    }
    head = next;
    return { index: from + at, bytes: Buffer.from(entryOfRecord(record)) };
  });
}

/** Refuses an index that is not a whole number below `end`. */
export function checkRange(at: number, end: number): void {
  if (Number.isSafeInteger(at) && at >= 0 && at < end) return;
  throw new LedgerError('LEDGER_RANGE', `the journal has no entry ${at}`, {
    exit: exitStatus.usage,
    hint: 'Entries are numbered from 0.',
  });
}

/** The head that the journal had with `size` entries, as the file states it. */
export function headAtSize(fd: number, index: JournalIndex, size: number): string {
  const offset = index.offsets[size - 1];
  return offset === undefined ? emptyHead : headOfRecord(readAt(fd, offset, RECORD_OVERHEAD_BYTES));
}

/** Reads up to `bytes` bytes at `offset`; fewer only at the end of the file. */
function readAt(fd: number, offset: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const got = readSync(fd, buffer, filled, bytes - filled, offset + filled);
    if (got === 0) break;
    filled += got;
  }
  return buffer.subarray(0, filled);
}
