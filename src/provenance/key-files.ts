// The files of a keyring: what is known of its keys, their public parts, and the private ones, which only their owner may read.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus, messageOf, rfc3339 } from '../base/index.ts';
import { saveAtomically } from './atomic-file.ts';
import { type PublicKey, type Signer, signerOf } from './ed25519.ts';
import { ProvenanceError } from './errors.ts';
import { type KeyringFile, KeyringReader, type KnownKey, saveKeyring } from './key-records.ts';

/** `keyring.json`, `<id>.pub` and `<id>.key` in one folder. */
export class KeyringFiles {
  readonly file: string;
  readonly issuer: string;
  readonly #dir: string;
  readonly #reader: KeyringReader;
  /** What the log says; null while only the file is known. */
  #held: KeyringFile | null = null;

  constructor(dir: string, issuer: string) {
    this.file = join(dir, 'keyring.json');
    this.issuer = issuer;
    this.#reader = new KeyringReader(this.file);
    this.#dir = dir;
  }

  load(): KeyringFile {
    return this.#held ?? this.#reader.load();
  }

  save(ring: KeyringFile): void {
    // In memory first: what the log has counts, whether or not the disk takes the file.
    if (this.#held !== null) this.#held = ring;
    saveKeyring(this.file, ring);
  }

  /** From now on the file is only written. */
  hold(ring: KeyringFile): void {
    this.#held = ring;
    this.save(ring);
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
}

/** @throws ProvenanceError PROVENANCE_KEY_RETIRED for a key that was rotated or revoked */
export function refuseRetired(key: KnownKey, what: string): void {
  const why =
    key.revoked === null
      ? key.rotated !== null && `it was rotated at ${rfc3339(key.rotated.atMs)}`
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
