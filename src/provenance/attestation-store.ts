// Attestations on disk, by the artifact that they speak of; whether they are true is decided when they are read.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { type Digest, digestOf, hexOf } from '../artifact/index.ts';
import { errnoOf, exitStatus } from '../base/index.ts';
import { saveAtomically, saveAtomicallyAside } from './atomic-file.ts';
import { ENVELOPE_BYTES_MAX, parseEnvelope } from './dsse.ts';
import { ProvenanceError } from './errors.ts';
import { parseStatement } from './statement.ts';

/** Attestations that are kept of one artifact: each costs a parse and up to 16 verifications at every admission. */
const ATTESTATIONS_MAX = 128;

/** An attestation as it was found: `digest` is what its name says that its bytes have. */
export interface StoredAttestation {
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** Where the home's own log has its leaf, from 0, as its name says; null for one that came in a file. */
  readonly logIndex: number | null;
}

export interface AttestationStore {
  /**
   * Keeps an envelope under every subject of its statement, unverified; its digest and the index of its leaf name it. One that is
   * logged again keeps its first index.
   *
   * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_ENVELOPE, PROVENANCE_STATEMENT, PROVENANCE_ATTESTATIONS_FULL
   */
  put(bytes: Uint8Array, logIndex: number): Digest;
  /**
   * The index under which every subject has the envelope with this digest; null when one has it not.
   *
   * @throws ProvenanceError PROVENANCE_ATTESTATIONS_FULL when one has no room for it
   */
  indexOf(digest: Digest, subjects: readonly Digest[]): number | null;
  /**
   * As `put` for an envelope about one artifact, in the place of others about it, which go once it is there; the event loop is free
   * meanwhile.
   *
   * @throws ProvenanceError as `put`
   */
  replace(bytes: Uint8Array, logIndex: number, replaced: ReadonlySet<Digest>): Promise<Digest>;
  /** All that were kept about an artifact, in the order of their digests; damaged ones too, for {@link verifyArtifact} to find. */
  list(subject: Digest): StoredAttestation[];
}

/**
 * Opens the store in `dir`: `<subject>/<envelope digest>-<index>.json`.
 *
 * @param digestAt what the home's log has at an index; one whose place in the log is another's is listed as in no log. Without it, names
 * are believed.
 */
export function openAttestationStore(dir: string, digestAt?: (index: number) => Digest | null): AttestationStore {
  const placeOf = (digest: Digest, index: number): number | null =>
    digestAt === undefined || digestAt(index) === digest ? index : null;
  const folderOf = (subject: Digest): string => join(dir, hexOf(subject));
  return {
    put: (bytes, logIndex) => {
      const { subjects } = parseStatement(parseEnvelope(bytes).payload);
      const digest = digestOf(bytes);
      const names = new Set(subjects.map((subject) => subject.digest));
      const missing = [...names].filter((subject) => !has(namesIn(folderOf(subject)), subject, hexOf(digest)));
      for (const subject of missing) {
        saveAtomically(join(folderOf(subject), `${hexOf(digest)}-${logIndex}.json`), bytes, 0o640);
      }
      return digest;
    },
    indexOf: (digest, subjects) => {
      const found = subjects.map((subject) => {
        const names = namesIn(folderOf(subject));
        return has(names, subject, hexOf(digest)) ? names.find(({ hex }) => hex === hexOf(digest)) : undefined;
      });
      return found.every((name) => name !== undefined) ? (found[0]?.logIndex ?? null) : null;
    },
    replace: async (bytes, logIndex, replaced) => {
      const [subject] = parseStatement(parseEnvelope(bytes).payload).subjects;
      const digest = digestOf(bytes);
      if (subject === undefined) return digest;
      const folder = folderOf(subject.digest);
      const [gone, staying] = partition(namesIn(folder), ({ hex }) => replaced.has(`sha256:${hex}` as Digest));
      if (!has(staying, subject.digest, hexOf(digest)))
        await saveAtomicallyAside(join(folder, `${hexOf(digest)}-${logIndex}.json`), bytes, 0o640);
      for (const { file } of gone) await rm(join(folder, file), { force: true });
      return digest;
    },
    list: (subject) =>
      namesIn(folderOf(subject)).flatMap(({ hex, logIndex, file }) => {
        const bytes = readBounded(join(folderOf(subject), file));
        const digest = `sha256:${hex}` as Digest;
        // A later envelope under an earlier name would outlive the theft of its key.
        return bytes === null ? [] : [{ digest, bytes, logIndex: placeOf(digest, logIndex) }];
      }),
  };
}

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

interface StoredName {
  readonly hex: string;
  readonly logIndex: number;
  readonly file: string;
}

/** In the order of their digests. */
function namesIn(folder: string): StoredName[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder)
    .flatMap((file) => {
      const [, hex, index] = /^([0-9a-f]{64})-(0|[1-9]\d{0,14})\.json$/.exec(file) ?? [];
      return hex === undefined ? [] : [{ hex, logIndex: Number(index), file }];
    })
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** An oversized file cannot be ours: it comes out empty, which no digest has, so it fails verification. Null: it was replaced since it was listed. */
function readBounded(path: string): Buffer | null {
  try {
    return statSync(path).size > ENVELOPE_BYTES_MAX ? Buffer.alloc(0) : readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Whether the subject has it already. @throws ProvenanceError PROVENANCE_ATTESTATIONS_FULL when there is no room for it */
function has(names: readonly StoredName[], subject: Digest, digestHex: string): boolean {
  if (names.some(({ hex }) => hex === digestHex)) return true;
  if (names.length < ATTESTATIONS_MAX) return false;
  throw new ProvenanceError(
    'PROVENANCE_ATTESTATIONS_FULL',
    `${subject} has ${names.length} attestations, which is the limit`,
    { exit: exitStatus.limit, hint: 'Remove those that are no longer needed from the attestations folder.' },
  );
}
