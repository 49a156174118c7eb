// The keyring of a home: makes, trusts, rotates and revokes keys; each change is also a leaf for the journal.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { canonicalJson, exitStatus, messageOf, rfc3339 } from '../base/index.ts';
import { saveAtomically } from './atomic-file.ts';
import { signEnvelope } from './dsse.ts';
import { makeKeyPair, parsePublicPem, type PublicKey, type Signer, signerOf } from './ed25519.ts';
import { ProvenanceError, type ProvenanceErrorCode } from './errors.ts';
import { excerptOf, faultsOf } from './excerpt.ts';
import {
  encodeRotation,
  keyName,
  keyringReader,
  type KeyringState,
  type KnownKey,
  ROTATION_MEDIA_TYPE,
  rotationPayload,
  saveKeyringState,
  type TrustRecord,
  trustRecord,
  type TrustRole,
} from './key-records.ts';
import { type LeafKind, makeLeaf } from './leaf.ts';

/** Media type of the document of a key event. */
export const KEY_EVENT_MEDIA_TYPE = 'application/vnd.provost.key-event.v1+json';

/** Hex digits that a short key id has when people see it. */
const SHORT_ID_CHARS = 12;

/** Fewer would make a name like `cafe` an id by accident. */
const ID_PREFIX_CHARS_MIN = 8;

/** A change of the keyring: the key as it is now, and the journal's leaf with the document that it names. */
export interface KeyEvent {
  readonly key: KnownKey;
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
  readonly expiresMs: number | null;
  readonly nowMs: number;
}

/** Keys and trust of one home. Every method reads the file again, so that two processes see the same. */
export interface Keyring {
  /** Keys and trust as they are now; what verification takes. */
  state(): KeyringState;
  /** The key with this name (of rotated ones the newest) or id (or its beginning). @throws PROVENANCE_KEY_UNKNOWN */
  findKey(nameOrId: string): KnownKey;
  hasPrivate(keyId: string): boolean;
  /** @throws PROVENANCE_KEY_EXISTS, PROVENANCE_KEY_FORM for a bad name */
  generateKey(request: { readonly name: string; readonly nowMs: number }): KeyEvent;
  /** @throws PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_FORM, PROVENANCE_KEY_EXISTS, PROVENANCE_TRUST */
  trustKey(request: TrustRequest): KeyEvent;
  /** The new key has the old one's name, owner and trust; the old one signs that and signs no more. */
  rotateKey(request: { readonly key: string; readonly nowMs: number }): KeyEvent;
  /** What the key signed, whenever it did, is worth nothing from now on. */
  revokeKey(request: { readonly key: string; readonly reason: string; readonly nowMs: number }): KeyEvent;
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
    openSigner: (nameOrId) => ring.openSigner(findKey(ring.load(), nameOrId)),
  };
}

/** The first digits of a key id, for people. */
export function shortKeyId(keyId: string): string {
  return keyId.slice(0, SHORT_ID_CHARS);
}

class KeyringFiles {
  readonly #dir: string;
  readonly #issuer: string;
  readonly #read: () => KeyringState;

  constructor(dir: string, issuer: string) {
    this.#dir = dir;
    this.#read = keyringReader(join(dir, 'keyring.json'));
    this.#issuer = issuer;
  }

  load(): KeyringState {
    return this.#read();
  }

