// The journal of a home: a log of its own, with a key of its own, that other processes can read and check.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus, messageOf } from '../base/index.ts';
import { makeJournalFolder, writeError } from './disk.ts';
import { checkEntry } from './entry-form.ts';
import { LedgerError } from './journal.ts';
import { openHostDisk } from './log-disk.ts';
import { makeSignerKey, type NoteSigner, parseSignerKey } from './note-key.ts';
import { openTileLog, type TileLog } from './tile-log.ts';
import { takeWriterLock } from './writer-lock.ts';

/** A checkpoint follows an entry within this; what asks for a receipt waits less. */
const PUBLISH_AFTER_MS = 100;
/** Some 250 partial tiles of 100 KiB may lie beside a full one until then. */
const SETTLE_AFTER_MS = 1000;

/** Files of a log's keys, in its folder. */
export const KEY_FILE = 'key';
export const PUBLIC_KEY_FILE = 'key.pub';

/**
 * Opens the journal in `dir` for writing, making it and its key when it is not there. The end of a write that a crash cut short is
 * removed: it was never acknowledged.
 *
 * @param origin the log's name, for a new one
 * @throws LedgerError LEDGER_LOCKED, LEDGER_CORRUPT, LEDGER_KEY, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export async function openJournal(dir: string, origin: string): Promise<TileLog> {
  makeJournalFolder(dir);
  const lock = takeWriterLock(join(dir, 'lock'));
  let signer: NoteSigner;
  try {
    signer = loadOrMakeKey(dir, origin);
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

/** Only the holder of the writer's lock may make a key. */
function loadOrMakeKey(dir: string, origin: string): NoteSigner {
  const file = join(dir, KEY_FILE);
  if (!existsSync(file)) {
    // A log that lost its key cannot go on under another: its readers know the old one.
    if (existsSync(join(dir, 'state'))) throw noKey(file, 'it is gone');
    const text = makeSignerKey(origin);
    const signer = parseSignerKey(text);
    saveKey(join(dir, PUBLIC_KEY_FILE), `${signer.verifier.text}\n`, 0o644);
    saveKey(file, `${text}\n`, 0o600);
  }
  return parseSignerKey(readKey(file));
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw noKey(file, messageOf(error), error);
  }
}

function saveKey(file: string, text: string, mode: number): void {
  try {
    const fresh = `${file}.new`;
    const fd = openSync(fresh, 'w', mode);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, file);
  } catch (error) {
    throw writeError(file, error);
  }
}

function noKey(file: string, why: string, cause?: unknown): LedgerError {
  return new LedgerError('LEDGER_KEY', `the key of the log, ${file}, cannot be read: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Restore it from a backup; without it the log can be read, and not written.',
    cause,
  });
}
