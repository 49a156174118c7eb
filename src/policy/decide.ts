// The decision of the loop: score, policy and what was granted before in, tier and grant out. Falls at once, rises slowly.
import { rfc3339 } from '../base/index.ts';
import type { Tier, TrustScore } from '../trust/index.ts';
import type { LaunchProfile } from './allocate.ts';
import { type Grant, type Isolation, isSameLive, type LiveGrant, liveGrantOf, type ResourceRequest } from './grant.ts';
import { planLaunch, type RunningLaunch } from './launch.ts';
import type { Policy } from './parse.ts';
import { evaluateRules, type RuleSubject } from './rules.ts';
import { lowerTier, tierOf, tierRank } from './tier.ts';

/** What a workload's decisions remember. Plain data: it is stored and digested as canonical JSON. */
export interface TierState {
  /** Null before the admission. */
  readonly grantedTier: Tier | null;
  readonly grant: Grant | null;
  /** Null while nothing runs. */
  readonly launch: RunningLaunch | null;
  /** Since when the score stands above a tier's threshold and margin, Unix ms; null when it does not. */
  readonly aboveSinceMs: { readonly medium: number | null; readonly high: number | null };
}

/** A person's word on the tier, for a time. */
export interface Override {
  readonly tier: Tier;
  readonly untilMs: number;
  readonly reason: string;
}

export interface DecisionInput {
  /** The score with its caps: a cap of 0 (revoked, failed) beats every override. */
  readonly trust: Pick<TrustScore, 'score' | 'caps'>;
  readonly nowMs: number;
  readonly policy: Policy;
  readonly override: Override | null;
  readonly request: ResourceRequest;
  readonly isolationAvailable: ReadonlySet<Isolation>;
  /** What the policy's rules can ask about. */
  readonly subject: RuleSubject;
  /** What the scheduler has left for it; null without a bound. */
  readonly bound: Pick<LiveGrant, 'cpuMillicores' | 'memoryBytes'> | null;
}

/** Refused: nothing may run; what runs must end. */
export type Decision =
  | {
      readonly kind: 'granted';
      /** The specification's tier of the score. */
      readonly tier: Tier;
      /** What rules, overrides and hysteresis made of it. */
      readonly grantedTier: Tier;
      /** With the isolation that is needed: after a relaunch when `relaunch` says so. */
      readonly grant: Grant;
      readonly launchProfile: LaunchProfile;
      readonly change: 'none' | 'raise' | 'fall';
      /** The live part differs from what was granted before. */
      readonly liveChanged: boolean;
      /** What runs must be replaced by a stronger sandbox. */
      readonly relaunch: boolean;
      readonly reasons: readonly string[];
      readonly state: TierState;
    }
  | { readonly kind: 'refused'; readonly tier: Tier; readonly reasons: readonly string[]; readonly state: TierState };

/** The state before the admission. */
export const initialTierState: TierState = {
  grantedTier: null,
  grant: null,
  launch: null,
  aboveSinceMs: { medium: null, high: null },
};

/** The state once a sandbox was started (or, with null, has ended). */
export function withLaunch(state: TierState, launch: RunningLaunch | null): TierState {
  return { ...state, launch };
}

/**
 * Decides tier and grant.
 *
 * Order: the rules of the policy bound everything and may refuse; a valid override sets the tier at once, unless a cap of 0 stands; the
 * first decision takes the tier of the score; later ones fall at once, and rise only to a tier whose threshold and margin the score has
 * exceeded for the whole dwell. A stronger launch part than the running one asks for a relaunch; a weaker one waits for the next
 * start, while the live part already follows the tier.
 */
export function decide(state: TierState, input: DecisionInput): Decision {
  const { policy, trust, nowMs } = input;
  const tier = tierOf(trust.score, policy.tiers);
  const rules = evaluateRules(policy, { subject: input.subject, request: input.request, score: trust.score, tier });
  const aboveSinceMs = nextAboveSince(state.aboveSinceMs, trust.score, { policy, nowMs });
  const next = { ...state, aboveSinceMs };
  if (rules.refusals.length > 0) return { kind: 'refused', tier, reasons: rules.refusals, state: next };

  const wanted = wantedTier(next, tier, input);
  const grantedTier = lowerTier(wanted.tier, rules.tierMax);
  const reasons = [
    ...(wanted.reason === null ? [] : [wanted.reason]),
    ...(grantedTier === wanted.tier ? [] : rules.limits),
  ];
  const launch = planLaunch(state.launch, grantedTier, input);
  if (launch.kind === 'refused') return { kind: 'refused', tier, reasons: launch.reasons, state: next };

  const { grant, launchProfile, relaunch } = launch;
  const change = changeOf(state.grantedTier, grantedTier);
  const liveChanged = state.grant === null || !isSameLive(liveGrantOf(state.grant), liveGrantOf(grant));
  if (change !== 'none') reasons.push(`the score ${trust.score.toFixed(3)} is ${tier}`);
  const decided: TierState = { ...next, grantedTier, grant };
  return {
    kind: 'granted',
    tier,
    grantedTier,
    grant,
    launchProfile,
    change,
    liveChanged,
    relaunch,
    reasons,
    state: decided,
  };
}

/** The tier before the rules bound it, with what a person should know about how it came to be. */
function wantedTier(state: TierState, tier: Tier, input: DecisionInput): { tier: Tier; reason: string | null } {
  const { policy, nowMs, override, trust } = input;
  if (override !== null && nowMs < override.untilMs) {
    const beaten = trust.caps.find(({ max }) => max <= 0);
    if (beaten !== undefined) return { tier, reason: `the override does not count: ${beaten.reason}` };
    return { tier: override.tier, reason: `override until ${rfc3339(override.untilMs)}: ${override.reason}` };
  }
  const { grantedTier } = state;
  if (grantedTier === null || tierRank(tier) <= tierRank(grantedTier)) return { tier, reason: null };
  const raised = raisedTier(state, grantedTier, { policy, nowMs });
  return { tier: lowerTier(raised, tier), reason: null };
}

/** The highest tier above the granted one whose dwell is over. */
function raisedTier({ aboveSinceMs }: TierState, granted: Tier, { policy, nowMs }: Moment): Tier {
  let best = granted;
  for (const name of ['medium', 'high'] as const) {
    const since = aboveSinceMs[name];
    if (since !== null && nowMs - since >= policy.tiers.raiseDwellMs && tierRank(name) > tierRank(best)) best = name;
  }
  return best;
}

type Moment = Pick<DecisionInput, 'policy' | 'nowMs'>;

function nextAboveSince(
  before: TierState['aboveSinceMs'],
  score: number,
  { policy, nowMs }: Moment,
): TierState['aboveSinceMs'] {
  const { highAbove, mediumFrom, raiseMargin } = policy.tiers;
  // A clock that was set back starts the dwell anew.
  const keep = (since: number | null): number => (since === null || since > nowMs ? nowMs : since);
  return {
    medium: score >= mediumFrom + raiseMargin ? keep(before.medium) : null,
    high: score > highAbove && score >= highAbove + raiseMargin ? keep(before.high) : null,
  };
}

function changeOf(before: Tier | null, after: Tier): 'none' | 'raise' | 'fall' {
  if (before === null || before === after) return 'none';
  return tierRank(after) > tierRank(before) ? 'raise' : 'fall';
}
