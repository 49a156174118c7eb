// Making a journal's file so that it is there whole or not at all, and naming what a disk refuses.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';

import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { LedgerError } from './journal.ts';

const NO_SPACE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);
const NO_ACCESS: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * Makes the journal's folder, mode 0750.
 *
 * @throws LedgerError LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function makeJournalFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o750 });
  } catch (error) {
    throw writeError(dir, error);
  }
}

/**
 * Makes the empty file that the writer's lock is on. One that is there is not touched: closing any descriptor of it would
 * release a lock that this process holds.
 *
 * @throws LedgerError LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function makeLockFile(file: string): void {
  if (existsSync(file)) return;
  try {
    withOpen(file, 'a', fsyncSync);
  } catch (error) {
    throw writeError(file, error);
  }
}

/**
 * Writes a small file so that it is there whole or not at all.
 *
 * @throws LedgerError LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function saveWhole(file: string, text: string, mode: number): void {
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

function withOpen(path: string, flags: 'r' | 'w' | 'a', act: (fd: number) => void): void {
  const fd = openSync(path, flags, 0o640);
  try {
    act(fd);
  } finally {
    closeSync(fd);
  }
}

/** The error for a write that the system refused. */
export function writeError(file: string, cause: unknown): LedgerError {
  const errno = errnoOf(cause);
  if (NO_SPACE.has(errno)) {
    return new LedgerError('LEDGER_NO_SPACE', `no space is left to write to ${file}`, {
      exit: exitStatus.unavailable,
      hint: 'Free some space; the journal goes on after its last acknowledged entry when it is opened again.',
      cause,
    });
  }
  return new LedgerError('LEDGER_STOPPED', `${file} cannot be written: ${messageOf(cause)}`, {
    exit: NO_ACCESS.has(errno) ? exitStatus.notAuthorised : exitStatus.unavailable,
    hint: 'Check the disk and the folder, then open the journal again.',
    cause,
  });
}
