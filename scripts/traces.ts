// Traces of system calls from a file of JSON Lines, plain or gzipped: what `npm run evaluate` reads. Everything in it is checked.
import { gunzipSync } from 'node:zlib';

const SETS = ['train', 'validation', 'attack'] as const;
const FILE_BYTES_MAX = 1 << 30;
const TRACES_MAX = 200_000;
const CALLS_MAX = 1_000_000;
const CALL_NUMBER_MAX = 65_534;
const NAME_CHARACTERS_MAX = 200;

/** One run of a program. */
export interface Trace {
  readonly set: (typeof SETS)[number];
  readonly label: string;
  readonly id: string;
  /** Numbers of the system calls, in their order. */
  readonly calls: readonly number[];
}

/** A file that is not one of traces; the message says where and why. */
export class TraceFileError extends Error {
  override readonly name = 'TraceFileError';
}

/**
 * Reads traces, of which there is at least one of each set.
 *
 * @throws TraceFileError for anything else, with the line
 */
export function parseTraces(bytes: Uint8Array): Trace[] {
  const lines = textOf(bytes).split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length > TRACES_MAX) throw new TraceFileError(`more than ${TRACES_MAX} traces`);
  const traces = lines.map((line, index) => parseTrace(line, index + 1));
  for (const set of SETS) {
    if (!traces.some((trace) => trace.set === set)) throw new TraceFileError(`no trace of the set '${set}'`);
  }
  return traces;
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > FILE_BYTES_MAX) throw new TraceFileError(`more than ${FILE_BYTES_MAX} bytes`);
  try {
    const isGzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    const plain = isGzipped ? gunzipSync(bytes, { maxOutputLength: FILE_BYTES_MAX }) : bytes;
    return new TextDecoder('utf-8', { fatal: true }).decode(plain);
  } catch (cause) {
    throw new TraceFileError('neither text in UTF-8 nor gzip of it', { cause });
  }
}

function parseTrace(line: string, number: number): Trace {
  const refuse = (why: string, cause?: unknown): TraceFileError =>
    new TraceFileError(`line ${number}: ${why}`, cause === undefined ? {} : { cause });
  let document: unknown;
  try {
    document = JSON.parse(line);
  } catch (cause) {
    throw refuse('not JSON', cause);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw refuse('not an object');
  const { set, label, id, calls } = document as Record<string, unknown>;
  const known = SETS.find((one) => one === set);
  if (known === undefined) throw refuse(`'set' is none of ${SETS.join(', ')}`);
  if (!isName(label)) throw refuse(`'label' is not a text of at most ${NAME_CHARACTERS_MAX} characters`);
  if (!isName(id)) throw refuse(`'id' is not a text of at most ${NAME_CHARACTERS_MAX} characters`);
  if (!Array.isArray(calls) || calls.length > CALLS_MAX || !calls.every(isCall)) {
    throw refuse(`'calls' is not a list of at most ${CALLS_MAX} numbers from 0 to ${CALL_NUMBER_MAX}`);
  }
  return { set: known, label, id, calls };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= NAME_CHARACTERS_MAX;
}

function isCall(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= CALL_NUMBER_MAX;
}
