// Attestations on disk, by the artifact that they speak of; whether they are true is decided when they are read.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { type Digest, digestOf, hexOf, isDigest } from '../artifact/index.ts';
import { errnoOf, exitStatus } from '../base/index.ts';
import { saveAtomically, saveAtomicallyAside } from './atomic-file.ts';
import { ENVELOPE_BYTES_MAX, parseEnvelope } from './dsse.ts';
import { ProvenanceError } from './errors.ts';
import { SOURCE_PREDICATE_TYPE } from './git/source-predicate.ts';
import { parseStatement, type Statement } from './statement.ts';

/** Attestations that are kept of one artifact: each costs a parse and up to 16 verifications at every admission. */
const ATTESTATIONS_MAX = 128;

/** Git's id of a commit, SHA-1 or SHA-256. */
const COMMIT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Of a file of `commits`: a SHA-256 in hex and a line break. */
const COMMIT_BYTES = 65;

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
   * Keeps room for the envelope with this digest under every subject until it is disposed of, so that one that was logged meanwhile
   * can be put.
   *
   * @throws ProvenanceError PROVENANCE_ATTESTATIONS_FULL
   */
  reserve(digest: Digest, subjects: readonly Digest[]): Disposable;
  /**
   * The artifact that the source attestation of a commit is about, by git's id; null when none was kept. The last one that was put
   * decides: whether it is this commit, the chain finds out.
   */
  commitDigest(commit: string): Digest | null;
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
 * Opens the store in `dir`: `<subject>/<envelope digest>-<index>.json`, and `commits/<id>` with the subject of a commit's source attestation.
 *
 * @param digestAt what the home's log has at an index; one whose place in the log is another's is listed as in no log. Without it, names
 * are believed.
 */
export function openAttestationStore(dir: string, digestAt?: (index: number) => Digest | null): AttestationStore {
  const placeOf = (digest: Digest, index: number): number | null =>
    digestAt === undefined || digestAt(index) === digest ? index : null;
  const folderOf = (subject: Digest): string => join(dir, hexOf(subject));
  const commitFile = (commit: string): string => join(dir, 'commits', commit);
  const room = new Room();
  const has = (names: readonly StoredName[], subject: Digest, hex: string): boolean => {
    if (names.some((name) => name.hex === hex)) return true;
    const count = names.length + room.othersOf(subject, hex);
    if (count >= ATTESTATIONS_MAX) throw full(subject, count);
    return false;
  };
  return {
    put: (bytes, logIndex) => {
      const statement = parseStatement(parseEnvelope(bytes).payload);
      const { subjects } = statement;
      const digest = digestOf(bytes);
      const names = new Set(subjects.map((subject) => subject.digest));
      const missing = [...names].filter((subject) => !has(namesIn(folderOf(subject)), subject, hexOf(digest)));
      const [commit, [about]] = [commitOfSource(statement), subjects];
      // First: one that leads to nothing yet does no harm.
      if (commit !== null && about !== undefined && readCommit(commitFile(commit)) !== about.digest)
        saveAtomically(commitFile(commit), `${hexOf(about.digest)}\n`, 0o640);
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
    reserve: (digest, subjects) => {
      for (const subject of subjects) has(namesIn(folderOf(subject)), subject, hexOf(digest));
      return room.keep(hexOf(digest), subjects);
    },
    commitDigest: (commit) => (COMMIT_ID.test(commit) ? readCommit(commitFile(commit)) : null),
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

/** Envelopes that are on their way, by what they are about. */
class Room {
  readonly #kept = new Map<Digest, string[]>();

  /** How many beside the one with this digest. */
  othersOf(subject: Digest, hex: string): number {
    return new Set(this.#kept.get(subject)?.filter((other) => other !== hex)).size;
  }

  keep(hex: string, subjects: readonly Digest[]): Disposable {
    for (const subject of subjects) this.#kept.set(subject, [...(this.#kept.get(subject) ?? []), hex]);
    return {
      [Symbol.dispose]: () => {
        for (const subject of subjects) {
          const others = this.#kept.get(subject)?.toSpliced(this.#kept.get(subject)?.indexOf(hex) ?? 0, 1) ?? [];
          if (others.length === 0) this.#kept.delete(subject);
          else this.#kept.set(subject, others);
        }
      },
    };
  }
}

/** The commit that a source attestation says it is about; null for another statement. Whether that is true, the chain decides. */
export function commitOfSource({ predicateType, predicate }: Statement): string | null {
  if (predicateType !== SOURCE_PREDICATE_TYPE || typeof predicate !== 'object' || predicate === null) return null;
  const commit: unknown = Reflect.get(predicate, 'commit');
  // attacker-controlled: it becomes the name of a file.
  return typeof commit === 'string' && COMMIT_ID.test(commit) ? commit : null;
}

/** What is not there, or is nothing of ours, leads nowhere. */
function readCommit(path: string): Digest | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.size !== COMMIT_BYTES) return null;
  const digest = `sha256:${readFileSync(path, 'latin1').trimEnd()}`;
  return isDigest(digest) ? digest : null;
}

function full(subject: Digest, count: number): ProvenanceError {
  return new ProvenanceError(
    'PROVENANCE_ATTESTATIONS_FULL',
    `${subject} has ${count} attestations, which is the limit`,
    { exit: exitStatus.limit, hint: 'Remove those that are no longer needed from the attestations folder.' },
  );
}
