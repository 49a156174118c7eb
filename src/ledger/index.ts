// The journal: durable, ordered, tamper-evident bytes.
export {
  ENTRY_BYTES_MAX,
  type Journal,
  type JournalEntry,
  type JournalReceipt,
  LedgerError,
  type LedgerErrorCode,
} from './journal.ts';
