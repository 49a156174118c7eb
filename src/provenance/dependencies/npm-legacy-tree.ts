// The second list in a version 2 lockfile, which npm 6 reads: it must say what the first one says.
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import { checkCount, type Dependency, type DependencyFinding } from './dependency.ts';
import { parseShape } from './document.ts';

const wireTree = z.record(
  z.string(),
  z.object({
    version: z.string(),
    resolved: z.string().optional(),
    integrity: z.string().optional(),
    dependencies: z.unknown().optional(),
  }),
);

/** Entries of the legacy tree that the list of packages does not have: two readers would install different code. */
export function legacyFindings(tree: unknown, dependencies: readonly Dependency[], what: string): DependencyFinding[] {
  const known = new Set(dependencies.flatMap(({ name, version, alias }) => [`${alias ?? name}@${version}`]));
  const origins = new Set(dependencies.flatMap(({ origin }) => origin ?? []));
  return flatten(tree, what).flatMap(({ name, version, resolved }) => {
    // Anything but a version is an alias, a repository, a file or a link, which the list of packages words otherwise.
    const isSame = version.includes(':') || known.has(`${name}@${version}`);
    const isFrom = resolved === undefined || origins.has(resolved);
    if (isSame && isFrom) return [];
    const detail = 'the two lists of the lockfile disagree about it';
    return [{ kind: 'conflicting-integrity', subject: shown(`${name}@${version}`).slice(1, -1), detail } as const];
  });
}

interface LegacyEntry {
  readonly name: string;
  readonly version: string;
  readonly resolved: string | undefined;
}

/** Nesting is bounded by the reader of JSON. */
function flatten(tree: unknown, what: string): LegacyEntry[] {
  const entries = Object.entries(parseShape(tree, wireTree, what));
  checkCount(entries.length, what);
  return entries.flatMap(([name, { version, resolved, dependencies }]) => [
    { name, version, resolved },
    ...(dependencies === undefined ? [] : flatten(dependencies, what)),
  ]);
}
