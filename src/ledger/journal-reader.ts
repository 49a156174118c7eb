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
}

/**
 * Opens the journal in `dir` for reading; one that was never made is empty.
 *
 * @throws LedgerError LEDGER_STOPPED when it may not be read, LEDGER_CORRUPT when its checkpoint and its batches do not fit together
 */
export function openJournalReader(dir: string): JournalReader {
  const [disk, files] = [openHostDisk(), logFiles(dir)];
  const key = readPublicKey(dir);
  if (key === null) return { size: 0, checkpoint: null, entries: async function* none() {} };
  const { checkpoint, tail } = readTail(disk, files, key);
  return {
    size: (checkpoint?.size ?? 0) + tail.length,
    checkpoint,
    entries: () => readAll(disk, files, { checkpoint, tail }),
  };
}

interface Tail {
  readonly checkpoint: VerifiedCheckpoint | null;
  /** Entries after those of the checkpoint. */
  readonly tail: readonly Uint8Array[];
}

function readTail(disk: LogDisk, files: LogFiles, key: string): Tail {
  const policy = { log: [parseVerifierKey(key)], witnesses: [], quorum: 0 };
  for (let attempt = 1; ; attempt += 1) {
    const bytes = disk.read(files.checkpoint);
    const checkpoint = bytes === null ? null : verifyCheckpoint(bytes, policy);
    const tail = readBatches(disk, files, checkpoint?.size ?? 0);
    if (tail !== null) return { checkpoint, tail };
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

async function* readAll(disk: LogDisk, files: LogFiles, { checkpoint, tail }: Tail): AsyncGenerator<JournalEntry> {
  if (checkpoint !== null) {
    const log = await openVerifiedLog((name) => Promise.resolve(readTile(disk, files, name)), checkpoint);
    yield* log.entries(0, log.size);
  }
  const size = checkpoint?.size ?? 0;
  for (const [at, bytes] of tail.entries()) yield { index: size + at, bytes: Buffer.from(bytes) };
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
