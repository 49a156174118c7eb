// The form of one record and the arithmetic of the chain; no I/O.
import { createHash } from 'node:crypto';

import { exitStatus } from '../base/index.ts';
import { ENTRY_BYTES_MAX, LedgerError } from './journal.ts';

/** First line of a journal's file; its digest is the head of the empty journal. */
export const JOURNAL_HEADER = 'provost-journal v1 sha256\n';

/** Bytes of a head in hex, before the space. */
const HEAD_CHARS = 64;
const NEWLINE = 0x0a;
const SPACE = 0x20;

/** A record is `<head> <entry>\n`: bytes that it adds to its entry, and its largest size. */
export const RECORD_OVERHEAD_BYTES = HEAD_CHARS + 2;
export const RECORD_BYTES_MAX = ENTRY_BYTES_MAX + RECORD_OVERHEAD_BYTES;

/** Head of the journal without entries. */
export const emptyHead: string = createHash('sha256').update(JOURNAL_HEADER).digest('hex');

/** The head after `entry`: SHA-256 over the 32 bytes of the head before it and the entry's bytes. */
export function nextHead(head: string, entry: Uint8Array): string {
  return createHash('sha256').update(head, 'hex').update(entry).digest('hex');
}

/** The bytes of a record on disk. */
export function encodeRecord(head: string, entry: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${head} `), entry, Buffer.of(NEWLINE)]);
}

/**
 * Checks one record (without its newline) against the head before it.
 *
 * @returns the head after it, or null when it does not continue the chain
 */
export function continueChain(head: string, record: Uint8Array): string | null {
  if (record.length <= HEAD_CHARS + 1 || record[HEAD_CHARS] !== SPACE) return null;
  const stated = headOfRecord(record);
  return nextHead(head, entryOfRecord(record)) === stated ? stated : null;
}

/** The stated head of a record. */
export function headOfRecord(record: Uint8Array): string {
  return Buffer.from(record.buffer, record.byteOffset, HEAD_CHARS).toString('latin1');
}

/** The entry of a record without its newline. */
export function entryOfRecord(record: Uint8Array): Uint8Array {
  return record.subarray(HEAD_CHARS + 1);
}

/**
 * Refuses what cannot be an entry: it is one line of UTF-8 text without control characters, 1 to
 * {@link ENTRY_BYTES_MAX} bytes.
 *
 * @throws LedgerError LEDGER_ENTRY_TOO_LARGE, LEDGER_ENTRY_FORM
 */
export function checkEntry(line: Uint8Array): void {
  if (line.length > ENTRY_BYTES_MAX) {
    throw new LedgerError(
      'LEDGER_ENTRY_TOO_LARGE',
      `the entry has ${line.length} bytes; the limit is ${ENTRY_BYTES_MAX}`,
      { exit: exitStatus.internal, hint: 'Keep the document in the content store and name it by its digest.' },
    );
  }
  const fault = faultOf(line);
  if (fault === null) return;
  throw new LedgerError('LEDGER_ENTRY_FORM', `the entry ${fault}; an entry is one line of canonical JSON`, {
    exit: exitStatus.internal,
    hint: 'Write the entry with canonicalJson.',
  });
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

function faultOf(line: Uint8Array): string | null {
  if (line.length === 0) return 'is empty';
  if (line.some((byte) => byte < SPACE)) return 'holds a line break or another control character';
  try {
    strictUtf8.decode(line);
    return null;
  } catch {
    // The decoder's only failure here is malformed input, which is the answer.
    return 'is not valid UTF-8';
  }
}
