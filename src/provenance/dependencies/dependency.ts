// What an artifact is made of: one dependency, what was found wrong with it, and the limits on reading both.
import { exitStatus } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { shown } from '../excerpt.ts';
import type { Hash } from './hash.ts';
import { purlOf } from './purl.ts';

/** Largest file with dependencies that is read: the SBOM of a big image has some ten megabytes. */
export const DEPENDENCY_FILE_BYTES_MAX = 32 * 2 ** 20;
/** Most dependencies of one artifact: ten times what a full desktop image has. */
export const DEPENDENCIES_MAX = 50_000;
/** Hashes of one dependency: a Python release has one a wheel, the largest have about a hundred. */
const HASHES_MAX = 1024;
const NAME_CHARS_MAX = 512;
const VERSION_CHARS_MAX = 256;
const ORIGIN_CHARS_MAX = 4096;

/** `development`: needed to build or test, not to run. */
export type DependencyScope = 'required' | 'optional' | 'development';

export interface Dependency {
  /** Null when neither the ecosystem nor the document names one. */
  readonly purl: string | null;
  /** As its ecosystem writes it, with its namespace: `@acme/lib`, `github.com/acme/lib`, `libc6`. */
  readonly name: string;
  readonly version: string | null;
  /** The type of the purl: `npm`, `pypi`, `golang`, `deb`, `apk`, `maven` …; `generic` without one. */
  readonly ecosystem: string;
  readonly hashes: readonly Hash[];
  /**
   * Where it comes from, as the document says it; null when it does not. Judged by `judgeOrigin`, never trusted; and never
   * shown as it is, for it may hold a password.
   */
  readonly origin: string | null;
  readonly scope: DependencyScope;
  /** The name that code imports it by, when a lockfile gives it another one; else null. */
  readonly alias: string | null;
}

export type FindingKind =
  | 'conflicting-integrity'
  | 'name-mismatch'
  | 'no-integrity'
  | 'weak-integrity'
  | 'not-from-registry'
  | 'not-pinned'
  | 'ambiguous-origin'
  | 'manifest-mismatch'
  | 'not-read';

/** Something wrong with one dependency, or with the file that names it. */
export interface DependencyFinding {
  readonly kind: FindingKind;
  /** `name@version` or the name of a file; escaped, for people. */
  readonly subject: string;
  /** One clause, no full stop. */
  readonly detail: string;
}

/** What one file, or all files of an artifact, say that it is made of. */
export interface Inventory {
  readonly dependencies: readonly Dependency[];
  readonly findings: readonly DependencyFinding[];
}

export interface DependencyParts {
  readonly ecosystem: string;
  /** Part of the purl alone: the distribution of a system package. */
  readonly vendor?: string;
  readonly name: string;
  readonly version: string | null;
  readonly hashes?: readonly Hash[];
  readonly origin?: string | null;
  readonly scope?: DependencyScope;
  readonly alias?: string | null;
  readonly qualifiers?: Readonly<Record<string, string>>;
  /** As the document has it, null where it has none; when not given, it is made of the other parts. */
  readonly purl?: string | null;
}

/**
 * Makes a dependency of what a file says about it.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES for text that is too long, empty, or would not show as what it is
 */
export function makeDependency(parts: DependencyParts, what: string): Dependency {
  const { ecosystem, vendor, qualifiers, hashes = [], origin = null, scope = 'required', alias = null } = parts;
  const name = checkedText(parts.name, { what, field: 'a name', charsMax: NAME_CHARS_MAX });
  const version =
    parts.version === null
      ? null
      : checkedText(parts.version, { what, field: 'a version', charsMax: VERSION_CHARS_MAX });
  if (origin !== null) checkedText(origin, { what, field: 'an origin', charsMax: ORIGIN_CHARS_MAX });
  if (alias !== null) checkedText(alias, { what, field: 'an alias', charsMax: NAME_CHARS_MAX });
  if (hashes.length > HASHES_MAX) throw badDependencies(what, `gives ${shown(name)} more than ${HASHES_MAX} hashes`);
  const purl =
    parts.purl === undefined
      ? purlOf({ ecosystem, vendor: vendor ?? null, name, version, qualifiers: qualifiers ?? {} })
      : parts.purl;
  return { purl, name, version, ecosystem, hashes: sortedHashes(hashes), origin, scope, alias };
}

function sortedHashes(hashes: readonly Hash[]): Hash[] {
  const unique = new Map(hashes.map((hash) => [`${hash.algorithm}:${hash.hex}`, hash]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, hash]) => hash);
}

/** Control, format (bidi, zero width) and separator characters, and lone surrogates: what shows as something else. */
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

interface TextBounds {
  readonly what: string;
  readonly field: string;
  readonly charsMax: number;
}

/** @throws ProvenanceError PROVENANCE_DEPENDENCIES */
export function checkedText(text: string, { what, field, charsMax }: TextBounds): string {
  if (text.trim() === '') throw badDependencies(what, `has ${field} that is empty`);
  if (text.length > charsMax) throw badDependencies(what, `has ${field} of more than ${charsMax} characters`);
  if (DECEPTIVE.test(text)) {
    throw badDependencies(what, `has ${field} with characters that do not show: ${shown(text)}`);
  }
  return text;
}

/** `name@version`, as findings and reasons name a dependency. */
export function labelOf({ name, version }: Pick<Dependency, 'name' | 'version'>): string {
  return shown(version === null ? name : `${name}@${version}`).slice(1, -1);
}

/** One text for one dependency, the same whatever the order of its fields; sorts and compares lists. */
export function dependencyKey(dependency: Dependency): string {
  const { ecosystem, name, version, purl, origin, scope, alias, hashes } = dependency;
  return JSON.stringify([
    ecosystem,
    name,
    version,
    purl,
    origin,
    scope,
    alias,
    hashes.map((h) => [h.algorithm, h.hex]),
  ]);
}

/** @throws ProvenanceError PROVENANCE_DEPENDENCIES when there are too many */
export function checkCount(count: number, what: string): void {
  if (count > DEPENDENCIES_MAX) throw badDependencies(what, `names more than ${DEPENDENCIES_MAX} dependencies`);
}

export function badDependencies(what: string, fault: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_DEPENDENCIES', `${what} ${fault}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Make it again with the tool that made it, and do not edit it by hand.',
    cause,
  });
}
