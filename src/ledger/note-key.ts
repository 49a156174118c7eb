// Keys of logs and witnesses in the form of signed notes. @source https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign as cryptoSign,
  verify as cryptoVerify,
} from 'node:crypto';

import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import { decodeBase64, isKeyName } from './signed-note.ts';

/** Kinds of signatures, by the byte that names them. */
const KIND = { note: 0x01, cosignature: 0x04 } as const;
const RAW_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const TIMESTAMP_BYTES = 8;
/** @source RFC 8410, sections 4 and 7 */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PRIVATE_MARK = 'PRIVATE+KEY+';
const KEY_CHARS_MAX = 1024;

/** Checks signatures of one key and kind. */
export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of the hash over name, kind and key; names it in a signature. */
  readonly id: number;
  readonly kind: 'note' | 'cosignature';
  /** The public key as text: NAME+ID+BASE64. */
  readonly text: string;
  /** Null when the signature does not hold; else when it was made, Unix seconds, where the kind says it. */
  verify(text: string, signature: Uint8Array): { readonly timestamp: number | null } | null;
}

/** Makes signatures of one key and kind. */
export interface NoteSigner {
  readonly name: string;
  readonly id: number;
  readonly verifier: NoteVerifier;
  sign(text: string): Buffer;
}

/**
 * Parses a public key: `NAME+ID+BASE64`, of a log (kind 1) or of a witness (kind 4).
 *
 * @throws LedgerError LEDGER_KEY
 */
export function parseVerifierKey(text: string): NoteVerifier {
  if (text.length > KEY_CHARS_MAX) throw badKey('it is too long');
  const [name = '', idHex = '', ...rest] = text.trim().split('+');
  // Base64 has plus signs of its own.
  const bytes = decodeBase64(rest.join('+'));
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(idHex) || bytes?.length !== 1 + RAW_KEY_BYTES)
    throw badKey('it is not NAME+ID+BASE64');
  const kind = bytes[0] === KIND.note ? 'note' : 'cosignature';
  if (bytes[0] !== KIND[kind]) throw badKey(`signatures of kind ${bytes[0]} are not known`);
  const verifier = verifierOf(name, kind, bytes.subarray(1));
  if (verifier.id !== Number.parseInt(idHex, 16)) throw badKey('its id is not that of its name and key');
  return verifier;
}

/**
 * Parses the private key of a log: `PRIVATE+KEY+NAME+ID+BASE64`.
 *
 * @throws LedgerError LEDGER_KEY
 */
export function parseSignerKey(text: string): NoteSigner {
  const { name, key, raw } = parsePrivateKey(text);
  const verifier = verifierOf(name, 'note', raw);
  return { name, id: verifier.id, verifier, sign: (note) => cryptoSign(null, Buffer.from(note), key) };
}

/**
 * Parses the private key of a witness, in the same form; it makes cosignatures of the time that `nowSeconds` gives.
 *
 * @throws LedgerError LEDGER_KEY
 */
export function parseCosignerKey(text: string, nowSeconds: () => number): NoteSigner {
  const { name, key, raw } = parsePrivateKey(text);
  const verifier = verifierOf(name, 'cosignature', raw);
  return { name, id: verifier.id, verifier, sign: (note) => cosign(note, key, nowSeconds()) };
}

function parsePrivateKey(text: string): { readonly name: string; readonly key: KeyObject; readonly raw: Buffer } {
  const secret = text.trim();
  const isPrivate = secret.length <= KEY_CHARS_MAX && secret.startsWith(PRIVATE_MARK);
  const [name = '', idHex = '', ...rest] = isPrivate ? secret.slice(PRIVATE_MARK.length).split('+') : [];
  const bytes = decodeBase64(rest.join('+'));
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(idHex) || bytes?.length !== 1 + RAW_KEY_BYTES || bytes[0] !== KIND.note)
    throw badKey('it is not PRIVATE+KEY+NAME+ID+BASE64 of an Ed25519 key');
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes.subarray(1)]), format: 'der', type: 'pkcs8' });
  const raw = rawPublicKey(createPublicKey(key));
  if (verifierOf(name, 'note', raw).id === Number.parseInt(idHex, 16)) return { name, key, raw };
  throw badKey('its id is not that of its name and key');
}

/** A fresh private key as text. @throws LedgerError LEDGER_KEY for a name with spaces or plus signs */
export function makeSignerKey(name: string): string {
  if (!isKeyName(name)) throw badKey('its name holds a space or a plus sign, or is empty');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(PKCS8_PREFIX.length);
  const { id } = verifierOf(name, 'note', rawPublicKey(publicKey));
  return `${PRIVATE_MARK}${name}+${hexId(id)}+${Buffer.concat([Buffer.of(KIND.note), seed]).toString('base64')}`;
}

function verifierOf(name: string, kind: NoteVerifier['kind'], raw: Buffer): NoteVerifier {
  const typed = Buffer.concat([Buffer.of(KIND[kind]), raw]);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'buffer').readUInt32BE();
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
  const verify = kind === 'note' ? verifySignature : verifyCosignature;
  return {
    name,
    id,
    kind,
    text: `${name}+${hexId(id)}+${typed.toString('base64')}`,
    verify: (text, signature) => verify(key, text, signature),
  };
}

function verifySignature(key: KeyObject, text: string, signature: Uint8Array): { timestamp: null } | null {
  const holds = signature.length === SIGNATURE_BYTES && cryptoVerify(null, Buffer.from(text), key, signature);
  return holds ? { timestamp: null } : null;
}

function verifyCosignature(key: KeyObject, text: string, signature: Uint8Array): { timestamp: number } | null {
  if (signature.length !== TIMESTAMP_BYTES + SIGNATURE_BYTES) return null;
  const time = Buffer.from(signature).readBigUInt64BE();
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  const timestamp = Number(time);
  return cryptoVerify(null, cosignedMessage(text, timestamp), key, signature.subarray(TIMESTAMP_BYTES))
    ? { timestamp }
    : null;
}

function cosign(text: string, key: KeyObject, timestamp: number): Buffer {
  const time = Buffer.alloc(TIMESTAMP_BYTES);
  time.writeBigUInt64BE(BigInt(timestamp));
  return Buffer.concat([time, cryptoSign(null, cosignedMessage(text, timestamp), key)]);
}

/** @source https://c2sp.org/tlog-cosignature, Ed25519 signed message */
function cosignedMessage(text: string, timestamp: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${timestamp}\n${text}`);
}

function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length);
}

function hexId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

function badKey(why: string): LedgerError {
  return new LedgerError('LEDGER_KEY', `the key of a log or witness cannot be used: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Give it as its operator publishes it, in one line.',
  });
}
