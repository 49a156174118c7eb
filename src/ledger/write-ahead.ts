// Batches of entries as they lie on the disk before they are in tiles: what was acknowledged is in one of them, or in tiles.
import { crc32 } from 'node:zlib';

import { BUNDLED_BYTES_MAX, encodeBundle } from './entry-bundle.ts';

/** Begins each batch. */
const MAGIC = Buffer.from('provost1');
/** Magic, index of the first entry (8), bytes of the entries (4), their count (4), check (4). */
const HEADER_BYTES = MAGIC.length + 8 + 4 + 4 + 4;
const CHECK_AT = HEADER_BYTES - 4;

/** Entries of one batch: bounds what a reader holds at once. */
export const BATCH_ENTRIES_MAX = 4096;
/** Bytes of one batch, with room for its last entry. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024 + BUNDLED_BYTES_MAX;

/** Entries that were written together. */
export interface Batch {
  /** Index of the first. */
  readonly first: number;
  readonly entries: readonly Uint8Array[];
}

/**
 * The bytes of a batch on disk. Its check, a CRC-32 over all but the magic, tells a write that was cut short; what somebody changed on
 * purpose shows in the tree.
 */
export function encodeBatch({ first, entries }: Batch): Buffer {
  const bytes = encodeBundle(entries, HEADER_BYTES);
  const [header, payload] = [bytes.subarray(0, HEADER_BYTES), bytes.subarray(HEADER_BYTES)];
  header.set(MAGIC);
  header.writeBigUInt64LE(BigInt(first), 8);
  header.writeUInt32LE(payload.length, 16);
  header.writeUInt32LE(entries.length, 20);
  header.writeUInt32LE(checkOf(header, payload), CHECK_AT);
  return bytes;
}

function checkOf(header: Buffer, payload: Buffer): number {
  return crc32(payload, crc32(header.subarray(MAGIC.length, CHECK_AT)));
}

/** What a segment holds: whole batches from its beginning, and where they end. */
export interface Segment {
  readonly batches: readonly Batch[];
  /** Bytes of the whole batches. */
  readonly end: number;
  /** What follows them: nothing; a write that was cut short; or damage, since whole batches come after it. */
  readonly rest: 'none' | 'torn' | 'damaged';
}

/** Reads a segment as far as it is whole. Never throws: what cannot be read is its rest. */
export function parseSegment(bytes: Buffer): Segment {
  const batches: Batch[] = [];
  let end = 0;
  for (;;) {
    const found = parseBatch(bytes, end);
    if (found === null) break;
    batches.push(found.batch);
    end = found.end;
  }
  if (end === bytes.length) return { batches, end, rest: 'none' };
  return { batches, end, rest: hasBatchAfter(bytes, end + 1) ? 'damaged' : 'torn' };
}

function parseBatch(bytes: Buffer, at: number): { readonly batch: Batch; readonly end: number } | null {
  if (at + HEADER_BYTES > bytes.length || !bytes.subarray(at, at + MAGIC.length).equals(MAGIC)) return null;
  const header = bytes.subarray(at, at + HEADER_BYTES);
  const [length, count] = [header.readUInt32LE(16), header.readUInt32LE(20)];
  const end = at + HEADER_BYTES + length;
  if (length > BATCH_BYTES_MAX || count > BATCH_ENTRIES_MAX || end > bytes.length) return null;
  const payload = bytes.subarray(at + HEADER_BYTES, end);
  if (checkOf(header, payload) !== header.readUInt32LE(CHECK_AT)) return null;
  return { batch: { first: Number(header.readBigUInt64LE(8)), entries: parseEntries(payload, count) }, end };
}

/** The check held: these are bundles of ours, one after the other. */
function parseEntries(payload: Buffer, count: number): Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  for (let entry = 0; entry < count; entry += 1) {
    const end = at + 2 + payload.readUInt16BE(at);
    entries.push(payload.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

function hasBatchAfter(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(MAGIC, from); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    if (parseBatch(bytes, at) !== null) return true;
  }
  return false;
}
