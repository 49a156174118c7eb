// What Pipenv would install: Pipfile.lock.
import { z } from 'zod';
import {
  checkCount,
  type Dependency,
  type DependencyFinding,
  type DependencyScope,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseJsonDocument } from './document.ts';
import { inventoryOf } from './findings.ts';
import { normalisedPythonName, parsePythonHash } from './python-package.ts';

const wirePackage = z.object({
  version: z.string().optional(),
  hashes: z.array(z.string()).optional(),
  index: z.string().optional(),
  git: z.string().optional(),
  file: z.string().optional(),
  path: z.string().optional(),
  editable: z.boolean().optional(),
});

type WirePackage = z.infer<typeof wirePackage>;

const wireLock = z.object({
  _meta: z.object({
    'pipfile-spec': z.literal(6),
    sources: z.array(z.object({ name: z.string(), url: z.string(), verify_ssl: z.boolean() })),
  }),
  default: z.record(z.string(), wirePackage),
  develop: z.record(z.string(), wirePackage),
});

/**
 * Parses a Pipfile.lock.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES
 * @source https://github.com/pypa/pipfile
 */
export function parsePipfileLock(bytes: Uint8Array, what = 'Pipfile.lock'): Inventory {
  const lock = parseJsonDocument(bytes, wireLock, what);
  const { sources } = lock._meta;
  const urls = new Map(sources.map(({ name, url }) => [name, url]));
  const only = sources.length === 1 ? (sources[0]?.url ?? null) : null;
  const groups = [
    ['required', lock.default],
    ['development', lock.develop],
  ] as const;
  const read = groups.flatMap(([scope, group]) =>
    Object.entries(group).map(([name, wire]) => readPackage({ name, wire, scope }, { urls, only }, what)),
  );
  checkCount(read.length, what);
  const unchecked = sources.filter(({ verify_ssl: isChecked }) => !isChecked);
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    [
      ...read.flatMap(({ finding }) => finding ?? []),
      ...unchecked.map(() => {
        const detail = 'the certificate of an index is not checked';
        return { kind: 'ambiguous-origin', subject: what, detail } as const;
      }),
    ],
  );
}

interface Named {
  readonly name: string;
  readonly wire: WirePackage;
  readonly scope: DependencyScope;
}

interface Indexes {
  readonly urls: ReadonlyMap<string, string>;
  /** The index when there is but one. */
  readonly only: string | null;
}

function readPackage(
  { name, wire, scope }: Named,
  { urls, only }: Indexes,
  what: string,
): { dependency: Dependency; finding: DependencyFinding | null } {
  const elsewhere = wire.git ?? wire.file ?? wire.path;
  const indexed = wire.index === undefined ? only : (urls.get(wire.index) ?? null);
  const dependency = makeDependency(
    {
      ecosystem: 'pypi',
      name: normalisedPythonName(name, what),
      version: wire.version?.replace(/^={2,3}/, '') ?? null,
      hashes: (wire.hashes ?? []).map((hash) => parsePythonHash(hash, what)),
      origin: elsewhere ?? indexed,
      scope,
    },
    what,
  );
  const detail = 'it is asked for by repository, URL or path';
  const finding: DependencyFinding = { kind: 'not-from-registry', subject: labelOf(dependency), detail };
  return { dependency, finding: elsewhere === undefined ? null : finding };
}
