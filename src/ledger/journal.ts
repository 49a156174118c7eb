// The contract of a journal: what the loop writes to and reads from, whatever keeps it.
import { ProvostError } from '../base/index.ts';

export type LedgerErrorCode =
  | 'LEDGER_ENTRY_TOO_LARGE'
  | 'LEDGER_ENTRY_FORM'
  | 'LEDGER_CORRUPT'
  | 'LEDGER_LOCKED'
  | 'LEDGER_NO_SPACE'
  | 'LEDGER_RANGE'
  | 'LEDGER_STOPPED';

export class LedgerError extends ProvostError<LedgerErrorCode> {}

/** One entry is one line of canonical JSON of at most this size. */
export const ENTRY_BYTES_MAX = 8192;

/** A read entry: its index and its exact bytes (without the newline). */
export interface JournalEntry {
  readonly index: number;
  readonly bytes: Buffer;
}

/** Proof that an entry is under a published head; the hash-chained journal gives its chain head. */
export interface JournalReceipt {
  readonly index: number;
  readonly size: number;
  readonly head: string;
}

/**
 * An append-only log of bytes. The ledger knows no domain: what a line means is the schema of its writer.
 *
 * `append` resolves once the entry is durable. With `flush` it is written at once (an admission, a raise); without it the
 * entry rides in the next batch. The order of indexes is the order of calls.
 */
export interface Journal extends AsyncDisposable {
  readonly size: number;
  append(line: Uint8Array, options: { readonly flush: boolean }): Promise<number>;
  receipt(index: number): JournalReceipt;
  read(from: number, limit: number): JournalEntry[];
}
