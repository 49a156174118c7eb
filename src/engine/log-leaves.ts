// Entries of the journal by their index, for judging attestations by what was logged of them. An entry never changes, so it is read once.
import { messageOf } from '../base/index.ts';
import { type Journal, type JournalReader, LedgerError } from '../ledger/index.ts';

/** Entries that are kept: 32 MiB of the longest, some 3 MiB of usual ones. */
const KEPT_MAX = 4096;

export interface LogLeaves {
  /** An entry; null where the log has none, undefined where it was not read yet. */
  at(index: number): Buffer | null | undefined;
  /** Reads entries, so that `at` knows them. @throws LedgerError when the log cannot be read, or is not what it was */
  load(indexes: readonly number[]): Promise<void>;
}

/** Those of the journal that this process writes; all of them are known. */
export function leavesOfJournal(journal: Pick<Journal, 'read'>, warn: (why: string) => void): LogLeaves {
  const kept = new Map<number, Buffer>();
  return {
    at: (index) => {
      const known = kept.get(index) ?? readEntry(journal, index, warn);
      if (known === null) return null;
      keep(kept, index, known);
      return known;
    },
    load: () => Promise.resolve(),
  };
}

/** A log that cannot be read has no entry that proves anything: what it should prove has failed. */
function readEntry(journal: Pick<Journal, 'read'>, index: number, warn: (why: string) => void): Buffer | null {
  try {
    return journal.read(index, 1)[0]?.bytes ?? null;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    warn(`entry ${index} cannot be read: ${messageOf(error)}`);
    return null;
  }
}

/** Those of a journal that another process may be writing. */
export function leavesOfReader(open: () => Pick<JournalReader, 'entriesAt'>): LogLeaves {
  const kept = new Map<number, Buffer | null>();
  return {
    at: (index) => kept.get(index),
    load: async (indexes) => {
      const found = await open().entriesAt(indexes);
      // All that one look asks for stays: it could not end otherwise.
      for (const index of indexes) kept.set(index, found.get(index) ?? null);
    },
  };
}

/** Keeps it as the newest. */
function keep(kept: Map<number, Buffer>, index: number, bytes: Buffer): void {
  kept.delete(index);
  kept.set(index, bytes);
  const [oldest] = kept.keys();
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
}
