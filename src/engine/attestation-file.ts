// Attestations in a file, `.intoto.jsonl`: read beside those that a home keeps, and written for others.
import { type Digest, digestOf } from '../artifact/index.ts';
import { exitStatus, ProvostError } from '../base/index.ts';
import {
  type AttestationLine,
  commitOfSource,
  encodeAttestationLines,
  parseAttestationLines,
  parseEnvelope,
  parseStatement,
  ProvenanceError,
  type Statement,
  type StoredAttestation,
} from '../provenance/index.ts';
import { EngineError } from './errors.ts';

/** A file of envelopes, one a line. */
export interface AttestationFile {
  /** For messages: its path. */
  readonly source: string;
  readonly bytes: Uint8Array;
}

/** What a file says, by what it speaks of. */
export interface AttestationIndex {
  readonly bySubject: ReadonlyMap<Digest, readonly StoredAttestation[]>;
  /** The SHA-256 of the commits that it has source attestations of, by git's id. */
  readonly commits: ReadonlyMap<string, Digest>;
  /** Where each first stands, from 1. */
  readonly lines: ReadonlyMap<Digest, number>;
}

/**
 * Reads what a file says. One file may speak of a whole release; a line that is no statement is counted as about `artifact`: what it
 * is worth is decided with all the others, and it is nothing good.
 *
 * @throws EngineError ENGINE_ATTESTATIONS with every line that is no envelope; ProvenanceError PROVENANCE_LINES when it is too large
 */
export function readAttestationFile({ source, bytes }: AttestationFile, artifact: Digest): AttestationIndex {
  const bySubject = new Map<Digest, StoredAttestation[]>();
  const commits = new Map<string, Digest>();
  const lines = new Map<Digest, number>();
  for (const { line, bytes: own, envelope } of parseLines(source, bytes)) {
    const attestation = { digest: digestOf(own), bytes: own, logIndex: null };
    if (lines.has(attestation.digest)) continue;
    lines.set(attestation.digest, line);
    const statement = statementOf(envelope.payload);
    const subjects = new Set(statement?.subjects.map(({ digest }) => digest) ?? [artifact]);
    for (const subject of subjects) bySubject.set(subject, [...(bySubject.get(subject) ?? []), attestation]);
    const commit = statement === null ? null : commitOfSource(statement);
    const [subject] = subjects;
    if (commit !== null && subject !== undefined) commits.set(commit, subject);
  }
  return { bySubject, commits, lines };
}

function statementOf(payload: Buffer): Statement | null {
  try {
    return parseStatement(payload);
  } catch (error) {
    if (!(error instanceof ProvenanceError)) throw error;
    return null;
  }
}

function parseLines(source: string, bytes: Uint8Array): AttestationLine[] {
  try {
    return parseAttestationLines(bytes);
  } catch (error) {
    const faults = error instanceof ProvostError ? error.details['faults'] : [];
    if (!Array.isArray(faults) || faults.length === 0) throw error;
    const lines = (faults as readonly { line: number; message: string }[]).map(
      ({ line, message }) => `${source}:${line}: ${message}`,
    );
    throw unusable(lines.join('\n'), 'Each line must be one DSSE envelope in JSON.', error);
  }
}

/**
 * Writes envelopes one a line. One that was damaged refuses all: a file that lacks it would be taken for the whole.
 *
 * @throws EngineError ENGINE_ATTESTATIONS
 */
export function encodeAttestationFile(attestations: readonly StoredAttestation[]): Buffer {
  const changed = attestations.find(({ digest, bytes }) => digestOf(bytes) !== digest);
  if (changed === undefined) return Buffer.concat(attestations.map(({ bytes }) => lineOf(bytes)));
  throw unusable(
    `the attestation ${changed.digest} was changed since it was stored; none is exported`,
    'Remove it from the attestations folder of the home and attest again.',
  );
}

/** In its own bytes where they are one line, as the log knows it by their digest. */
function lineOf(bytes: Buffer): Buffer {
  const isOneLine = !bytes.includes('\n') && !bytes.includes('\r');
  return isOneLine ? Buffer.concat([bytes, Buffer.from('\n')]) : encodeAttestationLines([parseEnvelope(bytes)]);
}

function unusable(message: string, hint: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_ATTESTATIONS', message, { exit: exitStatus.verificationFailed, hint, cause });
}
