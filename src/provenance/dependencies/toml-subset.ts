// The part of TOML that poetry and uv write: tables, arrays of tables, basic and literal strings, integers, booleans, arrays,
// inline tables. Everything else (dates, floats, multi-line strings, other bases) is refused, not guessed.
import { shown } from '../excerpt.ts';
import { badDependencies } from './dependency.ts';

export type TomlValue = string | number | boolean | readonly TomlValue[] | TomlTable;
export type TomlTable = Map<string, TomlValue>;

const DEPTH_MAX = 32;
const STRING_CHARS_MAX = 65_536;

/** Where the reader stands. */
interface Cursor {
  readonly text: string;
  readonly what: string;
  at: number;
}

/**
 * Parses the subset of TOML 1.0 that lockfiles are written in. Keys live in a `Map`.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://toml.io/en/v1.0.0
 */
export function parseToml(text: string, what: string): TomlTable {
  const cursor: Cursor = { text: text.replaceAll('\r\n', '\n'), what, at: 0 };
  const root: TomlTable = new Map();
  const headed = new Set<string>();
  let table = root;
  for (skipBlank(cursor); cursor.at < cursor.text.length; skipBlank(cursor)) {
    if (cursor.text[cursor.at] === '[') table = readHeading(cursor, root, headed);
    else readPair(cursor, table, 0);
    endLine(cursor);
  }
  return root;
}

function fault(cursor: Cursor, why: string): Error {
  const line = cursor.text.slice(0, cursor.at).split('\n').length;
  return badDependencies(cursor.what, `${why} in line ${line}: ${shown(cursor.text.slice(cursor.at, cursor.at + 40))}`);
}

/** Takes what matches here; the expression is sticky. */
function take(cursor: Cursor, pattern: RegExp): string | null {
  pattern.lastIndex = cursor.at;
  const taken = pattern.exec(cursor.text)?.[0] ?? null;
  cursor.at += taken?.length ?? 0;
  return taken;
}

function takeChar(cursor: Cursor, char: string): void {
  if (!cursor.text.startsWith(char, cursor.at)) throw fault(cursor, `has no ${shown(char)}`);
  cursor.at += char.length;
}

function skipSpace(cursor: Cursor): void {
  take(cursor, /[ \t]*/y);
}

