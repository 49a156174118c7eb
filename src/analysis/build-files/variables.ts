// Replaces variables in a word of a Dockerfile as its builder does, or says that their value is not known.
import type { Variables } from './shell-lexer.ts';

/** Values that grow by naming each other are cut here: no name or address is longer. */
const EXPANDED_CHARS_MAX = 1024;

/** `${A:-${B:-…}}` deeper than this is not followed. */
const DEFAULTS_DEEP_MAX = 8;

/** A word with its variables replaced; `unknown` names the first one without a value. */
export interface Expansion {
  readonly text: string;
  readonly unknown: string | null;
}

const VARIABLE = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])|[^}]))/y;

/**
 * Expands `$A`, `${A}`, `${A:-b}`, `${A-b}`, `${A:+b}` and `${A+b}` and takes quotes away. Other forms count as unknown.
 *
 * @source Dockerfile reference, environment replacement
 */
export function expandWord(word: string, variables: Variables, escape: string, depth = 0): Expansion {
  let text = '';
  let unknown: string | null = null;
  let quote = '';
  for (let at = 0; at < word.length && text.length <= EXPANDED_CHARS_MAX; at += 1) {
    const char = word[at] ?? '';
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === escape && quote !== "'") text += word[++at] ?? '';
    else if (char === '$' && quote !== "'") {
      const end = endOfVariable(word, at);
      const value = depth > DEFAULTS_DEEP_MAX ? null : valueOf(word.slice(at, end), variables, { escape, depth });
      if (value === null) unknown ??= word.slice(at, end);
      else {
        text += value.text;
        unknown ??= value.unknown;
      }
      at = end - 1;
    } else text += char;
  }
  if (text.length > EXPANDED_CHARS_MAX) return { text: text.slice(0, EXPANDED_CHARS_MAX), unknown: unknown ?? '$…' };
  return { text, unknown };
}

/** Offset after the variable at `start`: braces may hold braces. */
function endOfVariable(word: string, start: number): number {
  if (word[start + 1] !== '{') return start + (/^\$[A-Za-z_]\w*/.exec(word.slice(start))?.[0].length ?? 1);
  let depth = 0;
  for (let at = start + 1; at < word.length; at += 1) {
    if (word[at] === '{') depth += 1;
    else if (word[at] === '}' && --depth === 0) return at + 1;
  }
  return word.length;
}

function valueOf(
  text: string,
  variables: Variables,
  { escape, depth }: { readonly escape: string; readonly depth: number },
): Expansion | null {
  if (text === '$') return { text, unknown: null };
  VARIABLE.lastIndex = 0;
  const match = VARIABLE.exec(text);
  const plain = match?.[1] ?? /^\$\{([A-Za-z_]\w*)\}$/.exec(text)?.[1];
  if (plain !== undefined) {
    const value = variables.get(plain);
    return value === undefined || value === '' ? null : { text: value, unknown: null };
  }
  const [, , name, operator] = match ?? [];
  if (name === undefined || operator === undefined || !text.endsWith('}')) return null;
  const value = variables.get(name);
  const isSet = value !== undefined && (value !== '' || !operator.startsWith(':'));
  if (operator.endsWith('-') && isSet) return { text: value, unknown: null };
  if (operator.endsWith('+') && !isSet) return { text: '', unknown: null };
  return expandWord(text.slice(2 + name.length + operator.length, -1), variables, escape, depth + 1);
}
