// The journal: durable, ordered, tamper-evident bytes.
export {
  ENTRY_BYTES_MAX,
  type Journal,
  type JournalEntry,
  type JournalReceipt,
  LedgerError,
  type LedgerErrorCode,
} from './journal.ts';
export { openJournal } from './hash-chain.ts';
export { type JournalReader, openJournalReader, type VerifiedJournal, verifyJournal } from './journal-reader.ts';
