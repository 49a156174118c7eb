// The key files of a log.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus, messageOf } from '../base/index.ts';
import { saveWhole } from './disk.ts';
import { LedgerError } from './journal.ts';
import { makeSignerKey, parseSignerKey } from './note-key.ts';

/** Files of a log's keys, in its folder. */
const KEY_FILE = 'key';
export const PUBLIC_KEY_FILE = 'key.pub';

/** True when the log in `dir` has its key. */
export function hasKey(dir: string): boolean {
  return existsSync(join(dir, KEY_FILE));
}

/**
 * Makes the key of a new log, mode 0600, and its public part. Only the holder of the writer's lock may.
 *
 * @returns the public key: NAME+ID+BASE64
 * @throws LedgerError LEDGER_KEY for a name with spaces or plus signs, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function makeKey(dir: string, origin: string): string {
  const secret = makeSignerKey(origin);
  const { text } = parseSignerKey(secret).verifier;
  saveWhole(join(dir, PUBLIC_KEY_FILE), `${text}\n`, 0o644);
  saveWhole(join(dir, KEY_FILE), `${secret}\n`, 0o600);
  return text;
}

/** The private key of a log as text. @throws LedgerError LEDGER_KEY */
export function readKey(dir: string): string {
  const file = join(dir, KEY_FILE);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new LedgerError('LEDGER_KEY', `the key of the log, ${file}, cannot be read: ${messageOf(error)}`, {
      exit: exitStatus.unavailable,
      hint: 'Restore it from a backup; without it the log can be read, and not written.',
      cause: error,
    });
  }
}