/** Space, ends of lines and comments. */
function skipBlank(cursor: Cursor): void {
  for (let taken = true; taken;) taken = take(cursor, /[ \t\n]+|#[^\n]*/y) !== null;
}

function endLine(cursor: Cursor): void {
  take(cursor, /[ \t]*(?:#[^\n]*)?/y);
  if (cursor.at < cursor.text.length) takeChar(cursor, '\n');
}

function readHeading(cursor: Cursor, root: TomlTable, headed: Set<string>): TomlTable {
  const brackets = take(cursor, /\[\[?/y) ?? '';
  skipSpace(cursor);
  const keys = readKeys(cursor);
  takeChar(cursor, brackets === '[[' ? ']]' : ']');
  const last = keys.pop() ?? '';
  const parent = keys.reduce((table, key) => descend(cursor, table, key), root);
  const known = parent.get(last);
  if (brackets === '[[') {
    const table: TomlTable = new Map();
    if (known !== undefined && !Array.isArray(known)) throw fault(cursor, 'says a table twice');
    // One array that grows: a copy at each heading would make a long file quadratic.
    if (known === undefined) parent.set(last, [table]);
    else (known as TomlValue[]).push(table);
    return table;
  }
  // A table may be opened below before it is headed itself, once; inside an array of tables once an element.
  const path = JSON.stringify([...keys, last, positionOf(root, keys)]);
  if (headed.has(path) || (known !== undefined && !(known instanceof Map))) throw fault(cursor, 'says a table twice');
  headed.add(path);
  return descend(cursor, parent, last);
}

/** Which elements of arrays of tables a path runs through. */
function positionOf(root: TomlTable, keys: readonly string[]): string {
  let table: TomlValue | undefined = root;
  const positions: number[] = [];
  for (const key of keys) {
    const next: TomlValue | undefined = table instanceof Map ? table.get(key) : undefined;
    if (Array.isArray(next)) positions.push(next.length);
    table = Array.isArray(next) ? (next.at(-1) as TomlValue | undefined) : next;
  }
  return positions.join('.');
}

/** The table of that key, made when it is not there; of an array of tables the last one. */
function descend(cursor: Cursor, table: TomlTable, key: string): TomlTable {
  const known = table.get(key);
  const value = Array.isArray(known) ? (known.at(-1) as TomlValue | undefined) : known;
  if (value instanceof Map) return value;
  if (known !== undefined) throw fault(cursor, 'makes a table of a value');
  const made: TomlTable = new Map();
  table.set(key, made);
  return made;
}

function readKeys(cursor: Cursor): string[] {
  const keys = [readKey(cursor)];
  for (skipSpace(cursor); cursor.text[cursor.at] === '.'; skipSpace(cursor)) {
    cursor.at += 1;
    skipSpace(cursor);
    keys.push(readKey(cursor));
  }
  if (keys.length > DEPTH_MAX) throw fault(cursor, `nests deeper than ${DEPTH_MAX}`);
  return keys;
}

function readKey(cursor: Cursor): string {
  const char = cursor.text[cursor.at];
  if (char === '"' || char === "'") return readString(cursor);
  const key = take(cursor, /[A-Za-z0-9_-]+/y);
  if (key === null) throw fault(cursor, 'has a key that is none');
  return key;
}

function readPair(cursor: Cursor, table: TomlTable, depth: number): void {
  const keys = readKeys(cursor);
  const last = keys.pop() ?? '';
  takeChar(cursor, '=');
  skipSpace(cursor);
  const parent = keys.reduce((within, key) => descend(cursor, within, key), table);
  if (parent.has(last)) throw fault(cursor, `says the key ${shown(last)} twice`);
  parent.set(last, readValue(cursor, depth));
}

function readValue(cursor: Cursor, depth: number): TomlValue {
  if (depth > DEPTH_MAX) throw fault(cursor, `nests deeper than ${DEPTH_MAX}`);
  switch (cursor.text[cursor.at]) {
    case '"':
    case "'":
      return readString(cursor);
    case '[':
      return readArray(cursor, depth);
    case '{':
      return readInlineTable(cursor, depth);
    default: {
      const word = take(cursor, /(?:true|false|[+-]?(?:0|[1-9]\d{0,14}))(?![\w.:+-])/y);
      if (word === null) throw fault(cursor, 'has a value of a kind that is not read');
      return word === 'true' || word === 'false' ? word === 'true' : Number(word);
    }
  }
}

function readArray(cursor: Cursor, depth: number): TomlValue[] {
  const values: TomlValue[] = [];
  takeChar(cursor, '[');
  for (skipBlank(cursor); cursor.text[cursor.at] !== ']'; skipBlank(cursor)) {
    values.push(readValue(cursor, depth + 1));
    skipBlank(cursor);
    if (cursor.text[cursor.at] !== ']') takeChar(cursor, ',');
  }
  takeChar(cursor, ']');
  return values;
}

function readInlineTable(cursor: Cursor, depth: number): TomlTable {
  const table: TomlTable = new Map();
  takeChar(cursor, '{');
  skipSpace(cursor);
  if (cursor.text[cursor.at] !== '}') {
    do {
      skipSpace(cursor);
      readPair(cursor, table, depth + 1);
      skipSpace(cursor);
    } while (take(cursor, /,/y) !== null);
  }
  takeChar(cursor, '}');
  return table;
}

function readString(cursor: Cursor): string {
  const quote = cursor.text[cursor.at] ?? '';
  if (cursor.text.startsWith(quote.repeat(3), cursor.at)) throw fault(cursor, 'has a string of many lines');
  const start = cursor.at + 1;
  let end = start;
  while (end - start <= STRING_CHARS_MAX && cursor.text[end] !== quote && cursor.text[end] !== '\n') {
    end += cursor.text[end] === '\\' && quote === '"' ? 2 : 1;
  }
  if (cursor.text[end] !== quote)
    throw fault(cursor, `has a string without an end, or of more than ${STRING_CHARS_MAX}`);
  const inner = cursor.text.slice(start, end);
  if (quote === "'") {
    cursor.at = end + 1;
    return inner;
  }
  const value = unescaped(inner);
  if (value === null) throw fault(cursor, 'has a string with what TOML does not allow in one');
  cursor.at = end + 1;
  return value;
}

/** Of this form, it is a string of JSON but for a tab, which TOML has as it is, and a slash, which it does not escape. */
function unescaped(inner: string): string | null {
  if (/\\(?![btnfr"\\]|u[0-9A-Fa-f]{4})/.test(inner.replaceAll('\\\\', ''))) return null;
  try {
    return JSON.parse(`"${inner.replaceAll('\t', '\\t')}"`) as string;
  } catch {
    // Control characters: the caller says where.
    return null;
  }
}
