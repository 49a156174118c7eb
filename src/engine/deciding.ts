// A decision: everything it was made from, and what came out. The same function decides live and in replay.
import type { Artifact } from '../artifact/index.ts';
import {
  type Decision,
  decide,
  initialTierState,
  type Isolation,
  type LiveGrant,
  type Override,
  type Policy,
  type ResourceRequest,
  type RuleSubject,
  type TierState,
} from '../policy/index.ts';
import {
  type Findings,
  type RuntimeState,
  type RuntimeVerdict,
  runtimeEvidence,
  scoreTrust,
  stepRuntime,
  type TrustScore,
} from '../trust/index.ts';
import type { DecideContext, EngineContext } from './context.ts';
import { documentTypes, record } from './recording.ts';
import { resourcesOf, type Revision, type Running, type Standing } from './running.ts';

/** The whole input of a decision but the policy, which is named by digest beside it. Plain data. */
export interface DecisionInput {
  readonly nowMs: number;
  readonly subject: RuleSubject;
  readonly request: ResourceRequest;
  readonly findings: Findings;
  /** The runtime state before the verdict. */
  readonly runtime: RuntimeState;
  /** The window that led to it; null at a start. */
  readonly verdict: RuntimeVerdict | null;
  readonly tier: TierState;
  readonly override: Override | null;
  readonly isolationAvailable: readonly Isolation[];
  /** What the scheduler has left for it; null without a bound. */
  readonly bound: Pick<LiveGrant, 'cpuMillicores' | 'memoryBytes'> | null;
}

export interface DecisionOutcome {
  readonly score: TrustScore;
  readonly runtime: RuntimeState;
  readonly decision: Decision;
}

/** Pure: the same input and policy give the same outcome, bit for bit. */
export function computeDecision(policy: Policy, input: DecisionInput): DecisionOutcome {
  const runtime =
    input.verdict === null ? input.runtime : stepRuntime(input.runtime, input.verdict, policy.runtime).state;
  const score = scoreTrust(policy.weights, findingsWith(policy, input, runtime), input.nowMs);
  const decision = decide(input.tier, {
    trust: score,
    nowMs: input.nowMs,
    policy,
    override: input.override,
    request: input.request,
    isolationAvailable: new Set(input.isolationAvailable),
    subject: input.subject,
    bound: input.bound,
  });
  return { score, runtime, decision };
}

/** Adds how it behaves, and takes out the cap that clean running time has lifted. */
function findingsWith(policy: Policy, input: DecisionInput, runtime: RuntimeState): Findings {
  const neededMs = policy.trust.caps.provenanceOnly.liftedByCleanMs;
  const isEarned = neededMs !== null && runtime.cleanMs >= neededMs;
  return {
    evidence: [...input.findings.evidence, runtimeEvidence(runtime, input.subject.artifact.digest)],
    caps: isEarned ? input.findings.caps.filter(({ id }) => id !== 'provenance-only') : input.findings.caps,
  };
}

/** What a decision is about, beside the window that led to it. */
export interface DecisionSubject {
  readonly name: string;
  readonly artifact: Artifact;
  readonly publishers: readonly string[];
  readonly policy: Policy;
  readonly request: ResourceRequest;
  readonly findings: Findings;
  readonly override: Override | null;
  /** Null at a start: no tier was held, and the launch part is free. */
  readonly tierState: TierState | null;
  readonly bound: Pick<LiveGrant, 'cpuMillicores' | 'memoryBytes'> | null;
}

/** Input and outcome together: what is recorded, and what a replay recomputes. */
export interface Decided {
  readonly input: DecisionInput;
  readonly outcome: DecisionOutcome;
}

/** A window's verdict, with the runtime state that it was folded into. */
export interface JudgedWindow {
  readonly verdict: RuntimeVerdict;
  readonly before: RuntimeState;
}

/** Decides now. `window` is what led to it; null at a start, or when something else than behaviour changed. */
export function decideNow(context: DecideContext, subject: DecisionSubject, window: JudgedWindow | null): Decided {
  const { digest, kind, name, reference } = subject.artifact;
  const input: DecisionInput = {
    nowMs: context.clock.nowMs(),
    subject: { workload: subject.name, artifact: { digest, kind, name, reference }, publishers: subject.publishers },
    request: subject.request,
    findings: subject.findings,
    runtime: window?.before ?? context.memory.runtimeOf(digest, subject.policy),
    verdict: window?.verdict ?? null,
    tier: subject.tierState ?? initialTierState,
    override: subject.override,
    isolationAvailable: context.isolationAvailable,
    bound: subject.bound,
  };
  return { input, outcome: computeDecision(subject.policy, input) };
}

/** Records a decision with its whole input. Resolves to its index once it is durable. */
export function recordDecision(
  context: EngineContext,
  subject: { readonly name: string; readonly revision: Revision },
  decided: Decided,
  options: { readonly flush: boolean },
): Promise<number> {
  const { revision, name } = subject;
  return record(context, {
    kind: 'decision',
    type: documentTypes.decision,
    document: {
      workload: name,
      revision: revision.number,
      requestDigest: revision.requestDigest,
      mode: revision.mode,
      policy: revision.policy.digest,
      input: decided.input,
      outcome: decided.outcome,
    },
    subjects: [revision.artifact.digest],
    parents: [],
    flush: options.flush,
  });
}

/** What a granted decision makes of a workload; null for a refusal. */
export function standingOf(decided: Decided, logIndex: number): Standing | null {
  const { decision, score } = decided.outcome;
  if (decision.kind === 'refused') return null;
  const { tier, grantedTier, state, grant, launchProfile } = decision;
  return { score, tier, grantedTier, tierState: state, grant, launchProfile, logIndex };
}

/** The subject of a decision about a revision that is not running. */
export function startSubject(
  name: string,
  revision: Revision,
  assessed: Pick<Running, 'findings' | 'publishers' | 'override'>,
): DecisionSubject {
  const { artifact, policy, request } = revision;
  return { name, artifact, policy, request: resourcesOf(request), ...assessed, tierState: null, bound: null };
}

/** The subject of the next decision about a workload that runs or will run again. */
export function runningSubject(running: Running, bound: DecisionSubject['bound']): DecisionSubject {
  const { name, revision, findings, publishers, override, standing } = running;
  return { ...startSubject(name, revision, { findings, publishers, override }), tierState: standing.tierState, bound };
}
