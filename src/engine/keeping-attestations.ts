// Attestations in the home's log and beside what they are about: both or neither, whatever happens between them.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Digest } from '../artifact/index.ts';
import { errnoOf, messageOf } from '../base/index.ts';
import { READ_ENTRIES_MAX } from '../ledger/index.ts';
import { type Attestation, ENVELOPE_MEDIA_TYPE, parseLeaf } from '../provenance/index.ts';
import type { EngineContext } from './context.ts';

/** Entries that may lack their attestation after a crash: the batch that was told last, and the one behind it. */
const UNKEPT_MAX = 8192;

type KeepContext = Pick<EngineContext, 'attestations' | 'content' | 'journal'>;

/** An attestation with what it is about. */
export type Loggable = Attestation & { readonly subjects: readonly Digest[] };

/**
 * Logs an attestation and keeps it under its subjects, for which there was room before it was logged.
 *
 * @param unkept entries of those that could not be kept: tried again, one has its entry already
 * @throws ProvenanceError PROVENANCE_ATTESTATIONS_FULL; LedgerError when the journal cannot take it
 */
export async function logAttestation(
  { attestations, content, journal }: KeepContext,
  { bytes, digest, leaf, subjects }: Loggable,
  unkept: Map<Digest, number> = new Map(),
): Promise<number> {
  using _room = attestations.reserve(digest, subjects);
  await content.put(bytes);
  const index = unkept.get(digest) ?? (await journal.append(leaf, { flush: true }));
  unkept.set(digest, index);
  attestations.put(bytes, index);
  unkept.delete(digest);
  return index;
}

type RepairContext = Pick<EngineContext, 'attestations' | 'content' | 'home' | 'journal' | 'log'>;

/**
 * Keeps the attestations that the newest entries name and a crash kept from their places: one that is sent again finds its entry. What was
 * removed on purpose before the last end or start stays away.
 */
export async function keepLogged(context: RepairContext): Promise<void> {
  const { journal } = context;
  const from = Math.max(readKeptUntil(context), journal.size - UNKEPT_MAX);
  for (let next = from; next < journal.size;) {
    const entries = journal.read(next, READ_ENTRIES_MAX);
    if (entries.length === 0) break;
    for (const { index, bytes } of entries) await keepOne(context, index, bytes);
    next += entries.length;
  }
  markKept(context);
}

async function keepOne({ attestations, content, log }: RepairContext, index: number, entry: Buffer): Promise<void> {
  try {
    const { document, kind, subjects } = parseLeaf(entry);
    // Of deployments only the newest are kept.
    if (document.type !== ENVELOPE_MEDIA_TYPE || kind === 'deploy' || subjects.length === 0) return;
    if (attestations.indexOf(document.digest, subjects) !== null || !content.has(document.digest)) return;
    attestations.put(await content.get(document.digest), index);
  } catch (error) {
    // Nothing depends on it: without its attestation the entry proves nothing.
    log.warn(`the attestation of entry ${index} is not kept: ${messageOf(error)}`);
  }
}

/** Says that every entry that the journal has now has its attestation. */
export function markKept({ home, journal, log }: Pick<EngineContext, 'home' | 'journal' | 'log'>): void {
  const path = keptFile(home);
  try {
    mkdirSync(home.attestationsDir, { recursive: true, mode: 0o750 });
    writeFileSync(`${path}.new`, `${journal.size}\n`, { mode: 0o640 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    // Then the next start looks at more.
    log.warn(`${path} cannot be written: ${messageOf(error)}`);
  }
}

function readKeptUntil({ home }: Pick<EngineContext, 'home'>): number {
  try {
    const size = Number(readFileSync(keptFile(home), 'latin1').trimEnd() || '0');
    return Number.isSafeInteger(size) && size > 0 ? size : 0;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

function keptFile({ attestationsDir }: EngineContext['home']): string {
  return join(attestationsDir, 'kept');
}
