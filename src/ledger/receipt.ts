// Receipts: that an entry is in a log, checked without the log. @source https://c2sp.org/tlog-proof
import { exitStatus } from '../base/index.ts';
import { type CheckpointPolicy, type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { LedgerError } from './journal.ts';
import { PROOF_HASHES_MAX, verifyInclusion } from './proof.ts';
import { decodeBase64, NOTE_BYTES_MAX } from './signed-note.ts';
import { HASH_BYTES } from './tree-hash.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';
/** Header, index and proof of a tree of 2^63 entries, and as much again. */
const RECEIPT_BYTES_MAX = 2 * NOTE_BYTES_MAX;

/** A receipt as it was read; nothing in it is verified. */
export interface Receipt {
  readonly index: number;
  readonly proof: readonly Buffer[];
  /** Of the log's user; nobody has signed it. */
  readonly extra: Buffer | null;
  /** The signed checkpoint. */
  readonly checkpoint: Buffer;
}

/** Writes a receipt. */
export function encodeReceipt({ index, proof, extra, checkpoint }: Receipt): Buffer {
  const lines = [
    HEADER,
    ...(extra === null ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...proof.map((hash) => hash.toString('base64')),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`), checkpoint]);
}

/**
 * Parses a receipt.
 *
 * @throws LedgerError LEDGER_RECEIPT
 */
export function parseReceipt(bytes: Uint8Array): Receipt {
  if (bytes.length > RECEIPT_BYTES_MAX) throw badReceipt('it is too long');
  const buffer = Buffer.from(bytes);
  const end = buffer.indexOf('\n\n');
  const [header, ...lines] = buffer.subarray(0, Math.max(end, 0)).toString('latin1').split('\n');
  if (header !== HEADER) throw badReceipt(`its first line is not ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') === true ? decodeBase64(lines.shift()?.slice(6) ?? '') : undefined;
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? '')?.[1];
  const proof = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES) as Buffer[];
  if (extra === null || index === undefined || !Number.isSafeInteger(Number(index)))
    throw badReceipt('its lines are not those of one');
  if (proof.length !== lines.length || proof.length > PROOF_HASHES_MAX)
    throw badReceipt('its proof has not the form of one');
  return { index: Number(index), proof, extra: extra ?? null, checkpoint: buffer.subarray(end + 2) };
}

/**
 * Verifies that the entry with this leaf hash is in a log, under a checkpoint of the policy's.
 *
 * @throws LedgerError LEDGER_RECEIPT, LEDGER_PROOF, and what `verifyCheckpoint` throws
 */
export function verifyReceipt(
  bytes: Uint8Array,
  leafHash: Uint8Array,
  policy: CheckpointPolicy,
): { readonly index: number; readonly checkpoint: VerifiedCheckpoint } {
  const { index, proof, checkpoint: note } = parseReceipt(bytes);
  const checkpoint = verifyCheckpoint(note, policy);
  const { size, root } = checkpoint;
  verifyInclusion({ index: BigInt(index), size: BigInt(size), leafHash, proof, root });
  return { index, checkpoint };
}

function badReceipt(why: string): LedgerError {
  return new LedgerError('LEDGER_RECEIPT', `the receipt cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Get it again: provost log prove.',
  });
}
