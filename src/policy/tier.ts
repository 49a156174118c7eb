// Scores and tiers: the exact boundaries of the specification.
import type { Tier } from '../trust/index.ts';
import type { Policy } from './parse.ts';

/** The tiers, lowest first. */
export const tierNames = ['low', 'medium', 'high'] as const satisfies readonly Tier[];

/** Where the tiers begin: above `highAbove` is high, from `mediumFrom` is medium. */
export type TierThresholds = Pick<Policy['tiers'], 'highAbove' | 'mediumFrom'>;

/**
 * The tier of a score: `S > highAbove` high, `mediumFrom ≤ S ≤ highAbove` medium, else low; what is not a number is low.
 *
 * @source adaptive-resource-allocation, `allocateResources`: `> 0.8`, `>= 0.5 && <= 0.8`
 */
export function tierOf(score: number, { highAbove, mediumFrom }: TierThresholds): Tier {
  if (score > highAbove) return 'high';
  return score >= mediumFrom ? 'medium' : 'low';
}

/** 0 for low, 1 for medium, 2 for high. */
export function tierRank(tier: Tier): number {
  return tierNames.indexOf(tier);
}

/** The lower of two tiers. */
export function lowerTier(a: Tier, b: Tier): Tier {
  return tierRank(a) <= tierRank(b) ? a : b;
}
