// OpenPGP signatures of commits, by the library openpgp with stricter rules: one binary signature, strong hashes, a key that is still good.
import type { PartialConfig, PublicKey, Signature } from 'openpgp';

import { exitStatus, KIB, messageOf, MIB } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { quoted } from './git-object.ts';

/** What an armored OpenPGP signature begins with. */
export const OPENPGP_ARMOR = '-----BEGIN PGP SIGNATURE-----';

/** Largest armored signature; one by RSA of 4096 bits has 1 KiB. */
const ARMOR_BYTES_MAX = 64 * KIB;

/** Largest armored public key, with its user ids and the signatures of others on it. */
const KEY_CHARS_MAX = MIB;
const KEYS_MAX = 1024;

/** The library, which takes 80 ms and 15 MB: only those pay who meet such a key or signature. */
async function loadLibrary() {
  const library = await import('openpgp');
  const { md5, ripemd, sha1, sha224 } = library.enums.hash;
  // MD5, RIPEMD-160 and SHA-1 sign no commit. SHA-1 stays good for a key's own bindings, as gpg has it: old keys have no others.
  const config: PartialConfig = {
    rejectHashAlgorithms: new Set([md5, ripemd]),
    rejectMessageHashAlgorithms: new Set([md5, ripemd, sha1, sha224]),
    minRSABits: 2048,
    maxUserIDLength: 4 * KIB,
  };
  return { library, config };
}

/** Public keys that may have signed. */
export interface OpenpgpKey {
  /** 40 or 64 upper-case hex digits, of the primary key. */
  readonly fingerprint: string;
  readonly key: PublicKey;
}

/** What an OpenPGP signature is worth. */
export type OpenpgpVerdict =
  | { readonly status: 'verified'; readonly fingerprint: string; readonly userId: string | null }
  | { readonly status: 'unknown-key'; readonly keyId: string }
  | { readonly status: 'bad'; readonly fingerprint: string | null; readonly reason: string };

/**
 * Parses armored public keys; one armor may hold several.
 *
 * @throws ProvenanceError PROVENANCE_OPENPGP
 */
export async function parseOpenpgpKeys(armored: readonly string[]): Promise<readonly OpenpgpKey[]> {
  const keys: OpenpgpKey[] = [];
  for (const text of armored) {
    if (text.length > KEY_CHARS_MAX) throw badKey(`it has more than ${KEY_CHARS_MAX} characters`);
    for (const key of await readArmored(text)) {
      if (key.isPrivate()) throw badKey('it is a private key');
      keys.push({ fingerprint: key.getFingerprint().toUpperCase(), key });
    }
    if (keys.length > KEYS_MAX) throw badKey(`there are more than ${KEYS_MAX}`);
  }
  return keys;
}

async function readArmored(text: string): Promise<PublicKey[]> {
  const { library, config } = await loadLibrary();
  try {
    return await library.readKeys({ armoredKeys: text, config });
  } catch (error) {
    throw badKey(quoted(messageOf(error)), error);
  }
}

function badKey(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_OPENPGP', `the OpenPGP key cannot be used: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Give a public key in armor: gpg --armor --export ada@example.com',
    cause,
  });
}

/**
 * Verifies an armored signature over `payload`. As with gpg, a key that is expired or revoked by now verifies nothing, whenever
 * it signed.
 *
 * @source RFC 9580
 */
export async function verifyOpenpgp({
  armored,
  payload,
  keys,
  nowMs,
}: {
  readonly armored: Uint8Array;
  readonly payload: Uint8Array;
  readonly keys: readonly OpenpgpKey[];
  readonly nowMs: number;
}): Promise<OpenpgpVerdict> {
  const bytes = dearmor(armored);
  if (bytes === null) return bad('the signature is not in armor, or its checksum is wrong');
  const now = new Date(nowMs);
  const { library, config } = await loadLibrary();
  try {
    const signature = await library.readSignature({ binarySignature: bytes, config });
    const [packet, ...others] = signature.packets;
    if (packet === undefined || others.length > 0)
      return bad(`it holds ${signature.packets.length} signatures, not one`);
    // A signature of text would leave the ends of lines to whoever reads it.
    if (packet.signatureType !== library.enums.signature.binary) return bad('it is not a signature of bytes');
    const keyId = packet.issuerKeyID;
    const copies = keys.filter(({ key }) => key.getKeys(keyId).length > 0);
    let verdict: OpenpgpVerdict | null = null;
    // The same key may have been given twice, before and after its revocation: every copy must verify.
    for (const copy of copies) {
      verdict = await verifyBy(copy, { signature, payload, now, keyId });
      if (verdict.status !== 'verified') break;
    }
    if (verdict !== null) return verdict;
    return { status: 'unknown-key', keyId: keyId.toHex().toUpperCase() };
  } catch (error) {
    return bad(quoted(messageOf(error)));
  }
}

type KeyId = ReturnType<Signature['getSigningKeyIDs']>[number];

async function verifyBy(
  { fingerprint, key }: OpenpgpKey,
  {
    signature,
    payload,
    now,
    keyId,
  }: { readonly signature: Signature; readonly payload: Uint8Array; readonly now: Date; readonly keyId: KeyId },
): Promise<OpenpgpVerdict> {
  const { library, config } = await loadLibrary();
  try {
    const message = await library.createMessage({ binary: payload });
    const { signatures } = await library.verify({
      message,
      signature,
      verificationKeys: key,
      date: now,
      format: 'binary',
      config,
    });
    if (signatures.length !== 1) return bad('it is not one signature', fingerprint);
    await signatures[0]?.verified;
    // The library asks whether the key was good when it signed, by the signer's own clock; this asks whether it is good now.
    await key.getSigningKey(keyId, now);
    const { user } = await key.getPrimaryUser(now);
    return { status: 'verified', fingerprint, userId: user.userID?.userID ?? null };
  } catch (error) {
    return bad(quoted(messageOf(error)), fingerprint);
  }
}

function bad(reason: string, fingerprint: string | null = null): OpenpgpVerdict {
  return { status: 'bad', fingerprint, reason };
}

const ARMOR_LINES =
  /^-----BEGIN PGP SIGNATURE-----[ \t]*\n(?:[A-Za-z]+: [^\n]*\n)*[ \t]*\n(?<body>[^-]*)-----END PGP SIGNATURE-----\s*$/;
const ARMOR_BODY = /^(?<base64>[A-Za-z0-9+/]+={0,2})(?:=(?<checksum>[A-Za-z0-9+/]{4}))?$/;

/**
 * The bytes in the armor; null when it is no single armor, or its checksum is wrong. Stricter than gpg, which also takes damage of
 * the last two lines.
 *
 * @source RFC 9580, section 6
 */
function dearmor(armored: Uint8Array): Buffer | null {
  if (armored.length > ARMOR_BYTES_MAX) return null;
  const text = Buffer.from(armored).toString('latin1').replaceAll('\r\n', '\n');
  const { body = '' } = ARMOR_LINES.exec(text)?.groups ?? {};
  const { base64 = '', checksum } = ARMOR_BODY.exec(body.replaceAll(/[\t\n\r ]/g, ''))?.groups ?? {};
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== base64) return null;
  return checksum === undefined || crc24(bytes).toString('base64') === checksum ? bytes : null;
}

/** @source RFC 9580, section 6.1.1 */
function crc24(bytes: Uint8Array): Buffer {
  let crc = 0xb704ce;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc << 1) ^ (crc & 0x800000 ? 0x1864cfb : 0);
  }
  return Buffer.from([(crc >> 16) & 0xff, (crc >> 8) & 0xff, crc & 0xff]);
}
