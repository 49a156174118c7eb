// The policy's conditions at work: which rules bound a decision, and which responses an event asks for.
import { messageOf } from '../base/index.ts';
import type { Severity, Tier } from '../trust/index.ts';
import type { ResourceRequest } from './grant.ts';
import type { Policy, PolicyResponse } from './parse.ts';
import { lowerTier } from './tier.ts';

/** What rules can ask about, besides request, score and tier. Attacker-controlled texts: compared, never interpreted. */
export interface RuleSubject {
  readonly workload: string;
  readonly artifact: {
    readonly name: string;
    readonly digest: string;
    readonly kind: string;
    readonly reference: string;
  };
  /** Key ids of the trusted keys that attested the artifact. */
  readonly publishers: readonly string[];
}

export interface RuleFacts {
  readonly subject: RuleSubject;
  readonly request: ResourceRequest;
  readonly score: number;
  readonly tier: Tier;
}

/** What the rules make of a decision; `limits` says why `tierMax` is below high. */
export interface RuleOutcome {
  readonly tierMax: Tier;
  readonly limits: readonly string[];
  readonly refusals: readonly string[];
}

/** Evaluates every rule of the policy. A condition that fails to evaluate refuses. */
export function evaluateRules(policy: Policy, facts: RuleFacts): RuleOutcome {
  let tierMax: Tier = 'high';
  const limits: string[] = [];
  const refusals: string[] = [];
  if (policy.rules.length === 0) return { tierMax, limits, refusals };
  const terms = ruleTerms(facts);
  for (const rule of policy.rules) {
    const held = tryCondition(() => rule.condition.holds(terms));
    if (held.failure !== null) refusals.push(`rule ${rule.id} could not be evaluated: ${held.failure}`);
    else if (held.value && rule.tierMax === undefined) refusals.push(`rule ${rule.id}: ${rule.reason}`);
    else if (held.value && rule.tierMax !== undefined) {
      tierMax = lowerTier(tierMax, rule.tierMax);
      limits.push(`rule ${rule.id} allows at most ${rule.tierMax}: ${rule.reason}`);
    }
  }
  return { tierMax, limits, refusals };
}

/** What happened, as the `when` of a response sees it. Texts are empty and numbers 0 where they do not apply. */
export interface ResponseFacts {
  readonly kind: PolicyResponse['on'];
  readonly severity: Severity | '';
  readonly from: Tier | '';
  readonly to: Tier | '';
  readonly score: number;
  readonly anomaly: number;
  readonly rule: string;
  readonly keyId: string;
}

/** The responses that an event asks for, in the policy's order. A condition that fails to evaluate is taken to hold. */
export function matchResponses(policy: Policy, facts: ResponseFacts): PolicyResponse[] {
  return policy.responses.filter(({ on, condition }) => {
    if (on !== facts.kind) return false;
    if (condition === null) return true;
    const held = tryCondition(() => condition.holds({ ...facts }));
    return held.failure !== null || held.value;
  });
}

/** CEL's integers are BigInts here; numbers would be taken for doubles. */
function ruleTerms({ subject, request, score, tier }: RuleFacts): Record<string, unknown> {
  return {
    workload: subject.workload,
    artifact: subject.artifact,
    publishers: subject.publishers,
    request: {
      cpuMillicores: BigInt(request.cpuMillicores),
      memoryBytes: BigInt(request.memoryBytes),
      diskBytes: BigInt(request.diskBytes),
      pids: BigInt(request.pids),
      hostPorts: request.ports.map(({ hostPort }) => BigInt(hostPort)),
      mountSources: request.mounts.map(({ source }) => source),
    },
    score,
    tier,
  };
}

type Held = { readonly value: boolean; readonly failure: null } | { readonly value: false; readonly failure: string };

function tryCondition(evaluate: () => boolean): Held {
  try {
    return { value: evaluate(), failure: null };
  } catch (error) {
    // Callers take the cautious side of a failure.
    return { value: false, failure: messageOf(error).split('\n')[0] ?? '' };
  }
}
