// The keyring's file: what the key events of the log add up to, so that nobody need read them all. Public; private parts lie beside it.
import { readFileSync } from 'node:fs';
import { z } from 'zod';

import { canonicalJson, errnoOf, exitStatus, messageOf, MIB } from '../base/index.ts';
import { saveAtomically } from './atomic-file.ts';
import { encodeEnvelope, parseEnvelope, verifyEnvelope } from './dsse.ts';
import { parseSpki, type PublicKey } from './ed25519.ts';
import { ProvenanceError } from './errors.ts';
import { faultsOf } from './excerpt.ts';
import { SCOPE_CHARS_MAX } from './glob.ts';
import { uri } from './resource.ts';
import { parseStrictJson } from './strict-json.ts';

export const trustRoles = ['publisher', 'builder', 'reviewer', 'operator'] as const;
export type TrustRole = (typeof trustRoles)[number];

/** Keys of one keyring, and trust records of all. */
const KEYS_MAX = 4096;
const RECORDS_MAX = 16_384;
/** Changes of one keyring. */
const EVENTS_MAX = 65_536;
const KEYRING_BYTES_MAX = 16 * MIB;

/** A name of a key: short, and nothing that a shell or a path could take for something else. */
export const keyName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/, 'letters, digits, . _ @ -');

export const keyId = z.string().regex(/^[0-9a-f]{64}$/);
const timeMs = z.int().min(0);
/** A place in the log, from 0. */
export const logIndex = z.int().min(0);

export const revocationReason = z.string().min(1).max(1000);

const keyRecord = z.strictObject({
  id: keyId,
  name: keyName,
  /** The publisher behind the key; a rotated key keeps it. */
  owner: keyName,
  publicKey: z.base64(),
  createdMs: timeMs,
  /** The key that this one took over from, and the old key's envelope that says so. */
  previous: z.strictObject({ id: keyId, envelope: z.string() }).nullable(),
  /** When, and where in the log, another key took over: what it signed counts up to there. */
  rotated: z.strictObject({ atMs: timeMs, logIndex }).nullable(),
  revoked: z
    .strictObject({
      reason: revocationReason,
      atMs: timeMs,
      /** Where the log has it; null until it does. */
      logIndex: logIndex.nullable(),
      /** What it signed counts up to this place in the log; null: nothing does. */
      lastValidIndex: logIndex.nullable(),
    })
    .nullable(),
});
export type KeyRecord = Readonly<z.infer<typeof keyRecord>>;
export type Revocation = NonNullable<KeyRecord['revoked']>;

export const trustRecord = z.strictObject({
  keyId,
  role: z.enum(trustRoles),
  scope: z.string().min(1).max(SCOPE_CHARS_MAX),
  /** Empty: those that the role stands for. */
  predicateTypes: z.array(uri).max(64),
  sinceMs: timeMs,
  /** Only what the log has from here on counts; null: wherever it is, and what is not in it too. */
  sinceIndex: logIndex.nullable(),
  expiresMs: timeMs.nullable(),
});
export type TrustRecord = Readonly<z.infer<typeof trustRecord>>;

const keyringFile = z.strictObject({
  version: z.literal(2),
  keys: z.array(keyRecord).max(KEYS_MAX),
  trust: z.array(trustRecord).max(RECORDS_MAX),
  /** Where the log has the events that it was made from. */
  events: z.array(logIndex).max(EVENTS_MAX),
  /** Entries of the log that were looked at for events. */
  logSize: z.int().min(0),
});

/** A key with its parsed public part. */
export interface KnownKey extends KeyRecord {
  readonly public: PublicKey;
}

/** Which keys are known and trusted: what verification needs, as a value. */
export interface KeyringState {
  readonly keys: readonly KnownKey[];
  readonly trust: readonly TrustRecord[];
}

/** All that a keyring's file says. */
export interface KeyringFile extends KeyringState {
  readonly events: readonly number[];
  readonly logSize: number;
}

/** The keyring of a home that has no keys yet. */
export const EMPTY_KEYRING: KeyringFile = { keys: [], trust: [], events: [], logSize: 0 };

/** Payload type of the statement by which a key hands over to its successor. */
export const ROTATION_MEDIA_TYPE = 'application/vnd.provost.key-rotation.v1+json';

