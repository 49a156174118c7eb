// What Yarn 1 would install: yarn.lock, version 1. Later versions are YAML of another form and are not read.
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  checkCount,
  type Dependency,
  type DependencyFinding,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseLines } from './document.ts';
import { inventoryOf } from './findings.ts';
import { type Hash, hexHash, parseIntegrity } from './hash.ts';
import { isNpmName, tarballFinding } from './npm-package.ts';
import { isFromRegistry } from './source.ts';

const HEADER = '# yarn lockfile v1';

interface Block {
  /** `name@range`, one or more. */
  readonly patterns: readonly string[];
  readonly fields: Map<string, string>;
}

/**
 * Parses a yarn.lock, version 1. It does not say what is needed to run alone: all is `required`.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://classic.yarnpkg.com/lang/en/docs/yarn-lock/
 */
export function parseYarnLock(bytes: Uint8Array, what = 'yarn.lock'): Inventory {
  const lines = parseLines(bytes, what);
  if (!lines.some((line) => line.trim() === HEADER)) throw badDependencies(what, `is no yarn.lock of version 1`);
  const blocks = readBlocks(lines, what);
  checkCount(blocks.length, what);
  const read = blocks.map((block) => readBlock(block, what));
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    read.flatMap(({ findings }) => findings),
  );
}

function readBlocks(lines: readonly string[], what: string): Block[] {
  const blocks: Block[] = [];
  const seen = new Set<string>();
  for (const [index, line] of lines.entries()) {
    const fault = (why: string): Error => badDependencies(what, `${why} in line ${index + 1}: ${shown(line)}`);
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (!line.startsWith(' ')) {
      const patterns = headPatterns(line);
      if (patterns === null) throw fault('has a heading that is none');
      if (patterns.some((pattern) => seen.has(pattern))) throw fault('names a range twice');
      for (const pattern of patterns) seen.add(pattern);
      blocks.push({ patterns, fields: new Map() });
      continue;
    }
    const field = /^ {2}([A-Za-z]+)(?: (.*)|:)$/.exec(line);
    if (field === null && /^ {4}\S/.test(line) && blocks.length > 0) continue;
    const [, key = '', value = ''] = field ?? [];
    const block = blocks.at(-1);
    if (field === null || block === undefined) throw fault('has a field that is none');
    if (block.fields.has(key)) throw fault('says a field twice');
    block.fields.set(key, unquoted(value));
  }
  return blocks;
}

/** The patterns of a heading such as `"@a/b@^1", "@a/b@^1.2":`, or null. */
function headPatterns(line: string): string[] | null {
  const quoted = /^(?:"[^"\\]+"|[^\s",:]+(?::[^\s",]+)?)(?:, (?:"[^"\\]+"|[^\s",:]+(?::[^\s",]+)?))*:$/;
  return quoted.test(line) ? line.slice(0, -1).split(', ').map(unquoted) : null;
}

function unquoted(text: string): string {
  return text.startsWith('"') && text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text;
}

function readBlock(
  { patterns, fields }: Block,
  what: string,
): { dependency: Dependency; findings: DependencyFinding[] } {
  const names = new Set(patterns.map((pattern) => pattern.slice(0, pattern.indexOf('@', 1))));
  const [pattern = ''] = patterns;
  const installedAs = pattern.slice(0, pattern.indexOf('@', 1));
  const range = pattern.slice(installedAs.length + 1);
  const name = /^npm:((?:@[^@/]+\/)?[^@/]+)(?:@|$)/.exec(range)?.[1] ?? installedAs;
  if (!isNpmName(name) || !isNpmName(installedAs)) {
    throw badDependencies(what, `has a package name that npm does not allow: ${shown(pattern)}`);
  }
  const resolved = fields.get('resolved') ?? null;
  const dependency = makeDependency(
    {
      ecosystem: 'npm',
      name,
      version: fields.get('version') ?? null,
      hashes: readHashes(fields.get('integrity'), resolved, what),
      origin: resolved?.replace(/#.*$/s, '') ?? null,
      alias: name === installedAs ? null : installedAs,
    },
    what,
  );
  const findings = [tarballFinding(dependency)].flatMap((finding) => finding ?? []);
  const isElsewhere = resolved === null ? /^(?:file|link):|^\.{0,2}\//.test(range) : !isFromRegistry(resolved);
  const subject = labelOf(dependency);
  if (names.size > 1 && name === installedAs) {
    findings.push({ kind: 'name-mismatch', subject, detail: 'one entry stands for packages of several names' });
  }
  if (isElsewhere) {
    const detail = 'its lockfile names a repository or a file, and no registry';
    findings.push({ kind: 'not-from-registry', subject, detail });
  }
  return { dependency, findings };
}

/** Before version 1.10 the hash was a SHA-1 behind the URL. */
function readHashes(integrity: string | undefined, resolved: string | null, what: string): readonly Hash[] {
  if (integrity === undefined) {
    const hash = hexHash('sha1', /\.tgz#(.*)$/s.exec(resolved ?? '')?.[1] ?? '');
    return hash === null ? [] : [hash];
  }
  const hashes = parseIntegrity(integrity);
  if (hashes === null) throw badDependencies(what, `has an integrity that is none: ${shown(integrity)}`);
  return hashes;
}
