// The words of one instruction: flags, sources, settings, and the array form of commands.
import type { DockerInstruction } from './dockerfile-reader.ts';

/** An instruction's flags by name, and the words after them with their quotes. */
export interface InstructionWords {
  readonly flags: readonly (readonly [name: string, value: string])[];
  readonly words: readonly string[];
}

/** More words than any instruction has. */
const WORDS_MAX = 4096;

/** Splits at blanks that are neither quoted nor escaped; quotes stay. */
export function splitWords(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length && words.length < WORDS_MAX; at += 1) {
    const char = text[at] ?? '';
    if (char === escape && quote !== "'") word += char + (text[++at] ?? '');
    else if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      if (char === quote) quote = '';
      else if (quote === '' && (char === '"' || char === "'")) quote = char;
      word += char;
    }
  }
  return word === '' ? words : [...words, word];
}

/** Reads flags and words: `--from=build --chmod=755 a b`. The array form gives its strings. */
export function instructionWords({ head }: DockerInstruction, escape: string): InstructionWords {
  const all = splitWords(head, escape);
  const count = all.findIndex((word) => !word.startsWith('--'));
  const flags = all.slice(0, count === -1 ? all.length : count).map((word) => {
    const at = word.indexOf('=');
    return at === -1 ? ([word.slice(2), ''] as const) : ([word.slice(2, at), word.slice(at + 1)] as const);
  });
  const words = count === -1 ? [] : all.slice(count);
  return { flags, words: arrayForm(withoutFlags(head)) ?? words };
}

/** What stands after the flags of an instruction. */
export function withoutFlags(head: string): string {
  return head.replace(/^(\s*--\S+)+/, '').trimStart();
}

/** The strings of `["a", "b"]`, or null: then the shell form is meant. */
export function arrayForm(text: string): string[] | null {
  if (!text.startsWith('[')) return null;
  const value = parseJson(text.trim());
  return Array.isArray(value) && value.every((it) => typeof it === 'string') ? value : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // As its builder does: what is no array is a command of the shell.
    return null;
  }
}

/** Settings of ENV, ARG and LABEL: `A=b C=d`, the old `A b c`, or a name alone (null). Values keep their quotes. */
export function settingsOf({ keyword, head }: DockerInstruction, escape: string): [string, string | null][] {
  const words = splitWords(head, escape);
  const first = words[0] ?? '';
  if (keyword !== 'ARG' && words.length > 1 && !first.includes('='))
    return [[first, head.trim().slice(first.length).trim()]];
  return words.map((word) => {
    const at = word.indexOf('=');
    return at === -1 ? [word, null] : [word.slice(0, at), word.slice(at + 1)];
  });
}
