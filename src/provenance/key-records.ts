// The keyring's file: which keys this host knows, whom they belong to, what they may speak for. Public; private parts lie beside it.
import { readFileSync } from 'node:fs';
import { z } from 'zod';

import { canonicalJson, errnoOf, exitStatus, messageOf, MIB } from '../base/index.ts';
import { saveAtomically } from './atomic-file.ts';
import { encodeEnvelope, parseEnvelope, verifyEnvelope } from './dsse.ts';
import { parseSpki, type PublicKey } from './ed25519.ts';
import { ProvenanceError } from './errors.ts';
import { faultsOf } from './excerpt.ts';
import { SCOPE_CHARS_MAX } from './glob.ts';
import { parseStrictJson } from './strict-json.ts';

export const trustRoles = ['publisher', 'builder', 'reviewer', 'operator'] as const;
export type TrustRole = (typeof trustRoles)[number];

/** Keys of one keyring, and trust records of all. */
const KEYS_MAX = 4096;
const RECORDS_MAX = 16_384;
const KEYRING_BYTES_MAX = 16 * MIB;

/** A name of a key: short, and nothing that a shell or a path could take for something else. */
export const keyName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/, 'letters, digits, . _ @ -');

const keyId = z.string().regex(/^[0-9a-f]{64}$/);
const timeMs = z.int().min(0);

const keyRecord = z.strictObject({
  id: keyId,
  name: keyName,
  /** The publisher behind the key; a rotated key keeps it. */
  owner: keyName,
  publicKey: z.base64(),
  createdMs: timeMs,
  /** The key that this one took over from, and the old key's envelope that says so. */
  previous: z.strictObject({ id: keyId, envelope: z.string() }).nullable(),
  rotatedMs: timeMs.nullable(),
  revoked: z.strictObject({ reason: z.string().min(1).max(1000), atMs: timeMs }).nullable(),
});
export type KeyRecord = Readonly<z.infer<typeof keyRecord>>;

export const trustRecord = z.strictObject({
  keyId,
  role: z.enum(trustRoles),
  scope: z.string().min(1).max(SCOPE_CHARS_MAX),
  /** Empty: those that the role stands for. */
  predicateTypes: z.array(z.string().min(1).max(2048)).max(64),
  sinceMs: timeMs,
  expiresMs: timeMs.nullable(),
});
export type TrustRecord = Readonly<z.infer<typeof trustRecord>>;

const keyringFile = z.strictObject({
  version: z.literal(1),
  keys: z.array(keyRecord).max(KEYS_MAX),
  trust: z.array(trustRecord).max(RECORDS_MAX),
});

/** A key with its parsed public part. */
export interface KnownKey extends KeyRecord {
  readonly public: PublicKey;
}

/** All that a keyring's file says: what verification needs, as a value. */
export interface KeyringState {
  readonly keys: readonly KnownKey[];
  readonly trust: readonly TrustRecord[];
}

/** Payload type of the statement by which a key hands over to its successor. */
export const ROTATION_MEDIA_TYPE = 'application/vnd.provost.key-rotation.v1+json';

/** What the old key signs when it is rotated. */
export function rotationPayload(previous: string, next: string, owner: string): Buffer {
  return Buffer.from(canonicalJson({ next, owner, previous }));
}

/**
 * A reader of a keyring's file, which it reads each time; the same bytes are parsed once. One that is not there is empty.
 *
 * @throws ProvenanceError PROVENANCE_KEYRING, from the reader, when it is damaged, or a rotation in it was not signed by the old key
 */
export function keyringReader(file: string): () => KeyringState {
  let last: { readonly bytes: Buffer; readonly state: KeyringState } | null = null;
  return () => {
    const bytes = readOrNull(file);
    if (bytes === null) return { keys: [], trust: [] };
    if (last?.bytes.equals(bytes) !== true) last = { bytes, state: parseKeyring(file, bytes) };
    return last.state;
  };
}

function parseKeyring(file: string, bytes: Buffer): KeyringState {
  try {
    const value = parseStrictJson(bytes, { what: 'the file', bytesMax: KEYRING_BYTES_MAX });
    const { keys, trust } = keyringFile.parse(value);
    const known = keys.map((record) => ({ ...record, public: parseSpki(Buffer.from(record.publicKey, 'base64')) }));
    checkKeys(known);
    return { keys: known, trust };
  } catch (error) {
    const why = error instanceof z.ZodError ? faultsOf(error) : messageOf(error);
    throw badKeyring(file, why, error);
  }
}

/** Saves a keyring's file, whole or not at all. */
export function saveKeyringState(file: string, { keys, trust }: KeyringState): void {
  // The parsed part is left out: canonical JSON has no undefined members.
  const records = keys.map((key) => ({ ...key, public: undefined }));
  saveAtomically(file, `${canonicalJson({ version: 1, keys: records, trust })}\n`, 0o640);
}

function checkKeys(keys: readonly KnownKey[]): void {
  const byId = new Map(keys.map((key) => [key.id, key]));
  if (byId.size !== keys.length) throw new Error('it lists a key twice');
  for (const key of keys) {
    if (key.public.id !== key.id) throw new Error(`the id of key '${key.name}' is not that of its public part`);
    if (key.previous === null) continue;
    const previous = byId.get(key.previous.id);
    if (previous === undefined) throw new Error(`the key before '${key.name}' is missing`);
    const envelope = parseEnvelope(Buffer.from(key.previous.envelope));
    const policy = { payloadType: ROTATION_MEDIA_TYPE, keys: [previous.public], threshold: 1 };
    const { payload } = verifyEnvelope(envelope, policy);
    if (!payload.equals(rotationPayload(previous.id, key.id, key.owner)) || previous.owner !== key.owner) {
      throw new Error(`the rotation to key '${key.name}' says something else`);
    }
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

function badKeyring(file: string, why: string, cause: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_KEYRING', `the keyring ${file} cannot be used: ${why}`, {
    exit: errnoOf(cause) === 'EACCES' ? exitStatus.notAuthorised : exitStatus.verificationFailed,
    hint: 'Restore it from a backup; without it no key is trusted.',
    cause,
  });
}

/** The rotation's envelope as it is kept in the new key's record. */
export function encodeRotation(envelope: Parameters<typeof encodeEnvelope>[0]): string {
  return encodeEnvelope(envelope).toString();
}
