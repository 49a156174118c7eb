// Readers of a journal: they take no lock, write nothing, and check each entry up to the signed checkpoint.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { type JournalEntry, LedgerError } from './journal.ts';
import { type LogDisk, openHostDisk } from './log-disk.ts';
import { corruptLog, listSegments, type LogFiles, logFiles, readTile } from './log-files.ts';
import { parseVerifierKey } from './note-key.ts';
import { PUBLIC_KEY_FILE } from './log-key.ts';
import { encodeReceipt } from './receipt.ts';
import { openTileTree, type TileSource } from './tile-tree.ts';
import { openVerifiedLog } from './verified-log.ts';
import { parseSegment } from './write-ahead.ts';

/** A writer that publishes while we read may take a segment away: then its entries are in tiles. */
const ATTEMPTS_MAX = 8;

/** A journal as it was when it was opened; another process may be writing it. */
export interface JournalReader {
  readonly size: number;
  /** Null for a journal that was never made. */
  readonly checkpoint: VerifiedCheckpoint | null;
  /** All entries, each checked; then those that are durable, and under no checkpoint yet. @throws LedgerError LEDGER_TREE, LEDGER_TILE, LEDGER_CORRUPT */
  entries(): AsyncGenerator<JournalEntry>;
  /** The entries of these indexes, each checked; those that it does not have are left out. @throws as `entries` */
  entriesAt(indexes: readonly number[]): Promise<ReadonlyMap<number, Buffer>>;
  /** A receipt for an entry; null for one that no checkpoint covers yet. @throws as `entries` */
  receipt(index: number): Promise<Buffer | null>;
}

/**
 * Opens the journal in `dir` for reading; one that was never made is empty.
 *
 * @throws LedgerError LEDGER_STOPPED when it may not be read, LEDGER_CORRUPT when its checkpoint and its batches do not fit together
 */
export function openJournalReader(dir: string): JournalReader {
  const [disk, files] = [openHostDisk(), logFiles(dir)];
  const key = readPublicKey(dir);
  if (key === null) return NEVER_MADE;
  const read = readTail(disk, files, key);
  const { checkpoint, tail } = read;
  return {
    size: (checkpoint?.size ?? 0) + tail.length,
    checkpoint,
    entries: () => readAll(disk, files, read),
    entriesAt: (indexes) => readAt(disk, files, read, indexes),
    receipt: (index) => readReceipt(disk, files, read, index),
  };
}

const NEVER_MADE: JournalReader = {
  size: 0,
  checkpoint: null,
  entries: async function* none() {},
  entriesAt: () => Promise.resolve(new Map()),
  receipt: () => Promise.resolve(null),
};

interface Tail {
  readonly checkpoint: VerifiedCheckpoint | null;
  /** The checkpoint as it was signed. */
  readonly note: Buffer;
  /** Entries after those of the checkpoint. */
  readonly tail: readonly Uint8Array[];
}

function readTail(disk: LogDisk, files: LogFiles, key: string): Tail {
  const policy = { log: [parseVerifierKey(key)], witnesses: [], quorum: 0 };
  for (let attempt = 1; ; attempt += 1) {
    const bytes = disk.read(files.checkpoint);
    const checkpoint = bytes === null ? null : verifyCheckpoint(bytes, policy);
    const tail = readBatches(disk, files, checkpoint?.size ?? 0);
    if (tail !== null) return { checkpoint, note: bytes ?? Buffer.alloc(0), tail };
    if (attempt === ATTEMPTS_MAX) throw corruptLog(files, 'entries after its checkpoint are missing');
  }
}

/** Entries from index `from` on; null when there is a gap. */
function readBatches(disk: LogDisk, files: LogFiles, from: number): readonly Uint8Array[] | null {
  const tail: Uint8Array[] = [];
  for (const first of listSegments(disk, files)) {
    const { batches, rest } = parseSegment(disk.read(files.segment(first)) ?? Buffer.alloc(0));
    if (rest === 'damaged') throw corruptLog(files, `a batch in ${files.segment(first)} is`);
    for (const batch of batches) {
      const next = from + tail.length;
      if (batch.first > next) return null;
      tail.push(...batch.entries.slice(next - batch.first));
    }
  }
  return tail;
}

function tilesOf(disk: LogDisk, files: LogFiles): TileSource {
  return (name) => Promise.resolve(readTile(disk, files, name));
}

async function* readAll(disk: LogDisk, files: LogFiles, { checkpoint, tail }: Tail): AsyncGenerator<JournalEntry> {
  if (checkpoint !== null) {
    const log = await openVerifiedLog(tilesOf(disk, files), checkpoint);
    yield* log.entries(0, log.size);
  }
  const size = checkpoint?.size ?? 0;
  for (const [at, bytes] of tail.entries()) yield { index: size + at, bytes: Buffer.from(bytes) };
}

async function readAt(
  disk: LogDisk,
  files: LogFiles,
  { checkpoint, tail }: Tail,
  indexes: readonly number[],
): Promise<ReadonlyMap<number, Buffer>> {
  const found = new Map<number, Buffer>();
  const size = checkpoint?.size ?? 0;
  const log = checkpoint === null ? null : await openVerifiedLog(tilesOf(disk, files), checkpoint);
  for (const index of indexes) {
    const last = tail[index - size];
    if (last !== undefined) found.set(index, Buffer.from(last));
    if (index >= size || log === null) continue;
    for await (const { bytes } of log.entries(index, index + 1)) found.set(index, bytes);
  }
  return found;
}

async function readReceipt(
  disk: LogDisk,
  files: LogFiles,
  { checkpoint, note }: Tail,
  index: number,
): Promise<Buffer | null> {
  if (checkpoint === null || index >= checkpoint.size) return null;
  const tree = openTileTree(tilesOf(disk, files), checkpoint.size);
  return encodeReceipt({ index, proof: await tree.inclusionProof(index), extra: null, checkpoint: note });
}

function readPublicKey(dir: string): string | null {
  const file = join(dir, PUBLIC_KEY_FILE);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw new LedgerError('LEDGER_STOPPED', `${file} cannot be read: ${messageOf(error)}`, {
      exit: exitStatus.notAuthorised,
      hint: 'Read it as the user that runs the supervisor.',
      cause: error,
    });
  }
}
