// Complete checks of a log: every entry and every tile, up to the root of its signed checkpoint.
import { join } from 'node:path';

import { isSameBytes } from '../base/index.ts';
import { type CheckpointPolicy, type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { JournalEntry } from './journal.ts';
import type { LogDisk } from './log-disk.ts';
import { readLogFormat } from './log-format.ts';
import { corruptLog, type LogFiles, partialWidths, readTile } from './log-files.ts';
import { recoverLog } from './log-recovery.ts';
import { narrowTile } from './narrow-tile.ts';
import type { NoteVerifier } from './note-key.ts';
import { edgeTiles, type TileName, tilePath } from './tile-name.ts';
import type { TileSource } from './tile-tree.ts';
import { openVerifiedLog } from './verified-log.ts';
import { isWritten } from './writer-lock.ts';

/** Entries after which progress is told. */
const PROGRESS_ENTRIES = 4096;

/** What is told of an audit, and asked beside. */
export interface AuditOptions {
  /** Told now and then: entries that were checked so far. */
  readonly progress: (entries: number) => void;
  /** Asked about each entry, once it is known to be the log's; throws for one that it should not have. */
  readonly check?: (entry: JournalEntry) => void;
}

/**
 * Checks every entry of the tree that a checkpoint commits to, and with them every full tile.
 *
 * @throws LedgerError LEDGER_TREE, LEDGER_TILE; what `source` and `check` throw
 */
export async function auditTree(
  source: TileSource,
  checkpoint: VerifiedCheckpoint,
  { progress, check }: AuditOptions,
): Promise<void> {
  const log = await openVerifiedLog(source, checkpoint);
  for await (const entry of log.entries(0, log.size)) {
    check?.(entry);
    if (entry.index % PROGRESS_ENTRIES === 0) progress(entry.index);
  }
  progress(log.size);
}

/**
 * Checks a log on this host, read-only: what is served, the partial tiles of earlier checkpoints, and that the batches and the state
 * beside them fit. While its writer is at work, what is served alone.
 *
 * @throws LedgerError LEDGER_TREE, LEDGER_TILE, LEDGER_CORRUPT, LEDGER_FORMAT, LEDGER_NOTE, LEDGER_SIGNATURE, LEDGER_CHECKPOINT; what `check` throws
 */
export async function auditLocalLog(
  { disk, files, key }: { readonly disk: LogDisk; readonly files: LogFiles; readonly key: NoteVerifier },
  options: AuditOptions,
): Promise<VerifiedCheckpoint> {
  const policy: CheckpointPolicy = { log: [key], witnesses: [], quorum: 0 };
  const bytes = disk.read(files.checkpoint);
  if (bytes === null) throw corruptLog(files, 'it has no checkpoint');
  const checkpoint = verifyCheckpoint(bytes, policy);
  await auditTree((name) => Promise.resolve(readTile(disk, files, name)), checkpoint, options);
  if (isWritten(join(files.root, 'lock'))) return checkpoint;
  readLogFormat(files.root);
  recoverLog(disk, files, key);
  for (const name of lastTiles(checkpoint.size)) checkPartialForms(disk, files, name);
  return checkpoint;
}

/** The tiles and the bundle at the right edge, as wide as they are. */
function lastTiles(size: number): TileName[] {
  const tiles = edgeTiles(size).filter(({ width }) => width > 0);
  return tiles.flatMap((name) => (name.level === 0 ? [name, { ...name, level: 'entries' as const }] : [name]));
}

/** Each partial tile begins as the widest, which was checked. */
function checkPartialForms(disk: LogDisk, files: LogFiles, name: TileName): void {
  const whole = readTile(disk, files, name);
  for (const width of partialWidths(disk, files, name)) {
    const wanted = narrowTile(whole, { ...name, width });
    const found = disk.read(files.tile({ ...name, width })) ?? Buffer.alloc(0);
    if (width > name.width || !isSameBytes(found, wanted))
      throw corruptLog(files, `${tilePath({ ...name, width })} is`);
  }
}
