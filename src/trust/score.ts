// Evidence in, score out: the formula, the caps, and what would raise a score.
import { exitStatus } from '../base/index.ts';
import {
  type Cap,
  type ComponentScore,
  type Evidence,
  type Findings,
  type Raise,
  type ScoredEvidence,
  TrustError,
  type TrustScore,
} from './evidence.ts';
import type { PreparedWeights } from './weights.ts';

/**
 * Scores findings: each check is the minimum of its evidence that has not expired (0 without any), a component is the weighted
 * sum of its checks, and the score is the sum of the components' contributions (base, build, runtime, reputation), limited by the
 * lowest cap and by 1. Evidence for a check that the weights do not list is ignored.
 *
 * Only + − × ÷ and comparison, in a fixed order: the same findings, in any order, give the same bits.
 *
 * @param nowMs Unix milliseconds; decides what has expired
 * @throws TrustError TRUST_EVIDENCE when a score or a cap is not in 0..1, or a time is not a number
 */
export function scoreTrust(weights: PreparedWeights, findings: Findings, nowMs: number): TrustScore {
  const deciding = decidingEvidence(weights, findings.evidence, nowMs);
  const base = scoreComponent(weights, deciding, 0);
  const build = scoreComponent(weights, deciding, 1);
  const runtime = scoreComponent(weights, deciding, 2);
  const reputation = scoreComponent(weights, deciding, 3);
  const sum = base.contribution + build.contribution + runtime.contribution + reputation.contribution;
  const caps = orderCaps(findings.caps);
  return { score: limit(sum, lowestOf(caps)), components: { base, build, runtime, reputation }, caps };
}

/**
 * Says which steps would raise the score, largest gain first: a check brought to 1, or the binding cap lifted. Steps that gain
 * nothing by themselves (a better check under a binding cap) are left out; steps of equal gain keep the policy's order.
 *
 * @throws TrustError TRUST_EVIDENCE as {@link scoreTrust} does
 */
export function explainRaises(weights: PreparedWeights, findings: Findings, nowMs: number): Raise[] {
  return explainScore(weights, scoreTrust(weights, findings, nowMs));
}

/** As {@link explainRaises}, of a score that is already there. */
export function explainScore(weights: PreparedWeights, trust: TrustScore): Raise[] {
  const { base, build, runtime, reputation } = trust.components;
  const components = [base, build, runtime, reputation];
  const contributions = components.map((component) => component.contribution);
  const lowest = lowestOf(trust.caps);
  const raises: Raise[] = [];
  for (const [place, component] of components.entries()) {
    for (const [at, { check, score }] of component.evidence.entries()) {
      if (score >= 1) continue;
      const raised = sumWith(contributions, place, component.weight * sumOf(component.evidence, at));
      const gain = limit(raised, lowest) - trust.score;
      if (gain > 0) raises.push({ check, gain, how: weights.checks[weights.indexOf.get(check) ?? -1]?.how ?? '' });
    }
  }
  raises.push(...liftOf(trust, sumWith(contributions, 0, base.contribution)));
  return raises.sort((a, b) => b.gain - a.gain);
}

/** Lifting the binding cap: what the score would be under the next one. */
function liftOf(trust: TrustScore, sum: number): Raise[] {
  const [binding] = trust.caps;
  if (binding === undefined) return [];
  const others = trust.caps.filter((cap) => cap.id !== binding.id);
  const gain = limit(sum, lowestOf(others)) - trust.score;
  return gain > 0 ? [{ check: binding.id, gain, how: binding.lift }] : [];
}

/** The evidence that decides each listed check, by its place; undefined where nothing valid answers. */
function decidingEvidence(
  weights: PreparedWeights,
  evidence: readonly Evidence[],
  nowMs: number,
): (Evidence | undefined)[] {
  if (Number.isNaN(nowMs)) throw badEvidence('the time of scoring is not a number');
  const deciding: (Evidence | undefined)[] = weights.checks.map(() => undefined);
  for (const one of evidence) {
    if (!isRatio(one.score)) throw badEvidence(`the evidence for ${one.check} scores ${one.score}, not in 0..1`);
    if (Number.isNaN(one.expiresMs)) throw badEvidence(`the evidence for ${one.check} expires at no number`);
    const index = weights.indexOf.get(one.check);
    if (index === undefined || (one.expiresMs !== null && nowMs > one.expiresMs)) continue;
    const present = deciding[index];
    if (present === undefined || isWorse(one, present)) deciding[index] = one;
  }
  return deciding;
}

/** Lower score first; among equals the texts decide, so that the order of arrival never shows. */
function isWorse(a: Evidence, b: Evidence): boolean {
  if (a.score !== b.score) return a.score < b.score;
  return a.reason === b.reason ? a.source < b.source : a.reason < b.reason;
}

function scoreComponent(
  weights: PreparedWeights,
  deciding: readonly (Evidence | undefined)[],
  place: 0 | 1 | 2 | 3,
): ComponentScore {
  const evidence: ScoredEvidence[] = [];
  for (const index of weights.members[place] ?? []) {
    const listed = weights.checks[index];
    if (listed === undefined) continue;
    const one = deciding[index];
    evidence.push({
      check: listed.check,
      // Adding 0 turns -0 into 0: the two are equal, but not the same bits.
      score: one === undefined ? 0 : one.score + 0,
      weight: listed.weight,
      reason: one === undefined ? 'no evidence' : one.reason,
      source: one === undefined ? '' : one.source,
    });
  }
  const score = sumOf(evidence, -1);
  const weight = weightOf(weights, place);
  return { score, weight, contribution: weight * score, evidence };
}

function weightOf({ components }: PreparedWeights, place: 0 | 1 | 2 | 3): number {
  if (place === 0) return components.base;
  if (place === 1) return components.build;
  return place === 2 ? components.runtime : components.reputation;
}

/** The weighted sum, in order, with the check at `perfect` taken as 1 (none for −1). Never above 1: weights sum to 1 only within rounding. */
function sumOf(evidence: readonly ScoredEvidence[], perfect: number): number {
  let sum = 0;
  for (const [at, { score, weight }] of evidence.entries()) sum += weight * (at === perfect ? 1 : score);
  return sum > 1 ? 1 : sum;
}

/** The sum of the contributions, in order, with the one at `place` replaced. */
function sumWith(contributions: readonly number[], place: number, replaced: number): number {
  let sum = 0;
  for (const [at, contribution] of contributions.entries()) sum += at === place ? replaced : contribution;
  return sum;
}

/** Caps with the lowest first; an order by all that they say, so that the order of arrival never shows. */
function orderCaps(caps: readonly Cap[]): readonly Cap[] {
  for (const { id, max } of caps) {
    if (!isRatio(max)) throw badEvidence(`the cap ${id} is ${max}, not in 0..1`);
  }
  return caps.length < 2 ? caps : [...caps].sort(byCap);
}

function byCap(a: Cap, b: Cap): number {
  if (a.max !== b.max) return a.max - b.max;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  if (a.reason === b.reason) return 0;
  return a.reason < b.reason ? -1 : 1;
}

function lowestOf(ordered: readonly Cap[]): number {
  return ordered[0]?.max ?? 1;
}

function limit(sum: number, max: number): number {
  return sum < max ? sum : max + 0;
}

function isRatio(value: number): boolean {
  return value >= 0 && value <= 1;
}

function badEvidence(message: string): TrustError {
  return new TrustError('TRUST_EVIDENCE', message, {
    exit: exitStatus.internal,
    hint: 'The source of this evidence is at fault; nothing is scored until it is repaired or left out.',
  });
}
