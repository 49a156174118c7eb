// What an artifact is made of, as a document that others read, and what that says about the artifact. Pure.
import { type Digest, digestOf, hexOf } from '../../artifact/index.ts';
import { canonicalJson } from '../../base/index.ts';
import type { Evidence, Findings } from '../../trust/index.ts';
import { ALIAS_PROPERTY, MODULE_HASH_PROPERTY } from './cyclonedx.ts';
import { type Dependency, dependencyKey, type FindingKind, type Inventory, labelOf } from './dependency.ts';
import { cycloneDxName } from './hash.ts';
import type { IntegrityVerdict } from './integrity.ts';
import { publicUrl } from './location.ts';
import { judgeOrigin, type OriginVerdict } from './origin.ts';
import type { OriginPolicy } from './origin-policy.ts';

/** Predicate type of an SBOM in CycloneDX. @source https://github.com/in-toto/attestation, spec/predicates/cyclonedx.md */
export const CYCLONEDX_PREDICATE_TYPE = 'https://cyclonedx.org/bom';

/** What a finding leaves of the score: proof against a dependency nothing, want of proof half. */
const FINDING_SCORES: Readonly<Record<FindingKind, number>> = {
  'conflicting-integrity': 0,
  'name-mismatch': 0,
  'no-integrity': 0.5,
  'weak-integrity': 0.5,
  'not-from-registry': 0.5,
  'not-pinned': 0.5,
  'ambiguous-origin': 0.5,
  'manifest-mismatch': 0.5,
  'not-read': 0.5,
};
const ORIGIN_SCORES: Readonly<Record<OriginVerdict['status'], number>> = { trusted: 1, unknown: 0.5, untrusted: 0 };
const INTEGRITY_SCORES: Readonly<Record<IntegrityVerdict['status'], number>> = { verified: 1, missing: 0.5, failed: 0 };
/** A list of nothing proves nothing; and adding a bad dependency to it must not raise the score. */
const EMPTY_SCORE = 0.5;
const NAMES_MAX = 5;

export interface DescribeInput {
  readonly artifact: { readonly name: string; readonly digest: Digest };
  /** Null when nothing says what the artifact is made of: then there is no evidence. */
  readonly inventory: Inventory | null;
  readonly policy: OriginPolicy;
  /** What was fetched and checked; null for a dependency that was not. */
  readonly integrityOf?: (dependency: Dependency) => IntegrityVerdict | null;
  /** Key ids and identities whose signatures on a dependency were verified. */
  readonly signersOf?: (dependency: Dependency) => readonly string[];
}

/** One dependency with all that was found out about it. */
export interface JudgedDependency {
  readonly dependency: Dependency;
  readonly origin: OriginVerdict;
  readonly integrity: IntegrityVerdict | null;
}

/** Something that lowers the score, by itself to `score`. */
export interface DependencyFault {
  /** A kind of finding, or `untrusted-origin`, `failed-integrity` … */
  readonly kind: string;
  /** `name@version` or the name of a file; escaped, for people. */
  readonly subject: string;
  /** One clause, no full stop. */
  readonly detail: string;
  /** 0 (bad) to 1 (good) */
  readonly score: number;
}

export interface DependencyDescription {
  readonly predicateType: typeof CYCLONEDX_PREDICATE_TYPE;
  /** A CycloneDX 1.6 document, the same for the same dependencies in any order; null without an inventory. */
  readonly predicate: Readonly<Record<string, unknown>> | null;
  readonly dependencies: readonly JudgedDependency[];
  /** All that is wrong, worst first: what the evidence sums up. */
  readonly faults: readonly DependencyFault[];
  /** For the check `build.dependencies`. */
  readonly findings: Findings;
}

/** Describes what an artifact is made of. Never throws on what an inventory holds: that is a verdict. */
export function describeDependencies(input: DescribeInput): DependencyDescription {
  const { artifact, inventory, policy, integrityOf, signersOf } = input;
  const predicateType = CYCLONEDX_PREDICATE_TYPE;
  if (inventory === null)
    return { predicateType, predicate: null, dependencies: [], faults: [], findings: NO_FINDINGS };
  const unique = new Map(inventory.dependencies.map((it) => [dependencyKey(it), it]));
  const sorted = [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, dependency]) => dependency);
  const dependencies = sorted.map((dependency) => ({
    dependency,
    origin: judgeOrigin(dependency, policy, signersOf?.(dependency) ?? []),
    integrity: integrityOf?.(dependency) ?? null,
  }));
  const predicate = documentOf(artifact, dependencies);
  const faults = allFaults(inventory, dependencies);
  const evidence = [evidenceOf(faults, dependencies.length, digestOf(canonicalJson(predicate)))];
  return { predicateType, predicate, dependencies, faults, findings: { evidence, caps: [] } };
}

