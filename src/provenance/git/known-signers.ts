// Whose signatures count: git's list of allowed signers, OpenPGP keys, and the publishers behind both.
import { ProvenanceError } from '../errors.ts';
import { type AllowedSigner, badSigners, parseAllowedSigners } from './allowed-signers.ts';
import { quoted } from './git-object.ts';
import { type OpenpgpKey, parseOpenpgpKeys } from './openpgp-signature.ts';
import { parseSshKeyLine } from './ssh-key.ts';

const IDENTITIES_MAX = 20_000;
const KEYS_PER_IDENTITY_MAX = 64;

/** An address without the characters that mean something in a list of patterns, at most as long as RFC 5321 allows. */
const EMAIL = /^(?=.{3,320}$)[^\s,*?!"<>@]+@[^\s,*?!"<>@]+$/;

/** A publisher and what it signs with. */
export interface KnownIdentity {
  readonly publisher: string;
  /** Lines as in `id_ed25519.pub`. */
  readonly sshKeys: readonly string[];
  /** Armored public keys, one in each text. */
  readonly openpgpKeys: readonly string[];
  /** Addresses that it commits with; at least one. Letters' case does not matter. */
  readonly emails: readonly string[];
}

/** What signatures are held against. */
export interface KnownSigners {
  /** By the key's fingerprint, in the order of the list. */
  readonly ssh: ReadonlyMap<string, readonly AllowedSigner[]>;
  readonly openpgp: readonly OpenpgpKey[];
  /** By fingerprint of the SSH or OpenPGP key. */
  readonly publishers: ReadonlyMap<string, Publisher>;
}

/** A publisher, by one of its keys. */
export interface Publisher {
  readonly id: string;
  /** In lower case. */
  readonly emails: ReadonlySet<string>;
}

/**
 * Parses all that signatures are held against. A key that the list of allowed signers names is judged by that list alone, so that
 * an end of validity there is not undone by an identity.
 *
 * @param allowedSigners text of git's `gpg.ssh.allowedSignersFile`; null for none
 * @param openpgpKeys armored public keys of no known publisher
 * @throws ProvenanceError PROVENANCE_SIGNERS, PROVENANCE_OPENPGP
 */
export async function parseSigners({
  allowedSigners,
  openpgpKeys,
  identities,
}: {
  readonly allowedSigners: string | null;
  readonly openpgpKeys: readonly string[];
  readonly identities: readonly KnownIdentity[];
}): Promise<KnownSigners> {
  if (identities.length > IDENTITIES_MAX) throw badSigners(`there are more than ${IDENTITIES_MAX} identities`);
  const listed = allowedSigners === null ? [] : parseAllowedSigners(allowedSigners);
  const ssh = Map.groupBy(listed, ({ key }) => key.fingerprint);
  const openpgp = [...(await parseOpenpgpKeys(openpgpKeys))];
  const publishers = new Map<string, Publisher>();
  for (const identity of identities) {
    const publisher = publisherOf(identity);
    for (const signer of sshSignersOf(identity)) {
      const { fingerprint } = signer.key;
      addKey(publishers, fingerprint, publisher);
      if (!ssh.has(fingerprint)) ssh.set(fingerprint, [signer]);
    }
    for (const key of await parseOpenpgpKeys(identity.openpgpKeys)) {
      addKey(publishers, key.fingerprint, publisher);
      openpgp.push(key);
    }
  }
  return { ssh, openpgp, publishers };
}

function publisherOf({ publisher, emails, sshKeys, openpgpKeys }: KnownIdentity): Publisher {
  const wrong = emails.find((email) => !EMAIL.test(email));
  if (wrong !== undefined) throw badSigners(`${quoted(wrong)} of publisher ${quoted(publisher)} is no e-mail address`);
  const most = Math.max(emails.length, sshKeys.length, openpgpKeys.length);
  if (emails.length === 0 || most > KEYS_PER_IDENTITY_MAX)
    throw badSigners(
      `publisher ${quoted(publisher)} needs 1 to ${KEYS_PER_IDENTITY_MAX} e-mail addresses and at most as many keys`,
    );
  return { id: publisher, emails: new Set(emails.map((email) => email.toLowerCase())) };
}

function sshSignersOf({ publisher, sshKeys, emails }: KnownIdentity): AllowedSigner[] {
  return sshKeys.map((line) => {
    try {
      const key = parseSshKeyLine(line);
      return { principals: emails.join(','), key, namespaces: null, validAfter: null, validBefore: null };
    } catch (error) {
      const why = error instanceof ProvenanceError ? error.message : 'it cannot be read';
      throw badSigners(`a key of publisher ${quoted(publisher)}: ${why}`, error);
    }
  });
}

/** One key speaks for one publisher: otherwise whoever is listed first would get what the other signed. */
function addKey(publishers: Map<string, Publisher>, key: string, publisher: Publisher): void {
  const other = publishers.get(key);
  if (other !== undefined && other.id !== publisher.id)
    throw badSigners(`key ${key} belongs to both ${quoted(other.id)} and ${quoted(publisher.id)}`);
  publishers.set(key, publisher);
}
