// What pip would install: requirements.txt, with its hashes and indexes.
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
import type { Hash } from './hash.ts';
import { normalisedPythonName, parsePythonHash } from './python-package.ts';

/** Options without an effect on what is installed, or only a narrowing one. */
const HARMLESS_OPTIONS: ReadonlySet<string> = new Set([
  '--require-hashes',
  '--no-binary',
  '--only-binary',
  '--prefer-binary',
  '--pre',
  '--use-feature',
]);

interface Sources {
  index: string | null;
  /** Further indexes, folders of files and hosts whose certificate is not checked: any may answer for any name. */
  readonly others: string[];
  /** Files that it includes. */
  readonly includes: string[];
}

/**
 * Parses a requirements file. Files that it includes are not followed but reported.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://pip.pypa.io/en/stable/reference/requirements-file-format/
 */
export function parseRequirements(bytes: Uint8Array, what = 'requirements.txt'): Inventory {
  const sources: Sources = { index: null, others: [], includes: [] };
  const lines = logicalLines(parseLines(bytes, what), what);
  checkCount(lines.length, what);
  // pip reads all options before it asks any index, wherever they stand.
  const requirements = lines.filter((line) => !readOption(line, sources, what));
  const origin = sources.others.length > 0 ? null : sources.index;
  const read = requirements.map((line) => readRequirement(line, origin, what));
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    [...read.flatMap(({ findings }) => findings), ...sourceFindings(sources, what)],
  );
}

