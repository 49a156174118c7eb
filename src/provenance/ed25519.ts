// Ed25519 keys and signatures, by Node's own OpenSSL alone.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as cryptoSign,
  verify as cryptoVerify,
} from 'node:crypto';
import { promisify } from 'node:util';

import { exitStatus, sha256Hex } from '../base/index.ts';
import { ProvenanceError } from './errors.ts';

/** A signature's bytes. @source RFC 8032, section 5.1.6 */
const SIGNATURE_BYTES = 64;

/** SubjectPublicKeyInfo of an Ed25519 key: this prefix and 32 bytes. @source RFC 8410, section 4 */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SPKI_BYTES = SPKI_PREFIX.length + 32;

/** A PEM of an Ed25519 key has about 120 characters. */
const PEM_CHARS_MAX = 4096;

const verifyInPool = promisify(cryptoVerify);

/** A public key. `id` is the SHA-256 of its SubjectPublicKeyInfo in DER, 64 hex digits. */
export interface PublicKey {
  readonly id: string;
  readonly spki: Buffer;
  readonly object: KeyObject;
}

/** Something that signs with one key. */
export interface Signer {
  readonly keyId: string;
  sign(bytes: Uint8Array): Buffer;
}

/** A fresh key pair; the private part as PKCS #8 in PEM. */
export function makeKeyPair(): { readonly publicKey: PublicKey; readonly privatePem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return {
    publicKey: parseSpki(spki),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/**
 * Parses a public key in PEM.
 *
 * @throws ProvenanceError PROVENANCE_KEY_FORM when it is no Ed25519 public key
 */
export function parsePublicPem(pem: string): PublicKey {
  // attacker-controlled: a PEM that holds a private key must not become a public one by accident.
  if (pem.length > PEM_CHARS_MAX || !pem.includes('-----BEGIN PUBLIC KEY-----'))
    throw notAKey('it is no PEM public key');
  try {
    return parseSpki(createPublicKey(pem).export({ type: 'spki', format: 'der' }));
  } catch (error) {
    throw error instanceof ProvenanceError ? error : notAKey('it cannot be read', error);
  }
}

/**
 * Parses a SubjectPublicKeyInfo in DER.
 *
 * @throws ProvenanceError PROVENANCE_KEY_FORM when it is no Ed25519 public key
 */
export function parseSpki(spki: Uint8Array): PublicKey {
  const bytes = Buffer.from(spki);
  if (bytes.length !== SPKI_BYTES || !bytes.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)) {
    throw notAKey('it is no Ed25519 key');
  }
  // OpenSSL takes any 32 bytes here; those that are no point fail every verification.
  const object = createPublicKey({ key: bytes, format: 'der', type: 'spki' });
  return { id: sha256Hex(bytes), spki: bytes, object };
}

/** The public key whose 32 bytes these are. */
export function publicKeyOfRaw(raw: Uint8Array): PublicKey {
  return parseSpki(Buffer.concat([SPKI_PREFIX, raw]));
}

/** A signer from a private key in PEM. @throws ProvenanceError PROVENANCE_KEY_FORM */
export function signerOf(privatePem: string): Signer {
  const key = readPrivate(privatePem);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { keyId: parseSpki(spki).id, sign: (bytes) => cryptoSign(null, bytes, key) };
}

function readPrivate(privatePem: string): KeyObject {
  try {
    return createPrivateKey(privatePem);
  } catch (error) {
    throw notAKey('it cannot be read', error);
  }
}

/**
 * True when `signature` is the key's over `message`. As strict as RFC 8032 allows, which vectors hold: S below the order of the
 * group, canonical encodings, no key or R of small order, no cofactor.
 */
export function isSignatureOf(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === SIGNATURE_BYTES && cryptoVerify(null, message, key.object, signature);
}

/** As {@link isSignatureOf}, on a thread of Node's pool: a verification takes a tenth of a millisecond. */
export function isSignatureOfAsync(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES) return Promise.resolve(false);
  return verifyInPool(null, message, key.object, signature);
}

function notAKey(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_KEY_FORM', `the key cannot be used: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Give an Ed25519 key in PEM: openssl genpkey -algorithm ed25519 makes one, openssl pkey -pubout its public part.',
    cause,
  });
}
