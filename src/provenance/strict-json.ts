// JSON from strangers: bounded, valid UTF-8, and without duplicate keys, over which two readers could disagree.
import { CANONICAL_DEPTH_MAX, exitStatus, messageOf } from '../base/index.ts';
import { ProvenanceError } from './errors.ts';
import { escaped } from './shown-text.ts';

/** What is being read, for the message, and how large it may be. */
export interface JsonBounds {
  readonly what: string;
  readonly bytesMax: number;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses attacker-controlled JSON.
 *
 * @throws ProvenanceError PROVENANCE_JSON when it is too large, no UTF-8, no JSON, nested too deep, or says a key twice
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
    throw notJson(what, `is not JSON: ${messageOf(error).slice(0, 120)}`, error);
  }
}

/** Walks text that is known to be JSON; only strings, brackets and commas matter. `seen` is null in an array. */
function structureFault(text: string): string | null {
  const stack: { readonly seen: Set<string> | null; isKeyNext: boolean }[] = [];
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
        if (top?.isKeyNext === true) {
          const key = JSON.parse(text.slice(at, end)) as string;
          if (top.seen?.has(key) === true) return `says the key '${key.slice(0, 40)}' twice`;
          top.seen?.add(key);
          top.isKeyNext = false;
        }
        at = end - 1;
        break;
      }
      default:
    }
  }
  return null;
}

/** Offset after the closing quote of the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function notJson(what: string, fault: string, cause?: unknown): ProvenanceError {
  // attacker-controlled: the parser quotes what it stumbles over, and a key may be anything.
  return new ProvenanceError('PROVENANCE_JSON', `${what} ${escaped(fault)}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Get it again from where it was made.',
    cause,
  });
}
