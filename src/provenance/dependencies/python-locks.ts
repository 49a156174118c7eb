// What Poetry and uv would install: poetry.lock and uv.lock.
import { z } from 'zod';
import {
  checkCount,
  type Dependency,
  type DependencyFinding,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseShape, parseText } from './document.ts';
import { inventoryOf } from './findings.ts';
import { normalisedPythonName, parsePythonHash } from './python-package.ts';
import { parseToml, type TomlValue } from './toml-subset.ts';

const wirePoetry = z.object({
  package: z
    .array(
      z.object({
        name: z.string(),
        version: z.string(),
        optional: z.boolean(),
        groups: z.array(z.string()).optional(),
        category: z.string().optional(),
        files: z.array(z.object({ file: z.string(), hash: z.string() })).optional(),
        source: z.object({ type: z.string(), url: z.string() }).optional(),
      }),
    )
    .optional(),
  metadata: z.object({
    // Version 1 keeps the hashes apart, by name.
    'lock-version': z.string().regex(/^2\.\d+$/, 'no version 2'),
  }),
});

/** Types of a source that are an index of packages. */
const POETRY_INDEXES: ReadonlySet<string> = new Set(['legacy', 'pypi']);

/**
 * Parses a poetry.lock, lock version 2. Without a source of its own a package comes from PyPI, which Poetry leaves out.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock
 */
export function parsePoetryLock(bytes: Uint8Array, what = 'poetry.lock'): Inventory {
  const lock = parseShape(plain(parseToml(parseText(bytes, what), what)), wirePoetry, what);
  const packages = lock.package ?? [];
  checkCount(packages.length, what);
  const read = packages.map(({ name, version, optional, groups, category, files = [], source }): Read => {
    const isDevelopment = groups === undefined ? category === 'dev' : groups.length > 0 && !groups.includes('main');
    const scope = optional ? 'optional' : 'required';
    return judge(
      makeDependency(
        {
          ecosystem: 'pypi',
          name: normalisedPythonName(name, what),
          version,
          hashes: files.map(({ hash }) => parsePythonHash(hash, what)),
          origin: source?.url ?? 'https://pypi.org/simple/',
          scope: isDevelopment ? 'development' : scope,
        },
        what,
      ),
      source === undefined || POETRY_INDEXES.has(source.type),
    );
  });
  return inventoryOfRead(read);
}

const wireFile = z.object({ hash: z.string().optional() });

const wireUv = z.object({
  version: z.literal(1),
  package: z
    .array(
      z.object({
        name: z.string(),
        version: z.string().optional(),
        source: z.record(z.string(), z.union([z.string(), z.array(z.unknown())])),
        sdist: wireFile.optional(),
        wheels: z.array(wireFile).optional(),
      }),
    )
    .optional(),
});

/** True for the project itself and what lies in its workspace: not for a folder elsewhere. */
function isOwn(source: Readonly<Record<string, unknown>>): boolean {
  return ['virtual', 'editable'].some((kind) => {
    const path = Object.hasOwn(source, kind) ? source[kind] : undefined;
    return typeof path === 'string' && !/^[/\\~]|^[A-Za-z]:/.test(path) && !path.split(/[/\\]/).includes('..');
  });
}

/**
 * Parses a uv.lock, version 1. The project and its workspace are no dependencies; all others are `required`.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile
 */
export function parseUvLock(bytes: Uint8Array, what = 'uv.lock'): Inventory {
  const lock = parseShape(plain(parseToml(parseText(bytes, what), what)), wireUv, what);
  const packages = (lock.package ?? []).filter(({ source }) => !isOwn(source));
  checkCount(packages.length, what);
  const read = packages.map(({ name, version, source, sdist, wheels = [] }): Read => {
    const hashes = [sdist, ...wheels].flatMap((file) => file?.hash ?? []);
    const [kind = '', origin] = Object.entries(source)[0] ?? [];
    return judge(
      makeDependency(
        {
          ecosystem: 'pypi',
          name: normalisedPythonName(name, what),
          version: version ?? null,
          hashes: hashes.map((hash) => parsePythonHash(hash, what)),
          origin: typeof origin === 'string' ? origin : null,
        },
        what,
      ),
      kind === 'registry',
    );
  });
  return inventoryOfRead(read);
}

interface Read {
  readonly dependency: Dependency;
  readonly finding: DependencyFinding | null;
}

function judge(dependency: Dependency, isIndexed: boolean): Read {
  const detail = 'it is asked for by repository, URL or path';
  const finding: DependencyFinding = { kind: 'not-from-registry', subject: labelOf(dependency), detail };
  return { dependency, finding: isIndexed ? null : finding };
}

function inventoryOfRead(read: readonly Read[]): Inventory {
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    read.flatMap(({ finding }) => finding ?? []),
  );
}

/** Tables as objects without a prototype, for the schema to check. Nesting is bounded by the reader of TOML. */
function plain(value: TomlValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const object = Object.create(null) as Record<string, unknown>;
  for (const [key, member] of value) object[key] = plain(member);
  return object;
}
