// The log: durable, ordered, tamper-evident bytes, in the form that others' tools read and check.
export { ENTRY_BYTES_MAX, type Journal, type JournalEntry, LedgerError, type LedgerErrorCode } from './journal.ts';
export { openJournal } from './own-journal.ts';
export { type JournalReader, openJournalReader } from './journal-reader.ts';