  save(state: KeyringState): void {
    saveKeyringState(join(this.#dir, 'keyring.json'), state);
  }

  /** The private part first: a key that is listed can sign. */
  savePair(publicKey: PublicKey, privatePem: string): void {
    saveAtomically(this.#privatePath(publicKey.id), privatePem, 0o600);
    const publicPem = publicKey.object.export({ type: 'spki', format: 'pem' });
    saveAtomically(join(this.#dir, `${publicKey.id}.pub`), publicPem, 0o644);
  }

  hasPrivate(keyId: string): boolean {
    return statSync(this.#privatePath(keyId), { throwIfNoEntry: false }) !== undefined;
  }

  openSigner(key: KnownKey): Signer {
    refuseRetired(key, 'sign');
    const signer = signerOf(this.#readPrivate(key));
    if (signer.keyId !== key.id) throw privateFault(key, 'its file holds another key');
    return signer;
  }

  #readPrivate(key: KnownKey): string {
    const path = this.#privatePath(key.id);
    try {
      const openTo = statSync(path).mode & 0o077;
      if (openTo !== 0) throw privateFault(key, `others may read ${path}`);
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw error instanceof ProvenanceError ? error : privateFault(key, messageOf(error), error);
    }
  }

  #privatePath(keyId: string): string {
    return join(this.#dir, `${keyId}.key`);
  }

  /** The event's document, and the leaf that names it. */
  record(kind: LeafKind & ('key' | 'revoke'), key: KnownKey, facts: Readonly<Record<string, unknown>>): KeyEvent {
    const { id, name, owner, publicKey } = key;
    const document = Buffer.from(canonicalJson({ ...facts, key: { id, name, owner, publicKey } }));
    const leaf = makeLeaf({
      kind,
      document,
      type: KEY_EVENT_MEDIA_TYPE,
      subjects: [],
      keys: [id],
      parents: [],
      issuer: this.#issuer,
    });
    return { key, document, leaf };
  }
}

function generateKey(ring: KeyringFiles, { name, nowMs }: { name: string; nowMs: number }): KeyEvent {
  const state = ring.load();
  refuseBadName(state, name);
  const { publicKey, privatePem } = makeKeyPair();
  const key = newKey(publicKey, { name, owner: name, nowMs });
  ring.savePair(publicKey, privatePem);
  ring.save({ ...state, keys: [...state.keys, key] });
  return ring.record('key', key, { event: 'generated', time: rfc3339(nowMs) });
}

function trustKey(ring: KeyringFiles, request: TrustRequest): KeyEvent {
  const known = ring.load();
  const { key, keys } = request.publicPem === null ? knownKey(known, request.key) : importKey(known, request);
  refuseRetired(key, 'be trusted');
  const record = parseTrust(key, request);
  const isSame = (other: TrustRecord): boolean =>
    other.keyId === record.keyId && other.role === record.role && other.scope === record.scope;
  ring.save({ keys, trust: [...known.trust.filter((other) => !isSame(other)), record] });
  const { sinceMs, expiresMs, ...trust } = record;
  const expires = expiresMs === null ? null : rfc3339(expiresMs);
  return ring.record('key', key, { event: 'trusted', time: rfc3339(sinceMs), trust: { ...trust, expires } });
}

function knownKey(state: KeyringState, nameOrId: string): { key: KnownKey; keys: readonly KnownKey[] } {
  return { key: findKey(state, nameOrId), keys: state.keys };
}

function importKey(state: KeyringState, request: TrustRequest): { key: KnownKey; keys: readonly KnownKey[] } {
  const publicKey = parsePublicPem(request.publicPem ?? '');
  const known = state.keys.find(({ id }) => id === publicKey.id);
  if (known !== undefined) return { key: known, keys: state.keys };
  refuseBadName(state, request.key);
  const key = newKey(publicKey, { name: request.key, owner: request.key, nowMs: request.nowMs });
  return { key, keys: [...state.keys, key] };
}

function parseTrust(key: KnownKey, { role, scope, predicateTypes, expiresMs, nowMs }: TrustRequest): TrustRecord {
  const parsed = trustRecord.safeParse({ keyId: key.id, role, scope, predicateTypes, sinceMs: nowMs, expiresMs });
  if (parsed.success) return parsed.data;
  throw usage('PROVENANCE_TRUST', `key '${key.name}' cannot be trusted so: ${faultsOf(parsed.error)}`, {
    hint: 'Give a role, a scope like shop/*, and predicate types as URIs.',
  });
}

function rotateKey(ring: KeyringFiles, { key: nameOrId, nowMs }: { key: string; nowMs: number }): KeyEvent {
  const state = ring.load();
  const old = findKey(state, nameOrId);
  const { publicKey, privatePem } = makeKeyPair();
  const payload = rotationPayload(old.id, publicKey.id, old.owner);
  const envelope = encodeRotation(signEnvelope(ROTATION_MEDIA_TYPE, payload, [ring.openSigner(old)]));
  const key = {
    ...newKey(publicKey, { name: old.name, owner: old.owner, nowMs }),
    previous: { id: old.id, envelope },
  };
  const keys = state.keys.map((other) => (other.id === old.id ? { ...other, rotatedMs: nowMs } : other));
  const inherited = state.trust.filter(({ keyId }) => keyId === old.id).map((trust) => ({ ...trust, keyId: key.id }));
  ring.savePair(publicKey, privatePem);
  ring.save({ keys: [...keys, key], trust: [...state.trust, ...inherited] });
  return ring.record('key', key, { event: 'rotated', time: rfc3339(nowMs), previous: old.id, envelope });
}

function revokeKey(
  ring: KeyringFiles,
  { key: nameOrId, reason, nowMs }: { key: string; reason: string; nowMs: number },
): KeyEvent {
  const state = ring.load();
  const key = findKey(state, nameOrId);
  if (key.revoked !== null) refuseRetired(key, 'be revoked again');
  const why = reason.trim().slice(0, 1000);
  if (why === '') throw usage('PROVENANCE_TRUST', 'a revocation needs a reason', { hint: 'Say it with --reason.' });
  const revoked = { ...key, revoked: { reason: why, atMs: nowMs } };
  ring.save({ ...state, keys: state.keys.map((other) => (other.id === key.id ? revoked : other)) });
  return ring.record('revoke', revoked, { event: 'revoked', time: rfc3339(nowMs), reason: why });
}

function newKey(publicKey: PublicKey, of: { name: string; owner: string; nowMs: number }): KnownKey {
  return {
    id: publicKey.id,
    name: of.name,
    owner: of.owner,
    publicKey: publicKey.spki.toString('base64'),
    createdMs: of.nowMs,
    previous: null,
    rotatedMs: null,
    revoked: null,
    public: publicKey,
  };
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

function refuseRetired(key: KnownKey, what: string): void {
  const why =
    key.revoked === null
      ? key.rotatedMs !== null && `it was rotated at ${rfc3339(key.rotatedMs)}`
      : `it was revoked at ${rfc3339(key.revoked.atMs)}: ${key.revoked.reason}`;
  if (why === false) return;
  throw new ProvenanceError('PROVENANCE_KEY_RETIRED', `key '${key.name}' cannot ${what}: ${why}`, {
    exit: exitStatus.denied,
    hint: 'Use another key; provost key list shows them.',
  });
}

function privateFault(key: KnownKey, why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_KEY_PRIVATE', `the private part of key '${key.name}' cannot be used: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Sign where the key was made; its file must be readable by its owner alone (chmod 600).',
    cause,
  });
}

function usage(code: ProvenanceErrorCode, message: string, { hint }: { hint: string }): ProvenanceError {
  return new ProvenanceError(code, message, { exit: exitStatus.usage, hint });
}
