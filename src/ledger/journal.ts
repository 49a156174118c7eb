// The contract of a journal: what the loop writes to and reads from, whatever keeps it.
import { ProvostError } from '../base/index.ts';

export type LedgerErrorCode =
  | 'LEDGER_BUSY'
  | 'LEDGER_CHECKPOINT'
  | 'LEDGER_CORRUPT'
  | 'LEDGER_ENTRY_FORM'
  | 'LEDGER_ENTRY_TOO_LARGE'
  | 'LEDGER_EXISTS'
  | 'LEDGER_FORK'
  | 'LEDGER_FORMAT'
  | 'LEDGER_KEY'
  | 'LEDGER_LOCKED'
  | 'LEDGER_NOTE'
  | 'LEDGER_NO_DOCUMENT'
  | 'LEDGER_NO_RECORD'
  | 'LEDGER_NO_SPACE'
  | 'LEDGER_PROOF'
  | 'LEDGER_QUORUM'
  | 'LEDGER_RANGE'
  | 'LEDGER_RECEIPT'
  | 'LEDGER_RECORD'
  | 'LEDGER_RECORD_CONFLICT'
  | 'LEDGER_ROLLBACK'
  | 'LEDGER_SIGNATURE'
  | 'LEDGER_STOPPED'
  | 'LEDGER_TILE'
  | 'LEDGER_TREE'
  | 'LEDGER_UNAVAILABLE';

export class LedgerError extends ProvostError<LedgerErrorCode> {}

/** One entry is one line of canonical JSON of at most this size. */
export const ENTRY_BYTES_MAX = 8192;

/** Entries that one `read` gives at most. */
export const READ_ENTRIES_MAX = 1024;

/** A read entry: its index and its exact bytes (without the newline). */
export interface JournalEntry {
  readonly index: number;
  readonly bytes: Buffer;
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
  /** A proof under a published checkpoint, as https://c2sp.org/tlog-proof has it; publishes one when none covers the entry. */
  receipt(index: number): Promise<Buffer>;
  read(from: number, limit: number): JournalEntry[];
}
