// Signatures of `ssh-keygen -Y sign`: a key, a namespace and a signature over the hash of a message, in armor.
import { createHash } from 'node:crypto';

import { KIB } from '../../base/index.ts';
import { quoted } from './git-object.ts';
import { parseSshKey, type SshKey } from './ssh-key.ts';
import { badSsh, base64OrNull, SshReader, sshString } from './ssh-wire.ts';

/** What an armored SSH signature begins with. */
export const SSH_ARMOR = '-----BEGIN SSH SIGNATURE-----';
const SSH_ARMOR_END = '\n-----END SSH SIGNATURE-----';

/** Largest armored signature: one by RSA of 16,384 bits has 6 KiB. */
const ARMOR_BYTES_MAX = 64 * KIB;

const MAGIC = 'SSHSIG';
const VERSION_MAX = 1;
const HASHES: ReadonlySet<string> = new Set(['sha256', 'sha512']);

/** A signature, parsed but not verified. */
export interface SshSignature {
  readonly key: SshKey;
  readonly namespace: string;
  readonly hash: string;
  readonly signature: Buffer;
}

/**
 * Parses an armored signature as ssh-keygen reads it: white space within the base64 and text after the end are ignored.
 *
 * @param readKey gives the key of these bytes; one that is known already need not be parsed again
 * @throws ProvenanceError PROVENANCE_SSH
 * @source OpenSSH, PROTOCOL.sshsig; sshsig.c: sshsig_dearmor, sshsig_wrap_verify
 */
export function parseSshSignature(armored: Uint8Array, readKey: (blob: Buffer) => SshKey = parseSshKey): SshSignature {
  if (armored.length > ARMOR_BYTES_MAX) throw badSsh(`the signature has more than ${ARMOR_BYTES_MAX} bytes`);
  const text = Buffer.from(armored).toString('latin1');
  const end = text.indexOf(SSH_ARMOR_END);
  // Some versions of ssh-keygen take anything for the end of this line; this one is good with all of them.
  if (!text.startsWith(`${SSH_ARMOR}\n`) || end < 0) throw badSsh('the signature is not in armor');
  const blob = base64OrNull(text.slice(SSH_ARMOR.length, end).replaceAll(/[\t\n\v\f\r ]/g, ''));
  if (blob === null) throw badSsh('the signature is not base64');
  return parseBlob(new SshReader(blob), readKey);
}

function parseBlob(reader: SshReader, readKey: (blob: Buffer) => SshKey): SshSignature {
  if (reader.bytes(MAGIC.length).toString('latin1') !== MAGIC) throw badSsh('the signature is not of ssh-keygen -Y');
  // A version is not signed; like ssh-keygen, refuse only what may mean something else.
  if (reader.uint32() > VERSION_MAX) throw badSsh('the signature is of a later version');
  const key = readKey(reader.string());
  const namespace = reader.name();
  reader.string(); // Reserved: read past, and signed as empty.
  const hash = reader.name();
  if (!HASHES.has(hash)) throw badSsh(`the hash ${quoted(hash)} is not supported`);
  const signature = reader.string();
  reader.end();
  return { key, namespace, hash, signature };
}

/** True when the signature is its key's over `message`, in its namespace. @throws ProvenanceError PROVENANCE_SSH */
export function isSshSignatureOf({ key, namespace, hash, signature }: SshSignature, message: Uint8Array): boolean {
  const digest = createHash(hash).update(message).digest();
  const fields = [Buffer.from(namespace, 'latin1'), '', hash, digest];
  const signed = Buffer.concat([Buffer.from(MAGIC), ...fields.map((field) => sshString(field))]);
  return key.isSignature(signed, signature);
}
