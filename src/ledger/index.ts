// The log: durable, ordered, tamper-evident bytes, in the form that others' tools read and check.
export { AdmissionQueue } from './admission-queue.ts';
export { auditTree, auditLocalLog } from './audit.ts';
export { type CheckpointPolicy, type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
export { DocumentPacks, eraseDocument, readDocument } from './document-packs.ts';
export { type GoSumLog, openGoSumLog } from './go-sum-log.ts';
export {
  ENTRY_BYTES_MAX,
  type Journal,
  type JournalEntry,
  LedgerError,
  type LedgerErrorCode,
  READ_ENTRIES_MAX,
} from './journal.ts';
export { checkGoRecord } from './go-record.ts';
export { type JournalReader, openJournalReader } from './journal-reader.ts';
export { openHostDisk } from './log-disk.ts';
export { type LogFormat, parseLogFormat, readLogFormat } from './log-format.ts';
export { logFiles } from './log-files.ts';
export { type LogSource, openLogSource } from './log-source.ts';
export { updateMirror } from './mirror.ts';
export { makeSignerKey, type NoteVerifier, parseCosignerKey, parseVerifierKey } from './note-key.ts';
export { openJournal } from './own-journal.ts';
export { makePublicLog, openPublicLog, type PublicLog, type PublicLogOptions, publicKeyOf } from './public-log.ts';
export { encodeReceipt, verifyReceipt } from './receipt.ts';
export { readServedFile, type ServedFile } from './served-file.ts';
export { openTileTree } from './tile-tree.ts';
export { hashLeaf } from './tree-hash.ts';
export { openVerifiedLog } from './verified-log.ts';
export { openWitness, type Witness } from './witness.ts';
export type { WitnessAddress } from './witness-client.ts';
