// Logs as use cases: made, proved from, checked and mirrored, on this host or behind a URL.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';

import { hexOf, parseDigest } from '../artifact/index.ts';
import { exitStatus } from '../base/index.ts';
import {
  auditLocalLog,
  auditTree,
  type CheckpointPolicy,
  encodeReceipt,
  eraseDocument,
  hashLeaf,
  logFiles,
  type LogFormat,
  type LogSource,
  type NoteVerifier,
  openHostDisk,
  openLogSource,
  openTileTree,
  openVerifiedLog,
  parseVerifierKey,
  publicKeyOf,
  readDocument,
  readLogFormat,
  updateMirror,
  type VerifiedCheckpoint,
  verifyCheckpoint,
  verifyReceipt,
} from '../ledger/index.ts';
import { EngineError } from './errors.ts';
import { entryCheckOf } from './log-entries.ts';

/** Whom a log is believed with. */
export interface LogTrust {
  /** Its public key; null for the one in its folder. */
  readonly key: string | null;
  /** Public keys of witnesses. */
  readonly witnesses: readonly string[];
  readonly quorum: number;
}

/** A checkpoint as people and programs see it. */
export interface CheckpointDocument {
  readonly origin: string;
  readonly size: number;
  /** SHA-256, hex. */
  readonly root: string;
  readonly cosigned: readonly { readonly witness: string; readonly time: string }[];
}

type Progress = (done: number, of: number) => void;

function policyOf(target: string, { key, witnesses, quorum }: LogTrust): CheckpointPolicy {
  const known = key ?? publicKeyOf(target);
  if (known === null) {
    throw new EngineError('ENGINE_LOG', `the public key of ${target} is not known`, {
      exit: exitStatus.usage,
      hint: 'Give it with --key: NAME+ID+BASE64, as the log’s operator publishes it.',
    });
  }
  return { log: [parseVerifierKey(known)], witnesses: witnesses.map(parseVerifierKey), quorum };
}

function documentOf({ origin, size, root, signatures }: VerifiedCheckpoint): CheckpointDocument {
  const cosigned = signatures.flatMap(({ verifier, timestamp }) =>
    timestamp === null ? [] : [{ witness: verifier.name, time: new Date(timestamp * 1000).toISOString() }],
  );
  return { origin, size, root: root.toString('hex'), cosigned };
}

interface OpenedLog {
  readonly source: LogSource;
  readonly checkpoint: VerifiedCheckpoint;
  readonly note: Buffer;
}

async function openLog(target: string, trust: LogTrust): Promise<OpenedLog> {
  const policy = policyOf(target, trust);
  const source = openLogSource(target);
  const note = await source.checkpoint();
  return { source, note, checkpoint: verifyCheckpoint(note, policy) };
}

/** The verified checkpoint of a log. @throws LedgerError LEDGER_UNAVAILABLE, LEDGER_SIGNATURE, LEDGER_QUORUM … */
export async function readCheckpoint(target: string, trust: LogTrust): Promise<CheckpointDocument> {
  return documentOf((await openLog(target, trust)).checkpoint);
}

/** A receipt for an entry by its index, or by its bytes, which are looked for from the end. @throws EngineError ENGINE_LOG */
export async function proveEntry(target: string, wanted: number | Uint8Array, trust: LogTrust): Promise<Buffer> {
  const { source, note, checkpoint } = await openLog(target, trust);
  const index = typeof wanted === 'number' ? wanted : await findEntry(source, checkpoint, wanted);
  const tree = openTileTree(source.tile, checkpoint.size);
  const receipt = encodeReceipt({ index, proof: await tree.inclusionProof(index), extra: null, checkpoint: note });
  verifyReceipt(receipt, await tree.leafHash(index), policyOf(target, trust));
  return receipt;
}

async function findEntry(source: LogSource, checkpoint: VerifiedCheckpoint, entry: Uint8Array): Promise<number> {
  const log = await openVerifiedLog(source.tile, checkpoint);
  const wanted = Buffer.from(entry);
  for await (const { index, bytes } of log.entries(0, log.size)) if (bytes.equals(wanted)) return index;
  throw new EngineError('ENGINE_LOG', `no entry of the ${log.size} has these bytes`, {
    exit: exitStatus.evidenceMissing,
    hint: 'An entry counts byte for byte; a line break at the end is part of it.',
  });
}

/** Checks that an entry is in a log, by a receipt alone. @throws LedgerError LEDGER_RECEIPT, LEDGER_PROOF, LEDGER_SIGNATURE … */
export function checkReceipt(
  receipt: Uint8Array,
  entry: Uint8Array,
  trust: LogTrust,
): CheckpointDocument & { readonly index: number } {
  const { index, checkpoint } = verifyReceipt(receipt, hashLeaf(entry), policyOf('the receipt’s log', trust));
  return { index, ...documentOf(checkpoint) };
}

/** What a log is checked for. */
export interface LogAudit {
  readonly trust: LogTrust;
  /** What its entries must be; null: what its folder says, and any bytes where it says nothing. */
  readonly format: LogFormat | null;
}

/**
 * Checks a whole log: every entry, every tile, and of one on this host all that lies beside them.
 *
 * @throws LedgerError; EngineError ENGINE_LOG_ENTRY for an entry that is not of the log's format
 */
export async function verifyLog(
  target: string,
  { trust, format }: LogAudit,
  progress: Progress,
): Promise<CheckpointDocument> {
  const { source, checkpoint } = await openLog(target, trust);
  const check = entryCheckOf(format ?? readLogFormat(target));
  const options = {
    progress: (done: number) => progress(done, checkpoint.size),
    ...(check === null ? {} : { check }),
  };
  const files = logFiles(target);
  if (!existsSync(files.state)) await auditTree(source.tile, checkpoint, options);
  else
    await auditLocalLog({ disk: openHostDisk(), files, key: policyOf(target, trust).log[0] as NoteVerifier }, options);
  return documentOf(checkpoint);
}

/** A document that an entry of the log in `dir` names, by its digest. @throws LedgerError LEDGER_NO_DOCUMENT, LEDGER_CORRUPT; ArtifactError ARTIFACT_REFERENCE */
export function readLogDocument(dir: string, digest: string): Buffer {
  return readDocument(openHostDisk(), dir, Buffer.from(hexOf(parseDigest(digest)), 'hex'));
}

/** Erases it; its entry and all proofs stay. @throws as {@link readLogDocument}; LedgerError LEDGER_LOCKED */
export async function eraseLogDocument(dir: string, digest: string): Promise<void> {
  await eraseDocument(openHostDisk(), dir, Buffer.from(hexOf(parseDigest(digest)), 'hex'));
}

/** A name for a log that is given none: this host's, and its folder's. */
export function defaultOrigin(dir: string): string {
  return `${hostname()}/${basename(dir)}`;
}

/** Brings the copy in `dir` up to date. @throws LedgerError LEDGER_ROLLBACK, LEDGER_FORK … */
export async function mirrorLog(
  { target, dir, trust }: { readonly target: string; readonly dir: string; readonly trust: LogTrust },
  progress: Progress,
): Promise<CheckpointDocument> {
  const policy = policyOf(target, trust);
  mkdirSync(dir, { recursive: true });
  const parts = { disk: openHostDisk(), files: logFiles(dir), source: openLogSource(target), policy, progress };
  const checkpoint = await updateMirror(parts);
  writeFileSync(join(dir, 'key.pub'), `${policy.log[0]?.text}\n`);
  return documentOf(checkpoint);
}
