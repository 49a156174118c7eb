// What evidence is, whoever found it.
import { ProvostError } from '../base/index.ts';

export type TrustErrorCode = 'TRUST_WEIGHTS' | 'TRUST_EVIDENCE';

export class TrustError extends ProvostError<TrustErrorCode> {}

/** The four parts of a trust score, in the fixed order of the sum. */
export const componentNames = ['base', 'build', 'runtime', 'reputation'] as const;
export type ComponentName = (typeof componentNames)[number];

/** One finding about one artifact. The component is the first part of the check's id. */
export interface Evidence {
  /** `build.provenance` … : component, dot, name. */
  readonly check: string;
  /** 0 (bad) to 1 (good). */
  readonly score: number;
  /** For people: one clause, no full stop. */
  readonly reason: string;
  /** Where it came from: a digest, a key id, a file. */
  readonly source: string;
  /** Unix milliseconds after which it no longer counts; null: never. */
  readonly expiresMs: number | null;
}

/** A finding that limits the score whatever the rest says. */
export interface Cap {
  readonly id: string;
  /** 0..1 */
  readonly max: number;
  readonly reason: string;
  /** What lifts it, for people. */
  readonly lift: string;
}

/** What a source of evidence answers. */
export interface Findings {
  readonly evidence: readonly Evidence[];
  readonly caps: readonly Cap[];
}

/** The weights that a policy gives: the four components, and within each its checks in a fixed order. */
export interface TrustWeights {
  readonly components: Readonly<Record<ComponentName, number>>;
  /** Checks in the order of the sum; the weights of one component sum to 1. `how` says how to earn it. */
  readonly checks: readonly CheckWeight[];
}

export interface CheckWeight {
  readonly check: string;
  readonly weight: number;
  readonly how: string;
}

export type Tier = 'high' | 'medium' | 'low';

/** Scored evidence, as `score --json` shows it. */
export interface ScoredEvidence {
  readonly check: string;
  readonly score: number;
  readonly weight: number;
  readonly reason: string;
  readonly source: string;
}

export interface ComponentScore {
  readonly score: number;
  readonly weight: number;
  readonly contribution: number;
  readonly evidence: readonly ScoredEvidence[];
}

/** A score with its whole reason: `score` is the sum of the contributions, limited by the lowest cap. */
export interface TrustScore {
  readonly score: number;
  readonly components: Readonly<Record<ComponentName, ComponentScore>>;
  readonly caps: readonly Cap[];
}

/** A step that would raise a score, largest gain first. */
export interface Raise {
  readonly check: string;
  readonly gain: number;
  readonly how: string;
}
