// Attestations in a file, `.intoto.jsonl`: read beside those that a home keeps, and written for others.
import { type Digest, digestOf } from '../artifact/index.ts';
import { exitStatus, ProvostError } from '../base/index.ts';
import {
  type AttestationLine,
  encodeAttestationLines,
  parseAttestationLines,
  parseEnvelope,
  parseStatement,
  ProvenanceError,
  type StoredAttestation,
} from '../provenance/index.ts';
import { EngineError } from './errors.ts';

/** A file of envelopes, one a line. */
export interface AttestationFile {
  /** For messages: its path. */
  readonly source: string;
  readonly bytes: Uint8Array;
}

/** An envelope that came from a file, with its line, from 1. */
export interface FileAttestation extends StoredAttestation {
  readonly line: number;
}

/**
 * Reads what a file says about an artifact. Lines about other artifacts are left out, as one file may speak of a whole release.
 *
 * @throws EngineError ENGINE_ATTESTATIONS with every line that is no envelope; ProvenanceError PROVENANCE_LINES when it is too large
 */
export function readAttestationFile({ source, bytes }: AttestationFile, subject: Digest): FileAttestation[] {
  return parseLines(source, bytes)
    .filter(({ envelope }) => maySpeakOf(envelope.payload, subject))
    .map(({ line, bytes: own }) => ({ line, digest: digestOf(own), bytes: own, logIndex: null }));
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

/** What is no statement stays in: what it is worth is decided with all the others, and it is nothing good. */
function maySpeakOf(payload: Buffer, subject: Digest): boolean {
  try {
    return parseStatement(payload).subjects.some(({ digest }) => digest === subject);
  } catch (error) {
    if (!(error instanceof ProvenanceError)) throw error;
    return true;
  }
}

/**
 * Writes envelopes one a line. One that was damaged refuses all: a file that lacks it would be taken for the whole.
 *
 * @throws EngineError ENGINE_ATTESTATIONS
 */
export function encodeAttestationFile(attestations: readonly StoredAttestation[]): Buffer {
  const changed = attestations.find(({ digest, bytes }) => digestOf(bytes) !== digest);
  if (changed === undefined) return encodeAttestationLines(attestations.map(({ bytes }) => parseEnvelope(bytes)));
  throw unusable(
    `the attestation ${changed.digest} was changed since it was stored; none is exported`,
    'Remove it from the attestations folder of the home and attest again.',
  );
}

function unusable(message: string, hint: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_ATTESTATIONS', message, { exit: exitStatus.verificationFailed, hint, cause });
}
