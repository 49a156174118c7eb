// Attestations of a chain with receipts that a log has them: written for others, and checked by others without the log.
import { z } from 'zod';

import { type Digest, isDigest } from '../artifact/index.ts';
import { canonicalJson, exitStatus, messageOf, MIB } from '../base/index.ts';
import { hashLeaf, openJournalReader, parseVerifierKey, verifyReceipt } from '../ledger/index.ts';
import { type Chain, nodesOf, type ReceiptedEntry, type StoredAttestation } from '../provenance/index.ts';
import { encodeAttestationFile } from './attestation-file.ts';
import { EngineError } from './errors.ts';
import type { ReadContext } from './reading.ts';
import type { Verified } from './verifying.ts';

/** As many as a file of attestations has lines, each with its entry and its receipt. */
const FILE_BYTES_MAX = 64 * MIB;
const LINES_MAX = 1024;

/** A file of receipts, and the public key of the log that gave them. */
export interface ReceiptFile {
  /** For messages: its path. */
  readonly source: string;
  readonly bytes: Uint8Array;
  /** NAME+ID+BASE64 */
  readonly logKey: string;
}

const receiptLine = z.strictObject({
  envelopeDigest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a SHA-256 digest'),
  /** The entry, which is a line of JSON itself. */
  leaf: z.string(),
  /** @source https://c2sp.org/tlog-proof */
  receipt: z.string(),
});

/**
 * Reads receipts and verifies each under the log's key. One that does not hold is kept with the reason: it fails its link.
 *
 * @throws EngineError ENGINE_RECEIPTS when a line is none; LedgerError LEDGER_KEY
 */
export function readReceipts({ source, bytes, logKey }: ReceiptFile): ReadonlyMap<Digest, ReceiptedEntry | string> {
  if (bytes.length > FILE_BYTES_MAX)
    throw unusable(source, `has ${bytes.length} bytes; the limit is ${FILE_BYTES_MAX}`);
  const policy = { log: [parseVerifierKey(logKey)], witnesses: [], quorum: 0 };
  const lines = Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
  if (lines.length > LINES_MAX) throw unusable(source, `has more than ${LINES_MAX} lines`);
  const found = new Map<Digest, ReceiptedEntry | string>();
  for (const [at, line] of lines.entries()) {
    const { envelopeDigest, leaf, receipt } = parseLine(line, `${source}:${at + 1}`);
    found.set(envelopeDigest, checkLine(Buffer.from(leaf), Buffer.from(receipt), policy));
  }
  return found;
}

function parseLine(line: string, where: string): z.infer<typeof receiptLine> {
  try {
    return receiptLine.parse(JSON.parse(line));
  } catch (error) {
    throw unusable(where, 'is no receipt of an attestation', error);
  }
}

function checkLine(
  leaf: Buffer,
  receipt: Buffer,
  policy: Parameters<typeof verifyReceipt>[2],
): ReceiptedEntry | string {
  try {
    const { index, checkpoint } = verifyReceipt(receipt, hashLeaf(leaf), policy);
    return { log: checkpoint.origin, index, leaf };
  } catch (error) {
    // A receipt that does not hold is a link that failed, whatever is wrong with it.
    return `its receipt does not hold: ${messageOf(error)}`;
  }
}

/**
 * Writes the attestations of a chain that this home has, one a line, and a receipt for each if they are asked for.
 *
 * @throws EngineError ENGINE_ATTESTATIONS when one was damaged; ENGINE_RECEIPTS when the log has none for one
 */
export async function exportChain(
  { attestations, home }: ReadContext,
  { root }: Chain,
  withReceipts: boolean,
): Promise<NonNullable<Verified['exported']>> {
  const kept = new Map<Digest, StoredAttestation>();
  for (const { digest } of nodesOf(root)) {
    if (digest !== null) for (const one of attestations.list(digest)) kept.set(one.digest, one);
  }
  const all = [...kept.values()];
  const bytes = encodeAttestationFile(all);
  return { bytes, count: all.length, receipts: withReceipts ? await receiptsFor(all, home.logDir) : null };
}

async function receiptsFor(all: readonly StoredAttestation[], logDir: string): Promise<Buffer> {
  const reader = openJournalReader(logDir);
  const leaves = await reader.entriesAt(all.map(({ logIndex }) => logIndex ?? -1));
  const lines: string[] = [];
  for (const { digest, logIndex } of all) {
    const leaf = leaves.get(logIndex ?? -1);
    const receipt = logIndex === null ? null : await reader.receipt(logIndex);
    if (leaf === undefined || receipt === null) throw notCovered(digest);
    lines.push(`${canonicalJson({ envelopeDigest: digest, leaf: leaf.toString(), receipt: receipt.toString() })}\n`);
  }
  return Buffer.from(lines.join(''));
}

function notCovered(digest: Digest): EngineError {
  return new EngineError('ENGINE_RECEIPTS', `the log has no checkpoint over the entry of ${digest}`, {
    exit: exitStatus.unavailable,
    hint: 'Ask again in a moment: a checkpoint follows its entries. Where the supervisor is gone, the next command that starts it writes it.',
  });
}

function unusable(source: string, why: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_RECEIPTS', `the receipts cannot be used: ${source} ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Each line is what provost verify --export FILE --receipts FILE wrote.',
    cause,
  });
}
