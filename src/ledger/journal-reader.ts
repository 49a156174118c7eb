// Readers of a journal: they take no lock, write nothing, and go as far as the chain holds.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { emptyHead } from './chain.ts';
import { JOURNAL_FILE } from './hash-chain.ts';
import { checkRange, corrupt, emptyIndex, headAtSize, readEntries, scanRecords } from './journal-file.ts';
import { type JournalEntry, type JournalReceipt, LedgerError } from './journal.ts';

/** Reads a journal that another process may be writing. It shows the entries up to the first that is damaged. */
export interface JournalReader extends Disposable {
  readonly size: number;
  /** Why it ends before the file does; null when it does not. */
  readonly damage: LedgerError | null;
  receipt(index: number): JournalReceipt;
  read(from: number, limit: number): JournalEntry[];
  /** Takes in what was written since. An entry may be seen shortly before it is durable. */
  refresh(): void;
}

/**
 * Opens the journal in `dir` for reading; one that was never made is empty.
 *
 * @throws LedgerError LEDGER_STOPPED when it may not be read
 */
export function openJournalReader(dir: string): JournalReader {
  const file = join(dir, JOURNAL_FILE);
  const fd = openToRead(file);
  const index = emptyIndex();
  let damage: LedgerError | null = null;
  const refresh = (): void => {
    if (fd === null || damage !== null) return;
    const found = scanRecords(fd, index).damage;
    damage = found === null ? null : corrupt(file, found);
  };
  refresh();
  return {
    get size() {
      return index.offsets.length;
    },
    get damage() {
      return damage;
    },
    receipt: (at) => {
      checkRange(at, index.offsets.length);
      return { index: at, size: index.offsets.length, head: index.head };
    },
    read: (from, limit) => (fd === null ? [] : readEntries({ file, fd, index, from, limit })),
    refresh,
    [Symbol.dispose]: () => {
      if (fd !== null) closeSync(fd);
    },
  };
}

function openToRead(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw new LedgerError('LEDGER_STOPPED', `${file} cannot be read: ${messageOf(error)}`, {
      exit: exitStatus.notAuthorised,
      hint: 'Read it as the user that runs the supervisor.',
      cause: error,
    });
  }
}

/** What a whole journal adds up to. */
export interface VerifiedJournal {
  readonly size: number;
  readonly head: string;
  /** Bytes after the last entry of a write that is under way or was cut short by a crash. */
  readonly tornBytes: number;
}

/**
 * Recomputes the whole chain of the journal in `dir`. The chain alone cannot show that its end was cut off: a
 * `receipt` that was kept elsewhere can, and is checked when given.
 *
 * @throws LedgerError LEDGER_CORRUPT
 */
export function verifyJournal(dir: string, receipt: JournalReceipt | null = null): VerifiedJournal {
  const file = join(dir, JOURNAL_FILE);
  const fd = openToRead(file);
  if (fd === null) return checkReceipt({ size: 0, head: emptyHead, tornBytes: 0 }, receipt, emptyHead);
  try {
    const index = emptyIndex();
    const { damage, tornBytes } = scanRecords(fd, index);
    if (damage !== null) throw corrupt(file, damage);
    const verified = { size: index.offsets.length, head: index.head, tornBytes };
    return checkReceipt(verified, receipt, headAtSize(fd, index, receipt?.size ?? 0));
  } finally {
    closeSync(fd);
  }
}

function checkReceipt(verified: VerifiedJournal, receipt: JournalReceipt | null, headThen: string): VerifiedJournal {
  if (receipt === null || (receipt.size <= verified.size && receipt.head === headThen)) return verified;
  throw new LedgerError(
    'LEDGER_CORRUPT',
    `the journal has ${verified.size} entries and does not continue the one that had ${receipt.size} with head ${receipt.head}`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Entries that were acknowledged are gone or were replaced: restore the journal from a backup.',
      details: { size: verified.size, head: verified.head, was: receipt },
    },
  );
}
