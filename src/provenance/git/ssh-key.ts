// SSH public keys and the signatures that they verify, by Node's own OpenSSL alone.
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify as cryptoVerify } from 'node:crypto';

import { messageOf } from '../../base/index.ts';
import { isSignatureOf, publicKeyOfRaw } from '../ed25519.ts';
import { quoted } from './git-object.ts';
import { badSsh, base64OrNull, SshReader } from './ssh-wire.ts';

/** Weakest RSA key. @source NIST SP 800-131A revision 2, section 3 */
const RSA_BITS_MIN = 2048;
/** Longest RSA key, as in OpenSSH: bounds what one verification can cost. */
const RSA_BITS_MAX = 16_384;
/** Longest RSA exponent, in bytes; everyone uses 65537. */
const RSA_EXPONENT_BYTES_MAX = 8;

const ED25519_BYTES = 32;

/** A public key. */
export interface SshKey {
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  /** The key in SSH's wire format: two keys are the same when these bytes are. */
  readonly blob: Buffer;
  /** `SHA256:` and 43 characters of base64, as ssh-keygen prints it. */
  readonly fingerprint: string;
  /** True when `signature`, in SSH's wire format, is the key's over `message`. @throws PROVENANCE_SSH when it has no form */
  isSignature(message: Buffer, signature: Buffer): boolean;
}

/** Checks the part of a signature that follows the algorithm's name. */
type Check = (algorithm: string, message: Buffer, raw: Buffer) => boolean;

/**
 * Parses a public key in SSH's wire format.
 *
 * @throws ProvenanceError PROVENANCE_SSH when it is damaged, weak or of an unsupported type
 * @source RFC 4253, section 6.6; RFC 5656; RFC 8332; RFC 8709; OpenSSH PROTOCOL.u2f
 */
export function parseSshKey(blob: Buffer): SshKey {
  const reader = new SshReader(blob);
  const type = reader.name();
  const read = KEY_TYPES.get(type);
  if (read === undefined) throw badSsh(`keys of type ${quoted(type)} are not supported`);
  const check = read(reader);
  const application = isHardware(type) ? reader.string() : null;
  reader.end();
  return {
    type,
    blob,
    fingerprint: fingerprintOf(blob),
    isSignature: (message, signature) => isSigned(check, application, message, signature),
  };
}

/**
 * Parses a public key as in `id_ed25519.pub`: type, base64, and perhaps a comment.
 *
 * @throws ProvenanceError PROVENANCE_SSH
 */
export function parseSshKeyLine(line: string): SshKey {
  const [type = '', base64 = ''] = line.trim().split(/[ \t]+/, 2);
  const blob = base64OrNull(base64);
  if (blob === null || blob.length === 0) throw badSsh(`${quoted(line)} is no public key`);
  const key = parseSshKey(blob);
  if (key.type !== type) throw badSsh(`the key says that it is ${quoted(type)}, but it is ${key.type}`);
  return key;
}

/** `SHA256:` and base64 without padding, as ssh-keygen prints it. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${sha256(blob).toString('base64').replaceAll('=', '')}`;
}

/** Keys that live in a security token: they sign hashes together with flags and a counter. */
function isHardware(type: string): boolean {
  return type.startsWith('sk-');
}

function isSigned(check: Check, application: Buffer | null, message: Buffer, signature: Buffer): boolean {
  const reader = new SshReader(signature);
  const algorithm = reader.name();
  const raw = reader.string();
  if (application === null) {
    reader.end();
    return check(algorithm, message, raw);
  }
  const flagsAndCounter = reader.bytes(5);
  reader.end();
  return check(algorithm, Buffer.concat([sha256(application), flagsAndCounter, sha256(message)]), raw);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const KEY_TYPES: ReadonlyMap<string, (reader: SshReader) => Check> = new Map([
  ['ssh-ed25519', (reader) => readEd25519(reader, 'ssh-ed25519')],
  ['sk-ssh-ed25519@openssh.com', (reader) => readEd25519(reader, 'sk-ssh-ed25519@openssh.com')],
  ['ecdsa-sha2-nistp256', (reader) => readEcdsa(reader, 'ecdsa-sha2-nistp256', CURVES.nistp256)],
  ['ecdsa-sha2-nistp384', (reader) => readEcdsa(reader, 'ecdsa-sha2-nistp384', CURVES.nistp384)],
  ['ecdsa-sha2-nistp521', (reader) => readEcdsa(reader, 'ecdsa-sha2-nistp521', CURVES.nistp521)],
  [
    'sk-ecdsa-sha2-nistp256@openssh.com',
    (reader) => readEcdsa(reader, 'sk-ecdsa-sha2-nistp256@openssh.com', CURVES.nistp256),
  ],
  ['ssh-rsa', readRsa],
]);

function readEd25519(reader: SshReader, algorithm: string): Check {
  const raw = reader.string();
  if (raw.length !== ED25519_BYTES) throw badSsh('an Ed25519 key has 32 bytes');
  const key = publicKeyOfRaw(raw);
  return (given, message, signature) => given === algorithm && isSignatureOf(key, message, signature);
}

interface Curve {
  readonly name: string;
  readonly jwk: string;
  readonly bytes: number;
  readonly hash: string;
}

/** @source RFC 5656, section 6.2.1 */
const CURVES = {
  nistp256: { name: 'nistp256', jwk: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { name: 'nistp384', jwk: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { name: 'nistp521', jwk: 'P-521', bytes: 66, hash: 'sha512' },
} as const satisfies Readonly<Record<string, Curve>>;

function readEcdsa(reader: SshReader, algorithm: string, curve: Curve): Check {
  if (reader.name() !== curve.name) throw badSsh('the key is on another curve than its type says');
  const point = reader.string();
  const { bytes } = curve;
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw badSsh('the key is no uncompressed point');
  const x = point.subarray(1, 1 + bytes).toString('base64url');
  const y = point.subarray(1 + bytes).toString('base64url');
  const key = keyOfJwk({ kty: 'EC', crv: curve.jwk, x, y });
  return (given, message, signature) => {
    if (given !== algorithm) return false;
    const parts = new SshReader(signature);
    const numbers = [parts.natural(), parts.natural()];
    parts.end();
    if (numbers.some((number) => number.length > bytes)) return false;
    const fixed = Buffer.concat(numbers.map((number) => padded(number, bytes)));
    return cryptoVerify(curve.hash, message, { key, dsaEncoding: 'ieee-p1363' }, fixed);
  };
}

/** SHA-1 (`ssh-rsa`) is not among them. @source RFC 8332, section 3 */
const RSA_HASHES: ReadonlyMap<string, string> = new Map([
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
]);

function readRsa(reader: SshReader): Check {
  const exponent = reader.natural();
  const modulus = reader.natural();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < RSA_BITS_MIN) throw badSsh(`an RSA key of ${Math.max(0, bits)} bits is too weak`);
  if (bits > RSA_BITS_MAX || exponent.length > RSA_EXPONENT_BYTES_MAX) throw badSsh('the RSA key is too large');
  const key = keyOfJwk({ kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') });
  return (algorithm, message, signature) => {
    const hash = RSA_HASHES.get(algorithm);
    if (hash === undefined || signature.length > modulus.length) return false;
    return cryptoVerify(hash, message, key, padded(signature, modulus.length));
  };
}

function padded(number: Buffer, bytes: number): Buffer {
  return Buffer.concat([Buffer.alloc(bytes - number.length), number]);
}

function keyOfJwk(jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    throw badSsh(`OpenSSL refuses the key: ${messageOf(error).slice(0, 80)}`, error);
  }
}
