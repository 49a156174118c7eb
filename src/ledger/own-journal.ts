// The journal of a home: a log of its own, with a key of its own, that other processes can read and check.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { makeJournalFolder } from './disk.ts';
import { checkEntry } from './entry-form.ts';
import { openHostDisk } from './log-disk.ts';
import { claimLogFormat } from './log-format.ts';
import { hasKey, makeKey, readKey } from './log-key.ts';
import { type NoteSigner, parseSignerKey } from './note-key.ts';
import { openTileLog, type TileLog } from './tile-log.ts';
import { takeWriterLock } from './writer-lock.ts';

/** A checkpoint follows an entry within this; what asks for a receipt waits less. */
const PUBLISH_AFTER_MS = 200;
/** Some 250 partial tiles of 100 KiB may lie beside a full one until then. */
const SETTLE_AFTER_MS = 1000;

/**
 * Opens the journal in `dir` for writing, making it and its key when it is not there. The end of a write that a crash cut short is
 * removed: it was never acknowledged.
 *
 * @param origin the log's name, for a new one
 * @throws LedgerError LEDGER_LOCKED, LEDGER_CORRUPT, LEDGER_FORMAT, LEDGER_KEY, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export async function openJournal(dir: string, origin: string): Promise<TileLog> {
  makeJournalFolder(dir);
  const lock = takeWriterLock(join(dir, 'lock'));
  let signer: NoteSigner;
  try {
    claimLogFormat(dir, 'provost');
    // A log that lost its key cannot go on under another: its readers know the old one.
    if (!hasKey(dir) && !existsSync(join(dir, 'state'))) makeKey(dir, origin);
    signer = parseSignerKey(readKey(dir));
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  const options = {
    dir,
    disk: openHostDisk(),
    signer,
    check: checkEntry,
    publishAfterMs: PUBLISH_AFTER_MS,
    settleAfterMs: SETTLE_AFTER_MS,
    cosign: null,
  };
  return openTileLog(options, lock);
}
