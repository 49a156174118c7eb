// Attestations of many tools in one file: `.intoto.jsonl`, one envelope a line.
import { exitStatus, MIB } from '../base/index.ts';
import { encodeEnvelope, type Envelope, parseEnvelope } from './dsse.ts';
import { ProvenanceError } from './errors.ts';

/** Largest file, and most lines of one. */
const FILE_BYTES_MAX = 64 * MIB;
const LINES_MAX = 1024;

/** Bad lines that the message names; all are in the error's details. */
const FAULTS_SHOWN = 5;

const NEWLINE = 0x0a;

/** One envelope of a file, in the bytes that it has there. */
export interface AttestationLine {
  /** From 1. */
  readonly line: number;
  readonly bytes: Buffer;
  readonly envelope: Envelope;
}

/**
 * Parses a file of envelopes, one a line; the last line may lack its end. One bad line refuses the whole file: a reader that
 * skips it would take what it cannot read for what is not there. Each bad line is in `details.faults` with its number.
 *
 * @throws ProvenanceError PROVENANCE_LINES
 * @source https://github.com/in-toto/attestation, spec/v1/bundle.md
 */
export function parseAttestationLines(bytes: Uint8Array): AttestationLine[] {
  if (bytes.length > FILE_BYTES_MAX) throw badLines(`it has ${bytes.length} bytes; the limit is ${FILE_BYTES_MAX}`);
  const lines: AttestationLine[] = [];
  const faults: { line: number; code: string; message: string }[] = [];
  for (const [index, line] of splitLines(Buffer.from(bytes)).entries()) {
    const read = readLine(line);
    if (read instanceof ProvenanceError) faults.push({ line: index + 1, code: read.code, message: read.message });
    else lines.push({ line: index + 1, bytes: line, envelope: read });
  }
  const [first] = faults;
  if (first === undefined) return lines;
  const numbers = faults.slice(0, FAULTS_SHOWN).map(({ line }) => line);
  const more = faults.length > numbers.length ? ` and ${faults.length - numbers.length} more` : '';
  throw badLines(`line ${numbers.join(', ')}${more}: ${first.message}`, faults);
}

/** Writes envelopes, one a line. */
export function encodeAttestationLines(envelopes: readonly Envelope[]): Buffer {
  return Buffer.concat(envelopes.flatMap((envelope) => [encodeEnvelope(envelope), Buffer.from('\n')]));
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (lines.length === LINES_MAX) throw badLines(`it has more than ${LINES_MAX} lines`);
    const end = bytes.indexOf(NEWLINE, at);
    const stop = end === -1 ? bytes.length : end;
    lines.push(bytes.subarray(at, stop));
    at = stop + 1;
  }
  return lines;
}

function readLine(line: Buffer): Envelope | ProvenanceError {
  try {
    return parseEnvelope(line);
  } catch (error) {
    // Whatever keeps one line from being read is reported with all the others.
    if (!(error instanceof ProvenanceError)) throw error;
    return error;
  }
}

function badLines(why: string, faults: readonly object[] = []): ProvenanceError {
  return new ProvenanceError('PROVENANCE_LINES', `the attestations cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Each line must be one DSSE envelope in JSON.',
    details: { faults },
  });
}
