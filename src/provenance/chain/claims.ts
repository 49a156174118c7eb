// What an attestation of each kind says, out of predicates that anyone may have written.
import { z } from 'zod';

import { type Digest, isDigest } from '../../artifact/index.ts';
import { canonicalJson, messageOf } from '../../base/index.ts';
import { describeDependencies } from '../dependencies/describe.ts';
import { parseSbom } from '../dependencies/inventory.ts';
import type { OriginPolicy } from '../dependencies/origin-policy.ts';
import { faultsOf } from '../excerpt.ts';
import { SOURCE_PREDICATE_TYPE } from '../git/source-predicate.ts';
import type { TrustRole } from '../key-records.ts';
import {
  DEPLOY_TYPE,
  isSbomType,
  ORIGIN_PREDICATE_TYPES,
  PACKAGE_TYPE,
  REPRODUCTION_TYPE,
  REVIEW_TYPE,
  RUNTIME_TRACE_TYPE,
  TEST_RESULT_TYPE,
} from '../lifecycle.ts';
import { type Resource, resources } from '../resource.ts';
import { parseSlsaProvenance } from '../slsa/provenance.ts';
import { RELEASE_TYPE, SLSA_PROVENANCE_TYPE } from '../statement.ts';

/** What was done to a thing, or said of it; `other` is kept and never scored. */
export const linkKinds = [
  'source',
  'build',
  'deps',
  'test',
  'package',
  'deploy',
  'runtime',
  'release',
  'review',
  'reproduction',
  'other',
] as const;
export type LinkKind = (typeof linkKinds)[number];

/** What one attestation says, read. */
export type Claim =
  | {
      readonly kind: 'source';
      /** Git's id of the commit. */
      readonly commit: string;
      readonly digest: Digest;
      readonly isSignatureVerified: boolean;
      readonly publisher: string | null;
      /** Score of the files that say how it is built, 0..1; null when they were not judged. */
      readonly environment: number | null;
    }
  | {
      readonly kind: 'build';
      readonly builderId: string;
      readonly materials: readonly Resource[];
      /** False where the builder says that more than its commits went in: files that nobody recorded. */
      readonly isClean: boolean;
    }
  | { readonly kind: 'deps'; readonly score: number; readonly reason: string }
  | { readonly kind: 'test'; readonly score: number; readonly reason: string }
  | { readonly kind: 'package'; readonly contents: readonly Resource[] }
  | { readonly kind: 'deploy' | 'runtime' | 'release' | 'review' | 'other' }
  | {
      readonly kind: 'reproduction';
      /** The envelope of provenance that was reproduced. */
      readonly provenance: Digest;
      readonly isEqual: boolean;
    };

/** The kind of a predicate type. */
export function linkKindOf(predicateType: string): LinkKind {
  return isSbomType(predicateType) ? 'deps' : (KINDS.get(predicateType) ?? 'other');
}

const KINDS: ReadonlyMap<string, LinkKind> = new Map([
  [SOURCE_PREDICATE_TYPE, 'source'],
  [SLSA_PROVENANCE_TYPE, 'build'],
  [TEST_RESULT_TYPE, 'test'],
  [PACKAGE_TYPE, 'package'],
  [DEPLOY_TYPE, 'deploy'],
  [RUNTIME_TRACE_TYPE, 'runtime'],
  [RELEASE_TYPE, 'release'],
  [REVIEW_TYPE, 'review'],
  [REPRODUCTION_TYPE, 'reproduction'],
]);

/** Who may say a kind when its trust record lists no predicate types: a list narrows it, and gives nothing to other roles. */
const SPEAKERS: Readonly<Record<Exclude<LinkKind, 'release' | 'build' | 'other'>, readonly TrustRole[]>> = {
  source: ['publisher', 'builder'],
  deps: ['publisher', 'builder'],
  test: ['publisher', 'builder'],
  package: ['publisher', 'builder'],
  deploy: ['operator', 'publisher', 'builder'],
  // How it behaves elsewhere says nothing of where it comes from, and is no behaviour here: shown, never scored.
  runtime: ['operator', 'publisher', 'builder'],
  review: ['reviewer'],
  reproduction: ['builder'],
};

/** The table of who may say a predicate type, for `judgeAttestation`. */
export function speakersOf(kind: LinkKind, predicateType: string): Readonly<Record<TrustRole, readonly string[]>> {
  if (kind === 'release' || kind === 'build' || kind === 'other') return ORIGIN_PREDICATE_TYPES;
  const typesOf = (role: TrustRole): readonly string[] => (SPEAKERS[kind].includes(role) ? [predicateType] : []);
  return {
    publisher: typesOf('publisher'),
    builder: typesOf('builder'),
    reviewer: typesOf('reviewer'),
    operator: typesOf('operator'),
  };
}

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a SHA-256 digest');

