// The keyring of a home: prepares changes of keys and trust as events for the log, and makes them count once the log has them.
import { exitStatus, rfc3339 } from '../base/index.ts';
import { signEnvelope } from './dsse.ts';
import { makeKeyPair, parsePublicPem, type PublicKey, type Signer } from './ed25519.ts';
import { ProvenanceError, type ProvenanceErrorCode } from './errors.ts';
import { excerptOf, faultsOf } from './excerpt.ts';
import {
  applyKeyEvent,
  applyRevocation,
  encodeKeyEvent,
  isStricter,
  KEY_EVENT_MEDIA_TYPE,
  type KeyEventDocument,
  kindOfEvent,
  wireTrust,
} from './key-events.ts';
import { KeyringFiles, refuseRetired } from './key-files.ts';
import { findUnlogged, findUnloggedRevocations, type KeyLog, recomputeKeyring } from './key-log.ts';
import {
  badKeyring,
  encodeRotation,
  keyName,
  type KeyringState,
  type KnownKey,
  loadKeyring,
  ROTATION_MEDIA_TYPE,
  rotationPayload,
  type TrustRecord,
  trustRecord,
  type TrustRole,
} from './key-records.ts';
import { makeLeaf } from './leaf.ts';

/** Hex digits that a short key id has when people see it. */
const SHORT_ID_CHARS = 12;

/** Fewer would make a name like `cafe` an id by accident. */
const ID_PREFIX_CHARS_MIN = 8;

/** A change of the keyring that nothing knows of yet: the leaf for the log, with the document that it names. */
export interface KeyEvent {
  readonly event: KeyEventDocument;
  readonly document: Buffer;
  readonly leaf: Buffer;
}

/** What trust is given. */
export interface TrustRequest {
  /** A name or an id; for an imported key the name that it gets. */
  readonly key: string;
  /** A public key in PEM that is not known yet; null for a known key. */
  readonly publicPem: string | null;
  readonly role: TrustRole;
  /** Pattern of artifact names, see {@link isInScope}. */
  readonly scope: string;
  /** Empty: those that the role stands for. */
  readonly predicateTypes: readonly string[];
  /** Only what the log has from this index on counts; null: wherever it is, and what is not in it too. */
  readonly sinceIndex: number | null;
  readonly expiresMs: number | null;
  readonly nowMs: number;
}

/** What is revoked. */
export interface RevokeRequest {
  readonly key: string;
  readonly reason: string;
  /** What it signed counts where the log has it at this index or before; null: nothing counts. */
  readonly lastValidIndex: number | null;
  /** Entries that the log has. */
  readonly logSize: number;
  readonly nowMs: number;
}

/**
 * Keys and trust of one home. A change is prepared, then the log takes its leaf, then it is committed: there is never trust
 * without its leaf. Until it is reconciled with the log, every method reads the file again.
 */
export interface Keyring {
  /** Keys and trust as they are now; what verification takes. */
  state(): KeyringState;
  /** The key with this name (of rotated ones the newest) or id (or its beginning). @throws PROVENANCE_KEY_UNKNOWN */
  findKey(nameOrId: string): KnownKey;
  hasPrivate(keyId: string): boolean;
  /** Makes a key pair; its private part is kept at once. @throws PROVENANCE_KEY_EXISTS, PROVENANCE_KEY_FORM for a bad name */
  generateKey(request: { readonly name: string; readonly nowMs: number }): KeyEvent;
  /** @throws PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_FORM, PROVENANCE_KEY_EXISTS, PROVENANCE_TRUST */
  trustKey(request: TrustRequest): KeyEvent;
  /** The new key has the old one's name, owner and trust; the old one signs that and signs no more. */
  rotateKey(request: { readonly key: string; readonly nowMs: number }): KeyEvent;
  /**
   * What the key signed is worth nothing from now on, whatever times it claims, but for what the log has up to the last valid
   * index. A revoked key can be revoked further. @throws PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_TRUST
   */
  revokeKey(request: RevokeRequest): KeyEvent;
  /** Makes a change count that the log has at `logIndex`. Changes are committed in the order of the log. Answers its key. */
  commit(event: KeyEvent, logIndex: number): KnownKey;
  /**
   * Brings the keyring in line with the log, which is the truth, and holds on to it: events that the file lacks are added, and the
   * file is not read again.
   *
   * @returns revocations that only the file had: they hold, and the log must get them
   * @throws ProvenanceError PROVENANCE_KEYRING when the file knows keys or trust that the log does not have
   */
  reconcile(log: KeyLog, nowMs: number): Promise<readonly KeyEvent[]>;
  /** @throws PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_PRIVATE */
  openSigner(nameOrId: string): Signer;
}

