// The log is the truth, the keyring's file a cache of it: recomputes what the file must say, and finds what it says beyond that.
import type { Digest } from '../artifact/index.ts';
import { canonicalJson } from '../base/index.ts';
import {
  applyKeyEvent,
  applyRevocation,
  isKeyEventLeaf,
  isStricter,
  type KeyEventDocument,
  parseKeyEvent,
} from './key-events.ts';
import { EMPTY_KEYRING, type KeyringFile, type KeyringState, type KnownKey, type TrustRecord } from './key-records.ts';
import { type Leaf, parseLeaf } from './leaf.ts';

/** Entries that are looked at together. */
const READ_ENTRIES = 1024;

/** What the canonical form of each key event's leaf has in it: a search for bytes, as most entries are others. */
const KEY_EVENT_MARKS = ['"kind":"key"', '"kind":"revoke"'].map((text) => Buffer.from(text));

/** The log as a keyring reads it. */
export interface KeyLog {
  readonly size: number;
  /** Entries from an index on: at least one where there is one. */
  read(from: number, limit: number): readonly { readonly index: number; readonly bytes: Buffer }[];
  /** A document that a leaf names; null when it is gone. */
  document(digest: Digest): Promise<Buffer | null>;
}

interface LoggedEvent {
  readonly index: number;
  readonly leaf: Leaf;
  /** Null when it cannot be read any more. */
  readonly document: KeyEventDocument | null;
}

/** What the log says. */
export interface Recomputed {
  /** Of the part of the log that the file was made from. */
  readonly before: KeyringState;
  /** Of all. */
  readonly now: KeyringFile;
}

/**
 * Recomputes a keyring from the log: the events that its file names, and the entries that the file does not know yet. Only when the
 * named ones are not all that there are is the whole log read.
 *
 * @param issuer whose leaves count
 */
export async function recomputeKeyring(file: KeyringFile, log: KeyLog, issuer: string): Promise<Recomputed> {
  const named = await readNamed(file.events, log, issuer);
  const old = named ?? (await readRange(log, { from: 0, until: file.logSize }, issuer));
  const fresh = await readRange(log, { from: file.logSize, until: log.size }, issuer);
  const before = old.reduce<KeyringState>(replayEvent, EMPTY_KEYRING);
  const { keys, trust } = fresh.reduce(replayEvent, before);
  return { before, now: { keys, trust, events: [...old, ...fresh].map(({ index }) => index), logSize: log.size } };
}

/** What a keyring grants that another does not: one clause for people; null when there is nothing. */
export function findUnlogged({ keys, trust }: KeyringState, logged: KeyringState): string | null {
  const known = new Set(logged.keys.map(textOfKey));
  const unknown = keys.find((key) => !known.has(textOfKey(key)));
  if (unknown !== undefined) return `it has a key '${unknown.name}' that the log does not have`;
  const granted = new Set(logged.trust.map((record) => canonicalJson(record)));
  const extra = trust.find((record) => !granted.has(canonicalJson(record)));
  return extra === undefined ? null : `it trusts ${textOfTrust(extra, keys)}, which the log does not have`;
}

/** Keys that a keyring revokes, or revokes further than another. */
export function findUnloggedRevocations({ keys }: KeyringState, logged: KeyringState): readonly KnownKey[] {
  const before = new Map(logged.keys.map(({ id, revoked }) => [id, revoked]));
  return keys.filter(({ id, revoked }) => {
    const known = before.get(id) ?? null;
    return revoked !== null && (known === null || isStricter({ ...revoked, logIndex: null }, known));
  });
}

/** The events at these places; null when one is none, or another that came between was left out. */
async function readNamed(indexes: readonly number[], log: KeyLog, issuer: string): Promise<LoggedEvent[] | null> {
  const events: LoggedEvent[] = [];
  for (const index of indexes) {
    const [entry] = index < log.size ? log.read(index, 1) : [];
    const event = entry === undefined ? null : await readEvent(log, entry, issuer);
    // Each event's leaf names the one before it, so that none can be dropped unseen.
    if (event === null || !follows(event, events.at(-1))) return null;
    events.push(event);
  }
  return events;
}

function follows({ index, leaf }: LoggedEvent, last: LoggedEvent | undefined): boolean {
  const [parent] = leaf.parents;
  if (parent === undefined) return last === undefined;
  return last !== undefined && parent === last.index && last.index < index;
}

async function readRange(
  log: KeyLog,
  { from, until }: { readonly from: number; readonly until: number },
  issuer: string,
): Promise<LoggedEvent[]> {
  const events: LoggedEvent[] = [];
  for (let at = from; at < until;) {
    const entries = log.read(at, Math.min(READ_ENTRIES, until - at));
    for (const entry of entries) {
      if (!KEY_EVENT_MARKS.some((mark) => entry.bytes.includes(mark))) continue;
      const event = await readEvent(log, entry, issuer);
      if (event !== null) events.push(event);
    }
    at += Math.max(1, entries.length);
  }
  return events;
}

/** Null when the entry is no key event of this home. */
async function readEvent(
  log: KeyLog,
  { index, bytes }: { readonly index: number; readonly bytes: Buffer },
  issuer: string,
): Promise<LoggedEvent | null> {
  const leaf = readLeaf(bytes);
  if (leaf === null || !isKeyEventLeaf(leaf) || leaf.issuer !== issuer) return null;
  const document = await log.document(leaf.document.digest);
  return { index, leaf, document: document === null ? null : readDocument(document, leaf) };
}

function readLeaf(bytes: Buffer): Leaf | null {
  try {
    return parseLeaf(bytes);
  } catch {
    // Whatever it is, it grants nothing.
    return null;
  }
}

function readDocument(bytes: Buffer, leaf: Leaf): KeyEventDocument | null {
  try {
    return parseKeyEvent(bytes, leaf);
  } catch {
    // What cannot be read grants nothing; what it takes away, its leaf says too.
    return null;
  }
}

function replayEvent(state: KeyringState, { index, leaf, document }: LoggedEvent): KeyringState {
  try {
    if (document !== null) return applyKeyEvent(state, document, index);
  } catch {
    // An event that does not follow from those before it changes nothing, unless it takes trust away.
  }
  if (leaf.kind !== 'revoke') return state;
  const revoked = { reason: 'its document is lost', atMs: 0, logIndex: index, lastValidIndex: null };
  const ids = leaf.keys.filter((id) => state.keys.some((key) => key.id === id));
  return ids.reduce((so, id) => applyRevocation(so, id, revoked), state);
}

/** All but what takes trust away. */
function textOfKey({ id, name, owner, publicKey, createdMs, previous }: KnownKey): string {
  return canonicalJson({ id, name, owner, publicKey, createdMs, previous });
}

function textOfTrust({ keyId, role, scope }: TrustRecord, keys: readonly KnownKey[]): string {
  const name = keys.find(({ id }) => id === keyId)?.name ?? keyId.slice(0, 12);
  return `key '${name}' as ${role} for '${scope}'`;
}
