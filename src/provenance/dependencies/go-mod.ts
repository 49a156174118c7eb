// What a Go module asks for: the `require` and `replace` lines of go.mod.
import { shown } from '../excerpt.ts';
import { badDependencies, checkCount } from './dependency.ts';
import { parseLines } from './document.ts';

export interface GoModule {
  readonly path: string;
  /** Empty where a replacement is for all versions. */
  readonly version: string;
}

export interface GoReplacement {
  readonly from: GoModule;
  /** Null when it is a folder. */
  readonly to: GoModule | null;
  readonly folder: string | null;
}

export interface GoMod {
  readonly requires: readonly GoModule[];
  readonly replaces: readonly GoReplacement[];
}

const DIRECTIVES: ReadonlySet<string> = new Set([
  'module',
  'go',
  'toolchain',
  'godebug',
  'require',
  'tool',
  'ignore',
  'exclude',
  'replace',
  'retract',
]);

/**
 * True for a path that Go takes for a module: elements of ASCII letters, digits and `-._~` with neither a dot at an end
 * nor an empty one. @source https://go.dev/ref/mod#go-mod-file-ident
 */
export function isModulePath(path: string): boolean {
  const isElement = (element: string): boolean => /^[\w~-](?:[\w.~-]*[\w~-])?$/.test(element);
  return path.split('/').every(isElement);
}

/**
 * Parses a go.mod.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://go.dev/ref/mod#go-mod-file-grammar
 */
export function parseGoMod(bytes: Uint8Array, what: string): GoMod {
  const requires: GoModule[] = [];
  const replaces: GoReplacement[] = [];
  let block: string | null = null;
  for (const raw of parseLines(bytes, what)) {
    const line = (raw.split('//')[0] ?? '').trim();
    if (line === '') continue;
    if (block !== null && line === ')') {
      block = null;
      continue;
    }
    const words = line.split(/\s+/).map(unquoted);
    const directive: string = block ?? words.shift() ?? '';
    if (!DIRECTIVES.has(directive)) throw badDependencies(what, `has a line that is not known: ${shown(line)}`);
    if (block === null && words[0] === '(' && words.length === 1) {
      block = directive;
      continue;
    }
    if (directive === 'require') requires.push(readModule(words, what));
    if (directive === 'replace') replaces.push(readReplacement(words, what));
  }
  if (block !== null) throw badDependencies(what, `does not end its block of ${block}`);
  checkCount(requires.length + replaces.length, what);
  return { requires, replaces };
}

function unquoted(word: string): string {
  return /^(["`]).*\1$/.test(word) && word.length > 1 ? word.slice(1, -1) : word;
}

function readModule(words: readonly string[], what: string): GoModule {
  const [path = '', version = '', ...rest] = words;
  if (rest.length > 0 || !isModulePath(path) || !/^v\d/.test(version)) {
    throw badDependencies(what, `has a module that is none: ${shown(words.join(' '))}`);
  }
  return { path, version };
}

function readReplacement(words: readonly string[], what: string): GoReplacement {
  const arrow = words.indexOf('=>');
  const [path = '', version = '', ...rest] = words.slice(0, arrow);
  const [target = '', ...targetVersion] = words.slice(arrow + 1);
  if (arrow < 1 || rest.length > 0 || target === '' || !isModulePath(path)) {
    throw badDependencies(what, `has a replacement that is none: ${shown(words.join(' '))}`);
  }
  const from = { path, version };
  if (targetVersion.length === 0) return { from, to: null, folder: target };
  return { from, to: readModule([target, ...targetVersion], what), folder: null };
}