/**
 * Opens the keyring in `dir`: `keyring.json`, `<id>.pub` and, mode 0600, `<id>.key`. One process changes it at a time.
 *
 * @param issuer who the leaves say wrote them, such as `home:3f9a01`
 * @throws ProvenanceError PROVENANCE_KEYRING, from every method, when the file is damaged
 */
export function openKeyring(dir: string, issuer: string): Keyring {
  const ring = new KeyringFiles(dir, issuer);
  return {
    state: () => ring.load(),
    findKey: (nameOrId) => findKey(ring.load(), nameOrId),
    hasPrivate: (keyId) => ring.hasPrivate(keyId),
    generateKey: (request) => generateKey(ring, request),
    trustKey: (request) => trustKey(ring, request),
    rotateKey: (request) => rotateKey(ring, request),
    revokeKey: (request) => revokeKey(ring, request),
    commit: (event, logIndex) => commit(ring, event, logIndex),
    reconcile: (log, nowMs) => reconcile(ring, log, nowMs),
    openSigner: (nameOrId) => ring.openSigner(findKey(ring.load(), nameOrId)),
  };
}

/** The first digits of a key id, for people. */
export function shortKeyId(keyId: string): string {
  return keyId.slice(0, SHORT_ID_CHARS);
}

/** An event with its leaf, which names the event before it. */
function prepare(ring: KeyringFiles, event: KeyEventDocument): KeyEvent {
  const document = encodeKeyEvent(event);
  const leaf = makeLeaf({
    kind: kindOfEvent[event.event],
    document,
    type: KEY_EVENT_MEDIA_TYPE,
    subjects: [],
    keys: [event.key.id],
    parents: ring.load().events.slice(-1),
    issuer: ring.issuer,
  });
  return { event, document, leaf };
}

function commit(ring: KeyringFiles, { event }: KeyEvent, logIndex: number): KnownKey {
  const known = ring.load();
  const state = applyKeyEvent(known, event, logIndex);
  ring.save({ ...state, events: [...known.events, logIndex], logSize: Math.max(known.logSize, logIndex + 1) });
  return findKey(state, event.key.id);
}

async function reconcile(ring: KeyringFiles, log: KeyLog, nowMs: number): Promise<readonly KeyEvent[]> {
  const file = loadKeyring(ring.file);
  if (file.logSize > log.size) {
    throw badKeyring(ring.file, `it knows ${file.logSize} entries of a log that has ${log.size}`);
  }
  const { before, now } = await recomputeKeyring(file, log, ring.issuer);
  const unlogged = findUnlogged(file, before);
  if (unlogged !== null) throw badKeyring(ring.file, unlogged);
  // A revocation holds wherever it is found: a crash, or somebody, kept it from the log.
  const revoked = findUnloggedRevocations(file, before).flatMap(({ id, revoked: one }) =>
    one === null ? [] : [{ id, revocation: { ...one, logIndex: null } }],
  );
  const state = revoked.reduce<KeyringState>((so, { id, revocation }) => applyRevocation(so, id, revocation), now);
  ring.hold({ ...now, ...state });
  return revoked.map(({ id, revocation: { reason, lastValidIndex } }) => {
    const time = rfc3339(nowMs);
    return prepare(ring, { event: 'revoked', time, key: saidOf(findKey(state, id)), reason, lastValidIndex });
  });
}

function generateKey(ring: KeyringFiles, { name, nowMs }: { name: string; nowMs: number }): KeyEvent {
  refuseBadName(ring.load(), name);
  const { publicKey, privatePem } = makeKeyPair();
  ring.savePair(publicKey, privatePem);
  return prepare(ring, { event: 'generated', time: rfc3339(nowMs), key: newKey(publicKey, { name, owner: name }) });
}

function trustKey(ring: KeyringFiles, request: TrustRequest): KeyEvent {
  const known = ring.load();
  const key = request.publicPem === null ? knownKey(known, request.key) : importKey(known, request);
  const trust = wireTrust(parseTrust(key, request));
  return prepare(ring, { event: 'trusted', time: rfc3339(request.nowMs), key, trust });
}

/** A key as the documents of events have it. */
type SaidKey = KeyEventDocument['key'];

function saidOf({ id, name, owner, publicKey }: KnownKey): SaidKey {
  return { id, name, owner, publicKey };
}

function knownKey(state: KeyringState, nameOrId: string): SaidKey {
  const key = findKey(state, nameOrId);
  refuseRetired(key, 'be trusted');
  return saidOf(key);
}

