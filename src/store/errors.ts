// What can go wrong with the embedded database.
import { exitStatus, messageOf, ProvostError } from '../base/index.ts';

export type StoreErrorCode =
  | 'STORE_OPEN'
  | 'STORE_NEWER'
  | 'STORE_CORRUPT'
  | 'STORE_BUSY'
  | 'STORE_NO_SPACE'
  | 'STORE_FAILED'
  | 'STORE_ID_RANGES';

export class StoreError extends ProvostError<StoreErrorCode> {}

/** SQLite's result codes (https://www.sqlite.org/rescode.html) that a person can act on. */
const ACTIONABLE: ReadonlyMap<number, { code: StoreErrorCode; what: string; hint: string }> = new Map([
  [
    5,
    { code: 'STORE_BUSY', what: 'is locked by another process', hint: 'One supervisor per PROVOST_HOME writes to it.' },
  ],
  [8, { code: 'STORE_OPEN', what: 'may not be written', hint: 'Run as the user that owns PROVOST_HOME.' }],
  [11, { code: 'STORE_CORRUPT', what: 'is damaged', hint: 'Restore it from a backup; the journal is kept apart.' }],
  [13, { code: 'STORE_NO_SPACE', what: 'has no space left', hint: 'Free some space on the disk of PROVOST_HOME.' }],
  [
    14,
    {
      code: 'STORE_OPEN',
      what: 'cannot be opened',
      hint: 'Check that its folder exists and that you may write to it.',
    },
  ],
  [26, { code: 'STORE_CORRUPT', what: 'is not a database', hint: 'Restore it from a backup, or move it away.' }],
]);

/** The low byte of an extended result code is the plain one. */
const PLAIN_CODE = 0xff;

/** Runs `act`; what SQLite refuses becomes a StoreError, everything else passes through as it is. */
export function withStoreErrors<Result>(file: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    const errcode = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
    if (typeof errcode !== 'number') throw error;
    const known = ACTIONABLE.get(errcode & PLAIN_CODE);
    const message = known === undefined ? `failed: ${messageOf(error)}` : known.what;
    throw new StoreError(known?.code ?? 'STORE_FAILED', `the database ${file} ${message}`, {
      exit: known === undefined ? exitStatus.internal : exitStatus.unavailable,
      ...(known === undefined ? {} : { hint: known.hint }),
      details: { file, errcode },
      cause: error,
    });
  }
}