const NO_FINDINGS: Findings = { evidence: [], caps: [] };

function allFaults({ findings }: Inventory, judged: readonly JudgedDependency[]): DependencyFault[] {
  const faults = [
    ...findings.map(({ kind, subject, detail }) => ({ kind, subject, detail, score: FINDING_SCORES[kind] })),
    ...judged.flatMap(faultsOf),
  ];
  return faults.sort(
    (a, b) =>
      a.score - b.score || ordered(a.kind, b.kind) || ordered(a.subject, b.subject) || ordered(a.detail, b.detail),
  );
}

function ordered(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The lowest decides, and is what the reason speaks of. */
function evidenceOf(faults: readonly DependencyFault[], count: number, source: Digest): Evidence {
  const score = Math.min(faults[0]?.score ?? 1, count === 0 ? EMPTY_SCORE : 1);
  const worst = faults.filter((fault) => fault.score === score);
  return { check: 'build.dependencies', score, reason: reasonOf(worst, count), source, expiresMs: null };
}

function faultsOf({ dependency, origin, integrity }: JudgedDependency): DependencyFault[] {
  const subject = labelOf(dependency);
  const faults = [
    { kind: `${origin.status}-origin`, subject, detail: origin.reason, score: ORIGIN_SCORES[origin.status] },
  ];
  if (integrity !== null) {
    const { status, reason } = integrity;
    faults.push({ kind: `${status}-integrity`, subject, detail: reason, score: INTEGRITY_SCORES[status] });
  }
  return faults.filter(({ score }) => score < 1);
}

function reasonOf(worst: readonly DependencyFault[], count: number): string {
  if (count === 0 && worst.length === 0) return 'its files name no dependency';
  if (worst.length === 0)
    return `all of ${count} dependencies are pinned by hash and come from where the policy trusts`;
  const kinds = [...Map.groupBy(worst, ({ kind }) => kind)].sort(([a], [b]) => (a < b ? -1 : 1));
  const counts = kinds.map(([kind, faults]) => `${new Set(faults.map(({ subject }) => subject)).size} ${kind}`);
  const subjects = [...new Set(worst.map(({ subject }) => subject))].sort();
  const more = subjects.length > NAMES_MAX ? ` and ${subjects.length - NAMES_MAX} more` : '';
  return `of ${count} dependencies: ${counts.join(', ')} (${subjects.slice(0, NAMES_MAX).join(', ')}${more})`;
}

function documentOf(
  artifact: DescribeInput['artifact'],
  judged: readonly JudgedDependency[],
): Readonly<Record<string, unknown>> {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': artifact.digest,
        name: artifact.name,
        hashes: [{ alg: 'SHA-256', content: hexOf(artifact.digest) }],
      },
    },
    components: judged.map(componentOf),
  };
}

function componentOf({ dependency, origin, integrity }: JudgedDependency): Record<string, unknown> {
  const { purl, name, version, scope, hashes, alias } = dependency;
  const known = hashes.flatMap(({ algorithm, hex }) => {
    const alg = cycloneDxName(algorithm);
    return alg === null ? [] : [{ alg, content: hex }];
  });
  const goHashes = hashes.flatMap(({ algorithm, hex }) =>
    algorithm === 'h1'
      ? [{ name: MODULE_HASH_PROPERTY, value: `h1:${Buffer.from(hex, 'hex').toString('base64')}` }]
      : [],
  );
  return {
    type: 'library',
    // One dependency may be listed twice, from two places: a reference of its own for each.
    'bom-ref': digestOf(dependencyKey(dependency)),
    name,
    scope: scope === 'development' ? 'excluded' : scope,
    ...(version === null ? {} : { version }),
    ...(purl === null ? {} : { purl }),
    ...(known.length === 0 ? {} : { hashes: known }),
    ...(dependency.origin === null ? {} : distributionOf(dependency.origin)),
    properties: [
      ...goHashes,
      ...(alias === null ? [] : [{ name: ALIAS_PROPERTY, value: alias }]),
      { name: 'provost:origin', value: origin.status },
      ...(integrity === null ? [] : [{ name: 'provost:integrity', value: integrity.status }]),
    ],
  };
}

/** As a property where it is no reference by the rules for URLs: a path of Windows, an address of ssh. */
function distributionOf(origin: string): Record<string, unknown> {
  const url = publicUrl(origin);
  return URL.canParse(url) ? { externalReferences: [{ type: 'distribution', url }] } : {};
}
