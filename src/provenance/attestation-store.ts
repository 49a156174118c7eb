// Attestations on disk, by the artifact that they speak of; whether they are true is decided when they are read.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { type Digest, digestOf, hexOf } from '../artifact/index.ts';
import { exitStatus } from '../base/index.ts';
import { saveAtomically } from './atomic-file.ts';
import { ENVELOPE_BYTES_MAX, parseEnvelope } from './dsse.ts';
import { ProvenanceError } from './errors.ts';
import { parseStatement } from './statement.ts';

/** Attestations that are kept of one artifact: each costs a parse and up to 16 verifications at every admission. */
const ATTESTATIONS_MAX = 128;

/** An attestation as it was found: `digest` is what its name says that its bytes have. */
export interface StoredAttestation {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

export interface AttestationStore {
  /**
   * Keeps an envelope under every subject of its statement, unverified; its digest names it.
   *
   * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_ENVELOPE, PROVENANCE_STATEMENT, PROVENANCE_ATTESTATIONS_FULL
   */
  put(bytes: Uint8Array): Digest;
  /** All that were kept about an artifact, in the order of their digests; damaged ones too, for {@link verifyArtifact} to find. */
  list(subject: Digest): StoredAttestation[];
}

/** Opens the store in `dir`: `<subject>/<envelope digest>.json`. */
export function openAttestationStore(dir: string): AttestationStore {
  const folderOf = (subject: Digest): string => join(dir, hexOf(subject));
  return {
    put: (bytes) => {
      const { subjects } = parseStatement(parseEnvelope(bytes).payload);
      const digest = digestOf(bytes);
      const names = new Set(subjects.map((subject) => subject.digest));
      for (const subject of names) refuseFull(subject, namesIn(folderOf(subject)), hexOf(digest));
      for (const subject of names) saveAtomically(join(folderOf(subject), `${hexOf(digest)}.json`), bytes, 0o640);
      return digest;
    },
    list: (subject) =>
      namesIn(folderOf(subject)).map((hex) => ({
        digest: `sha256:${hex}` as Digest,
        bytes: readBounded(join(folderOf(subject), `${hex}.json`)),
      })),
  };
}

function namesIn(folder: string): string[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder)
    .flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? [])
    .sort();
}

/** An oversized file cannot be ours: it comes out empty, which no digest has, so it fails verification. */
function readBounded(path: string): Buffer {
  return statSync(path).size > ENVELOPE_BYTES_MAX ? Buffer.alloc(0) : readFileSync(path);
}

function refuseFull(subject: Digest, names: readonly string[], hex: string): void {
  if (names.length < ATTESTATIONS_MAX || names.includes(hex)) return;
  throw new ProvenanceError(
    'PROVENANCE_ATTESTATIONS_FULL',
    `${subject} has ${names.length} attestations, which is the limit`,
    { exit: exitStatus.limit, hint: 'Remove those that are no longer needed from the attestations folder.' },
  );
}
