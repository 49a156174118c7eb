// What a log takes as an entry: a journal one line of text, another log any bytes.
import { exitStatus } from '../base/index.ts';
import { BUNDLED_BYTES_MAX } from './entry-bundle.ts';
import { ENTRY_BYTES_MAX, LedgerError } from './journal.ts';

const SPACE = 0x20;

/**
 * Refuses what cannot be an entry of a journal: it is one line of UTF-8 text without control characters, 1 to
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

/**
 * Refuses what no bundle can hold: entries have 1 to 65,535 bytes.
 *
 * @throws LedgerError LEDGER_ENTRY_TOO_LARGE, LEDGER_ENTRY_FORM
 */
export function checkBytes(entry: Uint8Array): void {
  if (entry.length === 0) {
    throw new LedgerError('LEDGER_ENTRY_FORM', 'the entry is empty', {
      exit: exitStatus.usage,
      hint: 'Send its bytes as the body.',
    });
  }
  if (entry.length <= BUNDLED_BYTES_MAX) return;
  const message = `the entry has ${entry.length} bytes; the limit is ${BUNDLED_BYTES_MAX}`;
  throw new LedgerError('LEDGER_ENTRY_TOO_LARGE', message, {
    exit: exitStatus.usage,
    hint: 'Log the digest of what is larger.',
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
