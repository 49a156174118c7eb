// What pnpm would install: pnpm-lock.yaml, lockfile versions 6 to 9.
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../../base/index.ts';
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
import { parseJsonDocument, parseShape, parseText } from './document.ts';
import { inventoryOf } from './findings.ts';
import { parseIntegrity } from './hash.ts';
import { isNpmName, npmSpecs, tarballFinding, wireSpecs } from './npm-package.ts';

const wireAsked = z.record(z.string(), z.object({ specifier: z.string(), version: z.string() })).optional();

const wireImporter = z.object({ dependencies: wireAsked, devDependencies: wireAsked, optionalDependencies: wireAsked });

const wirePackage = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  resolution: z.object({
    integrity: z.string().optional(),
    tarball: z.string().optional(),
    type: z.enum(['git', 'directory']).optional(),
    repo: z.string().optional(),
    commit: z.string().optional(),
    directory: z.string().optional(),
  }),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
});

type WirePackage = z.infer<typeof wirePackage>;

const wireLock = z.object({
  ...wireImporter.shape,
  lockfileVersion: z.string().regex(/^[6-9]\.\d+$/, 'no version from 6 to 9'),
  importers: z.record(z.string(), wireImporter).optional(),
  packages: z.record(z.string(), wirePackage).optional(),
});

/**
 * Parses a pnpm-lock.yaml; with `manifest`, the package.json beside it, also whether both ask for the same. From version 9
 * on it does not say what is needed to run alone: all is `required`.
 *
 * @throws ProvenanceError PROVENANCE_JSON for the manifest, PROVENANCE_DEPENDENCIES
 * @source https://github.com/pnpm/spec/tree/master/lockfile
 */
export function parsePnpmLock(
  bytes: Uint8Array,
  manifest: Uint8Array | null = null,
  what = 'pnpm-lock.yaml',
): Inventory {
  const lock = parseShape(parseYaml(parseText(bytes, what), what), wireLock, what);
  const entries = Object.entries(lock.packages ?? {});
  checkCount(entries.length, what);
  const read = entries.map(([key, entry]) => readPackage(key, entry, what));
  const importers = lock.importers ?? {};
  const root = Object.hasOwn(importers, '.') ? importers['.'] : lock;
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    [...read.flatMap(({ findings }) => findings), ...mismatches(root ?? {}, manifest, what)],
  );
}

/** Without aliases, by which a small text stands for a huge one, and without keys that are said twice. */
function parseYaml(text: string, what: string): unknown {
  if (text.length > YAML_CHARS_MAX) throw badDependencies(what, `has more than ${YAML_CHARS_MAX} characters`);
  try {
    const document = parseDocument(text, { uniqueKeys: true, merge: false, strict: true, schema: 'core' });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw badDependencies(what, `is no YAML: ${shown(messageOf(error))}`, error);
  }
}

/** Largest YAML that is read, in characters: reading it takes a hundred times its size. */
const YAML_CHARS_MAX = 8 * 2 ** 20;

/** `/name@1.0.0(peer@1)` until version 8, `name@1.0.0` in version 9; the rest behind the `@` may be a URL. */
function readPackage(
  key: string,
  entry: WirePackage,
  what: string,
): { dependency: Dependency; findings: DependencyFinding[] } {
  const bare = key.replace(/^\//, '').replace(/\(.*$/s, '');
  const at = bare.indexOf('@', 1);
  const name = entry.name ?? (at < 0 ? bare : bare.slice(0, at));
  if (!isNpmName(name)) throw badDependencies(what, `has a package name that npm does not allow: ${shown(key)}`);
  const version = entry.version ?? (at < 0 ? null : bare.slice(at + 1));
  const { integrity, tarball, repo, directory } = entry.resolution;
  const hashes = integrity === undefined ? [] : parseIntegrity(integrity);
  if (hashes === null) throw badDependencies(what, `has an integrity that is none: ${shown(integrity ?? '')}`);
  const optional = entry.optional === true ? 'optional' : 'required';
  const dependency = makeDependency(
    {
      ecosystem: 'npm',
      name,
      version,
      hashes,
      origin: tarball ?? repo ?? directory ?? null,
      scope: entry.dev === true ? 'development' : optional,
    },
    what,
  );
  const isElsewhere = repo !== undefined || directory !== undefined || /^(?:https?|git|file)[+:]/.test(version ?? '');
  const subject = labelOf(dependency);
  const detail = 'its lockfile names a repository, a URL or a folder, and no registry';
  const elsewhere = isElsewhere ? [{ kind: 'not-from-registry', subject, detail } as const] : [];
  // An archive that is asked for by URL is not laid out as a registry's.
  const other = isElsewhere ? null : tarballFinding(dependency);
  return { dependency, findings: other === null ? elsewhere : [...elsewhere, other] };
}

type WireImporter = z.infer<typeof wireImporter>;

function mismatches(root: WireImporter, manifest: Uint8Array | null, what: string): DependencyFinding[] {
  if (manifest === null) return [];
  const asked = npmSpecs(parseJsonDocument(manifest, z.object(wireSpecs), `the package.json of ${what}`));
  const want = new Map(asked.flatMap(({ kind, name, spec }) => (kind === 'peerDependencies' ? [] : [[name, spec]])));
  const have = new Map(
    [root.dependencies, root.devDependencies, root.optionalDependencies].flatMap((group) =>
      Object.entries(group ?? {}).map(([name, { specifier }]) => [name, specifier]),
    ),
  );
  const names = [...new Set([...want.keys(), ...have.keys()])].filter((name) => want.get(name) !== have.get(name));
  const detail = 'package.json and the lock ask for different ranges of it';
  return names.map((name) => ({ kind: 'manifest-mismatch', subject: shown(name).slice(1, -1), detail }));
}