/** What the old key signs when it is rotated. */
export function rotationPayload(previous: string, next: string, owner: string): Buffer {
  return Buffer.from(canonicalJson({ next, owner, previous }));
}

/**
 * Loads a keyring's file; one that is not there is empty.
 *
 * @throws ProvenanceError PROVENANCE_KEYRING when it is damaged, or a rotation in it was not signed by the old key
 */
export function loadKeyring(file: string): KeyringFile {
  return new KeyringReader(file).load();
}

/** Reads a keyring's file whenever it is asked, and parses it when its bytes are others than the last time. */
export class KeyringReader {
  readonly #file: string;
  #bytes: Buffer | null = null;
  #ring: KeyringFile = EMPTY_KEYRING;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws ProvenanceError PROVENANCE_KEYRING when it is damaged */
  load(): KeyringFile {
    const bytes = readOrNull(this.#file);
    if (bytes === null) return EMPTY_KEYRING;
    if (this.#bytes?.equals(bytes) !== true) {
      this.#ring = parseKeyring(this.#file, bytes);
      this.#bytes = bytes;
    }
    return this.#ring;
  }
}

function parseKeyring(file: string, bytes: Buffer): KeyringFile {
  try {
    const value = parseStrictJson(bytes, { what: 'the file', bytesMax: KEYRING_BYTES_MAX });
    const { keys, trust, events, logSize } = keyringFile.parse(value);
    const known = keys.map(readKey);
    checkKeys(known);
    return { keys: known, trust, events, logSize };
  } catch (error) {
    const why = error instanceof z.ZodError ? faultsOf(error) : messageOf(error);
    throw badKeyring(file, why, error);
  }
}

/** A key with its public part parsed. @throws ProvenanceError PROVENANCE_KEY_FORM */
export function readKey(record: KeyRecord): KnownKey {
  return { ...record, public: parseSpki(Buffer.from(record.publicKey, 'base64')) };
}

/** Saves a keyring's file, whole or not at all. */
export function saveKeyring(file: string, { keys, trust, events, logSize }: KeyringFile): void {
  // The parsed part is left out: canonical JSON has no undefined members.
  const records = keys.map((key) => ({ ...key, public: undefined }));
  saveAtomically(file, `${canonicalJson({ version: 2, keys: records, trust, events, logSize })}\n`, 0o640);
}

function checkKeys(keys: readonly KnownKey[]): void {
  const byId = new Map(keys.map((key) => [key.id, key]));
  if (byId.size !== keys.length) throw new Error('it lists a key twice');
  for (const key of keys) {
    if (key.public.id !== key.id) throw new Error(`the id of key '${key.name}' is not that of its public part`);
    if (key.previous === null) continue;
    const previous = byId.get(key.previous.id);
    if (previous === undefined) throw new Error(`the key before '${key.name}' is missing`);
    checkRotation(previous, key, key.previous.envelope);
  }
}

/** Checks that the old key signed its successor. @throws ProvenanceError, or Error with what the rotation lacks */
export function checkRotation(previous: KnownKey, next: KnownKey, envelope: string): void {
  const policy = { payloadType: ROTATION_MEDIA_TYPE, keys: [previous.public], threshold: 1 };
  const { payload } = verifyEnvelope(parseEnvelope(Buffer.from(envelope)), policy);
  if (!payload.equals(rotationPayload(previous.id, next.id, next.owner)) || previous.owner !== next.owner) {
    throw new Error(`the rotation to key '${next.name}' says something else`);
  }
}

function readOrNull(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw badKeyring(file, messageOf(error), error);
  }
}

/** A keyring that is not to be believed; the log knows better. */
export function badKeyring(file: string, why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_KEYRING', `the keyring ${file} cannot be used: ${why}`, {
    exit: errnoOf(cause) === 'EACCES' ? exitStatus.notAuthorised : exitStatus.verificationFailed,
    hint: 'Move that file away: the next supervisor makes it again from the log, which has every change of keys.',
    cause,
  });
}

/** The rotation's envelope as it is kept in the new key's record. */
export function encodeRotation(envelope: Parameters<typeof encodeEnvelope>[0]): string {
  return encodeEnvelope(envelope).toString();
}
