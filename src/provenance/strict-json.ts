// JSON from strangers: bounded, valid UTF-8, and without what two readers could disagree on, as RFC 7493 (I-JSON) asks.
import { CANONICAL_DEPTH_MAX, exitStatus, messageOf } from '../base/index.ts';
import { ProvenanceError } from './errors.ts';
import { excerptOf } from './excerpt.ts';

/** What is being read, for the message, and how large it may be. */
export interface JsonBounds {
  readonly what: string;
  readonly bytesMax: number;
}

const [MINUS, ZERO, NINE] = [0x2d, 0x30, 0x39] as const;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses attacker-controlled JSON.
 *
 * @throws ProvenanceError PROVENANCE_JSON when it is too large, no UTF-8, no JSON, nested too deep, says a key twice, or
 * holds what readers disagree on: half of a character, a number beyond a double
 */
export function parseStrictJson(bytes: Uint8Array, { what, bytesMax }: JsonBounds): unknown {
  if (bytes.length > bytesMax) throw notJson(what, `has ${bytes.length} bytes; the limit is ${bytesMax}`);
  const { text, value } = decode(bytes, what);
  const fault = structureFault(text);
  if (fault !== null) throw notJson(what, fault);
  return value;
}

function decode(bytes: Uint8Array, what: string): { text: string; value: unknown } {
  try {
    const text = strictUtf8.decode(bytes);
    return { text, value: JSON.parse(text) };
  } catch (error) {
    throw notJson(what, `is not JSON: ${excerptOf(messageOf(error), 120)}`, error);
  }
}

/** An object or array that is being walked; `seen` is null in an array. */
interface Level {
  readonly seen: Set<string> | null;
  isKeyNext: boolean;
}

/** Walks text that is known to be JSON; only strings, numbers, brackets and commas matter. */
function structureFault(text: string): string | null {
  const stack: Level[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const top = stack.at(-1);
    switch (text[at]) {
      case '{':
      case '[':
        if (stack.length >= CANONICAL_DEPTH_MAX) return `nests deeper than ${CANONICAL_DEPTH_MAX}`;
        stack.push(text[at] === '{' ? { seen: new Set(), isKeyNext: true } : { seen: null, isKeyNext: false });
        break;
      case '}':
      case ']':
        stack.pop();
        break;
      case ',':
        if (top !== undefined) top.isKeyNext = top.seen !== null;
        break;
      case '"': {
        const end = stringEnd(text, at);
        const fault = stringFault(text.slice(at, end), top);
        if (fault !== null) return fault;
        at = end - 1;
        break;
      }
      default: {
        const end = numberEnd(text, at);
        if (!Number.isFinite(Number(text.slice(at, end)))) return 'has a number that is too large';
        at = Math.max(at, end - 1);
      }
    }
  }
  return null;
}

/** Half a character is read as anything by anyone; a key said twice by one reader as the first, by another as the last. */
function stringFault(quoted: string, top: Level | undefined): string | null {
  const isKey = top?.isKeyNext === true;
  if (!isKey && !quoted.includes('\\u')) return null;
  const value = JSON.parse(quoted) as string;
  if (!value.isWellFormed()) return 'has half of a character in a text';
  if (!isKey) return null;
  if (top.seen?.has(value) === true) return `says the key '${excerptOf(value, 40)}' twice`;
  top.seen?.add(value);
  top.isKeyNext = false;
  return null;
}

/** Offset after the number that begins at `start`; `start` when none does. */
function numberEnd(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first !== MINUS && (first < ZERO || first > NINE)) return start;
  const number = /[-0-9][-+.0-9eE]*/y;
  number.lastIndex = start;
  number.test(text);
  return number.lastIndex;
}

/** Offset after the closing quote of the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function notJson(what: string, fault: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_JSON', `${what} ${fault}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Get it again from where it was made.',
    cause,
  });
}