const sourcePredicate = z.object({
  commit: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/, 'the id of a commit'),
  digest,
  signature: z.object({ status: z.string().max(64) }),
  publisher: z.string().min(1).max(256).nullable(),
  build: z.object({ score: z.number().min(0).max(1) }).optional(),
});

/** @source https://github.com/in-toto/attestation, spec/predicates/test-result.md */
const testPredicate = z.object({
  result: z.enum(['PASSED', 'WARNED', 'FAILED']),
  passedTests: z.array(z.unknown()).optional(),
  warnedTests: z.array(z.unknown()).optional(),
  failedTests: z.array(z.unknown()).optional(),
});
const TEST_SCORES = { PASSED: 1, WARNED: 0.5, FAILED: 0 } as const;

const packagePredicate = z.object({ format: z.string().max(256), contents: resources });

const reproductionPredicate = z.object({
  provenance: z.object({ digest: z.object({ sha256: z.string() }) }),
  isEqual: z.boolean(),
});

/** Reads what a predicate of this kind says, or answers why it cannot be read. */
export function readClaim(kind: LinkKind, predicate: unknown, origins: OriginPolicy): Claim | string {
  try {
    return parseClaim(kind, predicate, origins);
  } catch (error) {
    // Whatever keeps it from being read makes it worth nothing; it is no tampering, as the signature holds.
    return error instanceof z.ZodError ? faultsOf(error) : messageOf(error);
  }
}

function parseClaim(kind: LinkKind, predicate: unknown, origins: OriginPolicy): Claim {
  switch (kind) {
    case 'source': {
      const { commit, digest: own, signature, publisher, build } = sourcePredicate.parse(predicate);
      const isSignatureVerified = signature.status === 'verified';
      return { kind, commit, digest: own, isSignatureVerified, publisher, environment: build?.score ?? null };
    }
    case 'build': {
      const { builder, resolvedDependencies, internalParameters } = parseSlsaProvenance(predicate);
      const isClean = internalParameters['isClean'] !== false;
      return { kind, builderId: builder.id, materials: resolvedDependencies, isClean };
    }
    case 'deps':
      return { kind, ...judgeDependencies(predicate, origins) };
    case 'test':
      return { kind, ...judgeTests(testPredicate.parse(predicate)) };
    case 'package':
      return { kind, contents: packagePredicate.parse(predicate).contents };
    case 'reproduction': {
      const { provenance, isEqual } = reproductionPredicate.parse(predicate);
      const named = digest.parse(`sha256:${provenance.digest.sha256}`);
      return { kind, provenance: named, isEqual };
    }
    default:
      return { kind };
  }
}

/** The score is derived from the document that was signed; what it claims of itself counts for nothing. */
function judgeDependencies(predicate: unknown, policy: OriginPolicy): { score: number; reason: string } {
  const inventory = parseSbom(Buffer.from(canonicalJson(predicate)));
  // The artifact's name and digest go into the document that would be written, which nobody reads here.
  const { findings } = describeDependencies({ artifact: NOBODY, inventory, policy });
  const [evidence] = findings.evidence;
  return { score: evidence?.score ?? 0, reason: evidence?.reason ?? 'it says nothing' };
}

const NOBODY = { name: 'artifact', digest: `sha256:${'0'.repeat(64)}` as Digest };

function judgeTests({ result, passedTests, warnedTests, failedTests }: z.infer<typeof testPredicate>): {
  score: number;
  reason: string;
} {
  const counts = [
    [passedTests?.length, 'passed'],
    [warnedTests?.length, 'warned'],
    [failedTests?.length, 'failed'],
  ] as const;
  const told = counts.flatMap(([many, what]) => (many === undefined || many === 0 ? [] : [`${many} ${what}`]));
  // A failed test that the result does not own up to counts.
  const worst = (failedTests?.length ?? 0) > 0 ? 0 : TEST_SCORES[result];
  return { score: worst, reason: `tests ${result.toLowerCase()}${told.length === 0 ? '' : ` (${told.join(', ')})`}` };
}

/** True for a resource that is a commit of git. */
export function gitCommitOf({ digests }: Resource): string | null {
  return digests.get('gitCommit') ?? null;
}