/** Joins continued lines, then cuts comments, in pip's order. */
function logicalLines(lines: readonly string[], what: string): string[] {
  const logical: string[] = [];
  let parts: string[] = [];
  for (const line of lines) {
    const isComment = /^\s*#/.test(line);
    if (line.endsWith('\\') && !isComment) {
      parts.push(line.slice(0, -1));
      continue;
    }
    logical.push([...parts, isComment && parts.length > 0 ? '' : line].join(''));
    parts = [];
  }
  if (parts.length > 0) throw badDependencies(what, 'ends in the middle of a continued line');
  return logical.map((line) => (line.split(/(?:^|\s)#/)[0] ?? '').trim()).filter((line) => line !== '');
}

/** True when the line is an option. */
function readOption(line: string, sources: Sources, what: string): boolean {
  if (!line.startsWith('-')) return false;
  const option = /^(--[a-z-]+|-[a-z])(?:[= ]\s*|(?<=^-[a-z])(?=\S)|$)(.*)$/s.exec(line);
  const [, name = '', value = ''] = option ?? [];
  if (name === '-e' || name === '--editable') return false;
  if (name === '-i' || name === '--index-url') sources.index = value.trim();
  else if (name === '--extra-index-url' || name === '-f' || name === '--find-links' || name === '--trusted-host')
    sources.others.push(value.trim());
  else if (['-r', '--requirement', '-c', '--constraint'].includes(name)) sources.includes.push(value.trim());
  else if (name === '--no-index') sources.index = null;
  else if (!HARMLESS_OPTIONS.has(name)) throw badDependencies(what, `has an option that is not known: ${shown(line)}`);
  return true;
}

function sourceFindings({ others, includes }: Sources, what: string): DependencyFinding[] {
  const ambiguous = others.map((other) => {
    const detail = `any package may come from ${shown(withoutCredentials(other))} as well`;
    return { kind: 'ambiguous-origin', subject: what, detail } as const;
  });
  const unread = includes.map((file) => {
    return { kind: 'not-read', subject: what, detail: `it includes ${shown(file)}, which was not read` } as const;
  });
  return [...ambiguous, ...unread];
}

/** For a message: a URL of an index often has a password in it. */
function withoutCredentials(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/]*@/i, '$1');
}

interface Read {
  readonly dependency: Dependency;
  readonly findings: readonly DependencyFinding[];
}

/** Options of one requirement but its hashes. They change how it is built, not what is fetched. */
const BUILD_OPTION = /^--(?:config-settings?|global-option)=/;

function readRequirement(line: string, index: string | null, what: string): Read {
  const words = line.split(/\s+/);
  const cut = words.findIndex((word, at) => at > 0 && word.startsWith('--'));
  const spec = words.slice(0, cut < 0 ? words.length : cut).join(' ');
  const hashes = readHashes(cut < 0 ? [] : words.slice(cut), what);
  const direct = directSource(spec);
  const { name, version } = direct ?? namedSource(spec, what);
  const dependency = makeDependency(
    { ecosystem: 'pypi', name: normalisedPythonName(name, what), version, hashes, origin: direct?.url ?? index },
    what,
  );
  const subject = labelOf(dependency);
  if (direct !== null) {
    const detail = 'it is asked for by repository, URL or path';
    return { dependency, findings: [{ kind: 'not-from-registry', subject, detail }] };
  }
  const unpinned: DependencyFinding = { kind: 'not-pinned', subject, detail: 'no single version is asked for' };
  return { dependency, findings: version === null ? [unpinned] : [] };
}

function readHashes(options: readonly string[], what: string): Hash[] {
  const hashes: Hash[] = [];
  let isValueNext = false;
  for (const option of options) {
    if (isValueNext) hashes.push(parsePythonHash(option, what));
    else if (option.startsWith('--hash=')) hashes.push(parsePythonHash(option.slice('--hash='.length), what));
    else if (option !== '--hash' && !BUILD_OPTION.test(option)) {
      throw badDependencies(what, `has an option that is not known: ${shown(option)}`);
    }
    isValueNext = !isValueNext && option === '--hash';
  }
  return hashes;
}

/** `name[extra]==1.0 ; marker`. The version is null unless one alone will do. */
function namedSource(spec: string, what: string): { name: string; version: string | null } {
  const [wanted = ''] = spec.split(';');
  const name = /^[A-Za-z0-9][\w.-]*/.exec(wanted)?.[0] ?? '';
  const rest = wanted.slice(name.length).trim();
  const extrasEnd = rest.startsWith('[') ? rest.indexOf(']') + 1 : 0;
  const constraint = rest.slice(extrasEnd).replaceAll(/[ ()]/g, '');
  if (name === '' || !/^(?:(?:[=!<>~]=?=?)[\w.*+!-]+(?:,(?!$)|$))*$/.test(constraint)) {
    throw badDependencies(what, `has a line that is no requirement: ${shown(spec)}`);
  }
  return { name, version: /^={2,3}([^,*]+)$/.exec(constraint)?.[1] ?? null };
}

/** A requirement by URL, path or repository, with the name that it goes by; null for one by name. */
function directSource(spec: string): { name: string; url: string; version: null } | null {
  const named = /^([A-Za-z0-9][\w.-]*) ?(?:\[[^\]]*\])? ?@ ?([^\s;]+)/.exec(spec);
  if (named !== null) return { name: named[1] ?? '', url: named[2] ?? '', version: null };
  const editable = /^(?:-e|--editable)[= ]?/.exec(spec)?.[0] ?? '';
  const url = spec.slice(editable.length).split(' ;')[0] ?? '';
  const isDirect = editable !== '' || /^[a-z][a-z0-9+.-]*:|^[./~]|\.(?:whl|zip|tar\.gz)$/i.test(url);
  if (!isDirect) return null;
  const egg = /[#&]egg=([A-Za-z0-9][\w.-]*)/.exec(url)?.[1];
  const [path = ''] = url.split(/[?#]/);
  const file = path.split('/').findLast((part) => part !== '') ?? '';
  return { name: egg ?? nameOfFile(file), url, version: null };
}

/** `name-1.0.tar.gz`, `name-1.0-py3-none-any.whl`, `name.git@main`; a path of other form has no name of its own. */
function nameOfFile(file: string): string {
  const [base = ''] = file.split(/-\d|@|\.git(?:@|$)|\.(?:whl|zip|tar)/);
  return /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?$/.test(base) ? base : 'local';
}
