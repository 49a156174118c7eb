// One writer at a time, held by the kernel, so that a dead writer's lock is gone with it.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import { exitStatus, messageOf } from '../base/index.ts';
import { makeLockFile } from './disk.ts';
import { LedgerError } from './journal.ts';

/** SQLite's result code for a lock that another holds. */
const SQLITE_BUSY = 5;

/**
 * Takes the writer's lock on `file` until it is disposed of. Node has no `flock`; SQLite, which it carries, holds its exclusive
 * lock by `fcntl(F_SETLK)`, which ends with the process, however it ends. Nothing is ever written:
 * the file stays empty and a full disk is no obstacle.
 *
 * @throws LedgerError LEDGER_LOCKED when another process, or this one, has it; LEDGER_NO_SPACE or LEDGER_STOPPED
 * when the file cannot be made
 */
export function takeWriterLock(file: string): Disposable {
  makeLockFile(file);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw lockError(file, error);
  }
  const held = database;
  return { [Symbol.dispose]: () => held.close() };
}

/** Whether a process writes to the log whose lock is on `file`, now. */
export function isWritten(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    takeWriterLock(file)[Symbol.dispose]();
    return false;
  } catch (error) {
    // A lock that this user cannot take for another reason says nothing of a writer.
    return error instanceof LedgerError && error.code === 'LEDGER_LOCKED';
  }
}

function lockError(file: string, error: unknown): LedgerError {
  const isBusy = error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
  if (isBusy) {
    return new LedgerError('LEDGER_LOCKED', 'another process is writing to this log', {
      exit: exitStatus.unavailable,
      hint: 'End it first; of a home it is the supervisor: provost shutdown.',
      details: { file },
      cause: error,
    });
  }
  return new LedgerError('LEDGER_STOPPED', `the journal's lock file ${file} cannot be used: ${messageOf(error)}`, {
    exit: exitStatus.unavailable,
    hint: 'Check that the folder exists and that you may write to it.',
    cause: error,
  });
}
