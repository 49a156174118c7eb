// What is wrong with dependencies whatever file names them: no hash, a forgeable one, or two that disagree.
import {
  type Dependency,
  type DependencyFinding,
  dependencyKey,
  type FindingKind,
  type Inventory,
  labelOf,
} from './dependency.ts';
import { isStrong } from './hash.ts';

/** What the hashes of a dependency are worth, as a finding; null when one is strong. */
export function integrityFinding(dependency: Dependency): DependencyFinding | null {
  if (dependency.hashes.some(isStrong)) return null;
  const subject = labelOf(dependency);
  if (dependency.hashes.length === 0) return { kind: 'no-integrity', subject, detail: 'no hash says what it is' };
  const names = [...new Set(dependency.hashes.map(({ algorithm }) => algorithm))].join(' and ');
  return { kind: 'weak-integrity', subject, detail: `${names} alone can be forged` };
}

/** An inventory of dependencies that have to bring their own hashes, with the findings of its file. */
export function inventoryOf(
  dependencies: readonly Dependency[],
  findings: readonly DependencyFinding[] = [],
): Inventory {
  const integrity = dependencies.flatMap((dependency) => integrityFinding(dependency) ?? []);
  return mergeInventories([{ dependencies, findings: [...integrity, ...findings] }]);
}

/** One inventory of several: each dependency and finding once, in an order that is not that of the files. */
export function mergeInventories(inventories: readonly Inventory[]): Inventory {
  const dependencies = new Map(
    inventories.flatMap((inventory) => inventory.dependencies.map((it) => [dependencyKey(it), it] as const)),
  );
  const sorted = [...dependencies].sort(byKey).map(([, it]) => it);
  const findings = new Map(
    [...inventories.flatMap((inventory) => inventory.findings), ...conflicts(sorted)].map((it) => [findingKey(it), it]),
  );
  return { dependencies: sorted, findings: [...findings].sort(byKey).map(([, it]) => it) };
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function findingKey({ kind, subject, detail }: DependencyFinding): string {
  return JSON.stringify([kind, subject, detail]);
}

/**
 * Entries of one name and version (and architecture, where the purl has one) that have no hash in common, for one algorithm. All entries at once, not two by two:
 * a third entry cannot reconcile two that disagree.
 */
function conflicts(dependencies: readonly Dependency[]): DependencyFinding[] {
  const kind: FindingKind = 'conflicting-integrity';
  const shared = new Map<string, { readonly of: Dependency; readonly algorithm: string; hexes: readonly string[] }>();
  for (const dependency of dependencies) {
    const { ecosystem, name, version, purl, hashes } = dependency;
    for (const [algorithm, group] of Map.groupBy(hashes, (hash) => hash.algorithm)) {
      const key = JSON.stringify([ecosystem, name, version, purl, algorithm]);
      const hexes = new Set(group.map(({ hex }) => hex));
      const before = shared.get(key);
      if (before === undefined) shared.set(key, { of: dependency, algorithm, hexes: [...hexes] });
      else before.hexes = before.hexes.filter((hex) => hexes.has(hex));
    }
  }
  return [...shared.values()]
    .filter(({ of, hexes }) => of.version !== null && hexes.length === 0)
    .map(({ of, algorithm }) => ({ kind, subject: labelOf(of), detail: `entries have different ${algorithm} hashes` }));
}
