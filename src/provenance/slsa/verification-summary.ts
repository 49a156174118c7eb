// SLSA verification summaries: what a verifier found of an artifact, so that others need not verify its whole chain.
import { z } from 'zod';

import { exitStatus, KIB, rfc3339 } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { faultsOf } from '../excerpt.ts';
import { digestSet, label, timestamp, uri } from '../resource.ts';

/** `predicateType` of a verification summary. @source https://slsa.dev/spec/v1.0/verification_summary */
export const VERIFICATION_SUMMARY_TYPE = 'https://slsa.dev/verification_summary/v1';

/** A document by URI and digests; one of them may be missing. */
interface Source {
  readonly uri: string | null;
  readonly digests: ReadonlyMap<string, string>;
}

/** A verification summary, read. Whether it may be believed is decided by who signed it. */
export interface VerificationSummary {
  readonly verifier: { readonly id: string; readonly version: ReadonlyMap<string, string> };
  readonly verifiedMs: number | null;
  /** What was verified, by the name under which it is used. */
  readonly resourceUri: string;
  readonly policy: Source;
  readonly inputAttestations: readonly Source[];
  readonly isPassed: boolean;
  /** At most one of a track: `SLSA_BUILD_LEVEL_3`; `FAILED` alone when it failed. */
  readonly verifiedLevels: readonly string[];
  /** How many dependencies have which level, transitively. */
  readonly dependencyLevels: ReadonlyMap<string, number>;
  readonly slsaVersion: string | null;
}

const LEVELS_MAX = 32;
const INPUTS_MAX = 1024;
const FAILED = 'FAILED';

const level = z
  .string()
  .min(1)
  .max(256)
  .refine(
    (text) => !text.startsWith('SLSA_') || /^SLSA_[A-Z]+(_[A-Z]+)*_LEVEL_([0-9]|UNEVALUATED)$/.test(text),
    'not a level of SLSA',
  );

const source = z
  .object({ uri: uri.optional(), digest: digestSet.optional() })
  .transform((value): Source => ({ uri: value.uri ?? null, digests: new Map(Object.entries(value.digest ?? {})) }));

// Fields that are not named are ignored, as the specification demands.
const wireSummary = z
  .object({
    verifier: z.object({ id: uri, version: z.record(z.string().max(256), label).default({}) }),
    timeVerified: timestamp.optional(),
    resourceUri: label.min(1).max(2 * KIB),
    policy: source,
    inputAttestations: z.array(source).max(INPUTS_MAX).default([]),
    verificationResult: z.enum(['PASSED', FAILED]),
    verifiedLevels: z.array(level).max(LEVELS_MAX),
    dependencyLevels: z.record(level, z.int().min(0)).default({}),
    slsaVersion: z
      .string()
      .regex(/^[0-9]{1,4}\.[0-9]{1,4}$/)
      .optional(),
  })
  .refine(({ verificationResult, verifiedLevels }) => {
    const hasFailed = verifiedLevels.includes(FAILED);
    return verificationResult === 'PASSED' ? !hasFailed : verifiedLevels.every((each) => each === FAILED);
  }, 'its result and its levels contradict each other')
  .refine(({ verifiedLevels }) => {
    const tracks = verifiedLevels.map((each) => each.replace(/_LEVEL_[^_]*$/, ''));
    return new Set(tracks).size === tracks.length;
  }, 'two levels of one track');

/**
 * Parses the predicate of a statement of type {@link VERIFICATION_SUMMARY_TYPE}.
 *
 * @throws ProvenanceError PROVENANCE_VSA when a field that the specification names is missing or malformed, or fields contradict
 * each other
 * @source https://slsa.dev/spec/v1.0/verification_summary
 */
export function parseVerificationSummary(predicate: unknown): VerificationSummary {
  const parsed = wireSummary.safeParse(predicate);
  if (!parsed.success) throw notSummary(faultsOf(parsed.error), exitStatus.verificationFailed);
  const { verifier, timeVerified, verificationResult, dependencyLevels, slsaVersion, ...rest } = parsed.data;
  return {
    ...rest,
    verifier: { id: verifier.id, version: new Map(Object.entries(verifier.version)) },
    verifiedMs: timeVerified ?? null,
    isPassed: verificationResult === 'PASSED',
    dependencyLevels: new Map(Object.entries(dependencyLevels)),
    slsaVersion: slsaVersion ?? null,
  };
}

/**
 * Makes the predicate that says this; {@link parseVerificationSummary} reads it back.
 *
 * @throws ProvenanceError PROVENANCE_VSA when it would not be valid
 */
export function makeVerificationSummary(summary: VerificationSummary): Record<string, unknown> {
  const { verifier, dependencyLevels } = summary;
  const predicate = {
    verifier: {
      id: verifier.id,
      ...(verifier.version.size === 0 ? {} : { version: Object.fromEntries(verifier.version) }),
    },
    ...(summary.verifiedMs === null ? {} : { timeVerified: rfc3339(summary.verifiedMs) }),
    resourceUri: summary.resourceUri,
    policy: wireSource(summary.policy),
    inputAttestations: summary.inputAttestations.map(wireSource),
    verificationResult: summary.isPassed ? 'PASSED' : FAILED,
    verifiedLevels: summary.verifiedLevels,
    ...(dependencyLevels.size === 0 ? {} : { dependencyLevels: Object.fromEntries(dependencyLevels) }),
    ...(summary.slsaVersion === null ? {} : { slsaVersion: summary.slsaVersion }),
  };
  const parsed = wireSummary.safeParse(predicate);
  if (!parsed.success) throw notSummary(faultsOf(parsed.error), exitStatus.usage);
  return predicate;
}

function wireSource({ uri: where, digests }: Source): Record<string, unknown> {
  return {
    ...(where === null ? {} : { uri: where }),
    ...(digests.size === 0 ? {} : { digest: Object.fromEntries(digests) }),
  };
}

function notSummary(why: string, exit: 2 | 4): ProvenanceError {
  return new ProvenanceError('PROVENANCE_VSA', `the verification summary is not valid: ${why}`, {
    exit,
    hint: 'It needs verifier, resourceUri, policy, verificationResult and verifiedLevels that agree with each other.',
  });
}