function importKey(state: KeyringState, request: TrustRequest): SaidKey {
  const publicKey = parsePublicPem(request.publicPem ?? '');
  if (state.keys.some(({ id }) => id === publicKey.id)) return knownKey(state, publicKey.id);
  refuseBadName(state, request.key);
  return newKey(publicKey, { name: request.key, owner: request.key });
}

function parseTrust(key: SaidKey, request: TrustRequest): TrustRecord {
  const { role, scope, predicateTypes, sinceIndex, expiresMs, nowMs } = request;
  const record = { keyId: key.id, role, scope, predicateTypes, sinceIndex, sinceMs: nowMs, expiresMs };
  const parsed = trustRecord.safeParse(record);
  if (parsed.success) return parsed.data;
  throw usage('PROVENANCE_TRUST', `key '${key.name}' cannot be trusted so: ${faultsOf(parsed.error)}`, {
    hint: 'Give a role, a scope like shop/*, and predicate types as URIs.',
  });
}

function rotateKey(ring: KeyringFiles, { key: nameOrId, nowMs }: { key: string; nowMs: number }): KeyEvent {
  const old = findKey(ring.load(), nameOrId);
  const signer = ring.openSigner(old);
  const { publicKey, privatePem } = makeKeyPair();
  const payload = rotationPayload(old.id, publicKey.id, old.owner);
  const envelope = encodeRotation(signEnvelope(ROTATION_MEDIA_TYPE, payload, [signer]));
  ring.savePair(publicKey, privatePem);
  const key = newKey(publicKey, { name: old.name, owner: old.owner });
  return prepare(ring, { event: 'rotated', time: rfc3339(nowMs), key, previous: old.id, envelope });
}

function revokeKey(ring: KeyringFiles, request: RevokeRequest): KeyEvent {
  const { lastValidIndex, logSize } = request;
  const key = findKey(ring.load(), request.key);
  if (key.revoked !== null && !isStricter({ lastValidIndex, logIndex: null }, key.revoked)) {
    refuseRetired(key, 'be revoked again');
  }
  const reason = request.reason.trim().slice(0, 1000);
  if (reason === '') throw usage('PROVENANCE_TRUST', 'a revocation needs a reason', { hint: 'Say it with --reason.' });
  if (
    lastValidIndex !== null &&
    !(Number.isSafeInteger(lastValidIndex) && lastValidIndex >= 0 && lastValidIndex < logSize)
  )
    throw usage('PROVENANCE_TRUST', `the log has no entry ${lastValidIndex}: it has ${logSize}`, {
      hint: 'Give the index of the last entry that the right owner signed; provost log shows the log’s size.',
    });
  return prepare(ring, { event: 'revoked', time: rfc3339(request.nowMs), key: saidOf(key), reason, lastValidIndex });
}

function newKey(publicKey: PublicKey, of: { name: string; owner: string }): SaidKey {
  return { id: publicKey.id, name: of.name, owner: of.owner, publicKey: publicKey.spki.toString('base64') };
}

function findKey({ keys }: KeyringState, nameOrId: string): KnownKey {
  const named = keys.findLast(({ name }) => name === nameOrId);
  if (named !== undefined) return named;
  const isId = nameOrId.length >= ID_PREFIX_CHARS_MIN && /^[0-9a-f]+$/.test(nameOrId);
  const found = isId ? keys.filter(({ id }) => id.startsWith(nameOrId)) : [];
  if (found[0] !== undefined && found.length === 1) return found[0];
  const known = keys.map(({ name }) => name).slice(0, 10);
  throw usage('PROVENANCE_KEY_UNKNOWN', `no key has the name or id '${excerptOf(nameOrId, 80)}'`, {
    hint: known.length === 0 ? 'Make one with provost key generate NAME.' : `Known keys: ${known.join(', ')}.`,
  });
}

function refuseBadName({ keys }: KeyringState, name: string): void {
  if (!keyName.safeParse(name).success) {
    throw usage('PROVENANCE_KEY_FORM', `'${excerptOf(name, 80)}' cannot be the name of a key`, {
      hint: 'Use letters, digits and . _ @ -, at most 63, beginning with a letter or digit.',
    });
  }
  if (!keys.some((key) => key.name === name)) return;
  throw usage('PROVENANCE_KEY_EXISTS', `a key named '${name}' exists`, {
    hint: `Choose another name, or replace it with provost key rotate ${name}.`,
  });
}

function usage(code: ProvenanceErrorCode, message: string, { hint }: { hint: string }): ProvenanceError {
  return new ProvenanceError(code, message, { exit: exitStatus.usage, hint });
}
