// What npm would install: package-lock.json and npm-shrinkwrap.json, versions 2 and 3.
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  checkCount,
  type Dependency,
  type DependencyFinding,
  type DependencyScope,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseJsonDocument } from './document.ts';
import { integrityFinding, mergeInventories } from './findings.ts';
import { type Hash, parseIntegrity } from './hash.ts';
import { legacyFindings } from './npm-legacy-tree.ts';
import { isNpmName, manifestFindings, npmSpecs, tarballFinding, wireSpecs } from './npm-package.ts';
import { isFromRegistry } from './source.ts';

const wireEntry = z.object({
  ...wireSpecs,
  name: z.string().optional(),
  version: z.string().optional(),
  resolved: z.string().optional(),
  integrity: z.string().optional(),
  link: z.boolean().optional(),
  inBundle: z.boolean().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  devOptional: z.boolean().optional(),
});

type WireEntry = z.infer<typeof wireEntry>;

const wireLock = z.object({
  lockfileVersion: z.union([z.literal(2), z.literal(3)]),
  packages: z.record(z.string(), wireEntry),
  dependencies: z.unknown().optional(),
});

/**
 * Parses a lockfile of npm; with `manifest`, the package.json beside it, also whether both ask for the same.
 * Workspaces are the artifact itself and no dependencies of it.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES
 * @source https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json
 */
export function parsePackageLock(
  bytes: Uint8Array,
  manifest: Uint8Array | null = null,
  what = 'package-lock.json',
): Inventory {
  const lock = parseJsonDocument(bytes, wireLock, what);
  const entries = Object.entries(lock.packages);
  checkCount(entries.length, what);
  const inventories = entries.map(([path, entry]) => readEntry({ path, entry, what }));
  const root = Object.hasOwn(lock.packages, '') ? lock.packages[''] : undefined;
  const merged = mergeInventories([
    ...inventories,
    { dependencies: [], findings: entries.flatMap(([path, entry]) => specFindings(path, entry)) },
    { dependencies: [], findings: manifestFindings({ locked: root ?? {}, manifest, what }) },
  ]);
  if (lock.lockfileVersion === 3 || lock.dependencies === undefined) return merged;
  const legacy = { dependencies: [], findings: legacyFindings(lock.dependencies, merged.dependencies, what) };
  return mergeInventories([merged, legacy]);
}

interface EntryAt {
  readonly path: string;
  readonly entry: WireEntry;
  readonly what: string;
}

const NONE: Inventory = { dependencies: [], findings: [] };

function readEntry({ path, entry, what }: EntryAt): Inventory {
  const place = placeOf(path, what);
  // A link is to a workspace or folder, which has an entry of its own.
  if (path === '' || entry.link === true) return NONE;
  if (place.installedAs === null) return place.isOutside ? outsideFinding(path) : NONE;
  const { installedAs } = place;
  const name = entry.name ?? installedAs;
  if (!isNpmName(name)) throw badDependencies(what, `has a package name that npm does not allow: ${shown(name)}`);
  const dependency = makeDependency(
    {
      ecosystem: 'npm',
      name,
      version: entry.version ?? null,
      hashes: readIntegrity(entry, what),
      origin: entry.resolved ?? null,
      scope: scopeOf(entry),
      alias: name === installedAs ? null : installedAs,
    },
    what,
  );
  return { dependencies: [dependency], findings: findingsOf(dependency, entry) };
}

interface Place {
  /** The name behind the last `node_modules/`; null for a folder that is not installed. */
  readonly installedAs: string | null;
  readonly isOutside: boolean;
}

/** attacker-controlled: npm writes to this path. Only a leading `..`, a folder beside the project, is honest. */
function placeOf(path: string, what: string): Place {
  const segments = path.split('/');
  const leading = segments.findIndex((segment) => segment !== '..');
  const inner = leading < 0 ? [] : segments.slice(leading);
  const isBad = (segment: string): boolean => segment === '' || segment === '.' || segment === '..';
  if (path !== '' && (inner.length === 0 || inner.some(isBad) || /[\\\0]|^[A-Za-z]:/.test(path))) {
    throw badDependencies(what, `has a path that leaves its folder: ${shown(path)}`);
  }
  const at = inner.lastIndexOf('node_modules');
  const installedAs = at < 0 ? null : inner.slice(at + 1).join('/');
  if (installedAs !== null && !isNpmName(installedAs)) {
    throw badDependencies(what, `has a package name that npm does not allow: ${shown(installedAs)}`);
  }
  return { installedAs, isOutside: leading > 0 };
}

function outsideFinding(path: string): Inventory {
  const detail = 'a folder outside the project';
  return { dependencies: [], findings: [{ kind: 'not-from-registry', subject: shown(path).slice(1, -1), detail }] };
}

function scopeOf({ dev, optional, devOptional }: WireEntry): DependencyScope {
  if (dev === true) return 'development';
  return optional === true || devOptional === true ? 'optional' : 'required';
}

function readIntegrity({ integrity }: WireEntry, what: string): readonly Hash[] {
  if (integrity === undefined) return [];
  const hashes = parseIntegrity(integrity);
  if (hashes === null) throw badDependencies(what, `has an integrity that is none: ${shown(integrity)}`);
  return hashes;
}

function findingsOf(dependency: Dependency, entry: WireEntry): DependencyFinding[] {
  // A bundled package lies in the archive of the one that brings it, whose hash covers it.
  const integrity = entry.inBundle === true ? null : integrityFinding(dependency);
  const isElsewhere = dependency.origin !== null && !isFromRegistry(dependency.origin);
  const detail = 'its lockfile names a repository or a file, and no registry';
  const source: DependencyFinding = { kind: 'not-from-registry', subject: labelOf(dependency), detail };
  return [integrity, tarballFinding(dependency), isElsewhere ? source : null].flatMap((finding) => finding ?? []);
}

/** Dependencies that a package asks for by repository, URL or path. */
function specFindings(path: string, entry: WireEntry): DependencyFinding[] {
  const by = path === '' ? 'the project' : shown(path).slice(1, -1);
  return npmSpecs(entry).flatMap(({ name, spec, kind }) => {
    // What a workspace is asked for by is npm's own affair.
    if (kind === 'peerDependencies' || !isElsewhereSpec(spec)) return [];
    const subject = shown(name).slice(1, -1);
    return [{ kind: 'not-from-registry', subject, detail: `${by} asks for it by repository, URL or path` } as const];
  });
}

/** True for what is no version, range, tag or alias. @source https://docs.npmjs.com/cli/v11/using-npm/package-spec */
function isElsewhereSpec(spec: string): boolean {
  if (spec.startsWith('npm:') || spec.startsWith('workspace:')) return false;
  return spec.includes(':') || spec.includes('/');
}
