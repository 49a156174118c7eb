// A copy of a log that follows it: made from its entries alone, so that it is what their checkpoint commits to.
import { isSameBytes, exitStatus } from '../base/index.ts';
import { type CheckpointPolicy, type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { LedgerError } from './journal.ts';
import type { LogDisk } from './log-disk.ts';
import { encodeState, type LogFiles, readState } from './log-files.ts';
import { readEdge } from './log-recovery.ts';
import type { LogSource } from './log-source.ts';
import type { TreeEdge } from './tree-edge.ts';
import { openVerifiedLog, type VerifiedLog } from './verified-log.ts';

/** Entries after which a copy is made durable: what is fetched again after a crash. */
const SAVE_ENTRIES = 65_536;

/** What a mirror works with. */
export interface MirrorParts {
  readonly disk: LogDisk;
  readonly files: LogFiles;
  readonly source: LogSource;
  readonly policy: CheckpointPolicy;
  /** Told now and then: entries that are here so far. */
  readonly progress: (entries: number, of: number) => void;
}

/**
 * Brings a mirror up to the log's present checkpoint.
 *
 * @returns the checkpoint that the mirror now has
 * @throws LedgerError LEDGER_ROLLBACK, LEDGER_FORK, both with the two signed checkpoints as `details.ours` and `details.theirs`;
 * LEDGER_TREE, LEDGER_TILE, LEDGER_UNAVAILABLE, and what `verifyCheckpoint` throws
 */
export async function updateMirror(parts: MirrorParts): Promise<VerifiedCheckpoint> {
  const { disk, files, source, policy } = parts;
  const bytes = await source.checkpoint();
  const theirs = verifyCheckpoint(bytes, policy);
  const known = disk.read(files.checkpoint);
  const ours = known === null ? null : verifyCheckpoint(known, { ...policy, quorum: 0 });
  const log = await continueLog({ source, ours, theirs, notes: { ours: known, theirs: bytes } });
  if (ours !== null && ours.size === theirs.size) return theirs;
  await copyEntries(parts, log);
  await disk.replaceWhole(files.checkpoint, bytes);
  await disk.sync([files.checkpoint], files.root);
  return theirs;
}

/**
 * Checks that one checkpoint of a log continues another.
 *
 * @throws LedgerError LEDGER_ROLLBACK, LEDGER_FORK, LEDGER_TREE
 */
export async function continueLog({ source, ours, theirs, notes }: Continuation): Promise<VerifiedLog> {
  if (ours !== null && theirs.size < ours.size) throw conflict('LEDGER_ROLLBACK', notes, ours, theirs);
  if (ours !== null && theirs.size === ours.size && !isSameBytes(theirs.root, ours.root))
    throw conflict('LEDGER_FORK', notes, ours, theirs);
  const log = await openVerifiedLog(source.tile, theirs);
  if (ours !== null && ours.size > 0 && !isSameBytes(await log.rootAt(ours.size), ours.root))
    throw conflict('LEDGER_FORK', notes, ours, theirs);
  return log;
}

/** Two checkpoints of one log, both verified. */
export interface Continuation {
  readonly source: Pick<LogSource, 'tile'>;
  readonly ours: VerifiedCheckpoint | null;
  readonly theirs: VerifiedCheckpoint;
  /** As they were signed. */
  readonly notes: { readonly ours: Buffer | null; readonly theirs: Buffer };
}

async function copyEntries({ disk, files, progress }: MirrorParts, log: VerifiedLog): Promise<void> {
  const edge = readEdge(disk, files, readState(disk, files)?.size ?? 0);
  for await (const { index, bytes } of log.entries(edge.size, log.size)) {
    edge.add(bytes);
    if ((index + 1) % SAVE_ENTRIES !== 0 && index + 1 !== log.size) continue;
    await saveEdge(disk, files, edge);
    progress(index + 1, log.size);
  }
}

async function saveEdge(disk: LogDisk, files: LogFiles, edge: TreeEdge): Promise<void> {
  const written = [...edge.takeFull(), ...edge.partial()].map(({ name, bytes }) => {
    disk.replace(files.tile(name), bytes);
    return files.tile(name);
  });
  await disk.sync(written, files.root);
  await disk.replaceWhole(files.state, encodeState({ size: edge.size, root: edge.root() }));
  await disk.sync([files.state], files.root);
}

// oxlint-disable-next-line max-params -- two checkpoints, each with its note
function conflict(
  code: 'LEDGER_ROLLBACK' | 'LEDGER_FORK',
  notes: Continuation['notes'],
  ours: VerifiedCheckpoint,
  theirs: VerifiedCheckpoint,
): LedgerError {
  const what =
    code === 'LEDGER_ROLLBACK'
      ? `went back from ${ours.size} entries to ${theirs.size}`
      : `has two trees: one of ${ours.size} entries, and one of ${theirs.size} that does not continue it`;
  return new LedgerError(code, `the log '${ours.origin.slice(0, 80)}' ${what}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Both checkpoints are signed by the log: together they prove that it cheated, or was restored from a backup. Keep them, and show them to others.',
    details: { ours: notes.ours?.toString(), theirs: notes.theirs.toString() },
  });
}
