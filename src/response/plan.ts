// What can trigger a response, and the actions that a plan is made of: the policy's rules applied to what happened. Pure.

import type { Severity } from '../behaviour/index.ts';
import { type Grant, matchResponses, type Policy, type ResponseFacts, type Tier } from '../policy/index.ts';

/** Something that asks for a response. */
export type Trigger =
  | { readonly kind: 'tier-change'; readonly from: Tier; readonly to: Tier; readonly score: number }
  | { readonly kind: 'violation'; readonly rule: string; readonly severity: Severity; readonly reason: string }
  | {
      readonly kind: 'alarm';
      readonly anomaly: number;
      readonly severity: Severity;
      readonly reasons: readonly string[];
    }
  | { readonly kind: 'revocation'; readonly keyId: string; readonly severity: Severity };

export type ActionKind = 'restrict' | 'isolate-network' | 'freeze' | 'relaunch' | 'terminate' | 'rollback' | 'alert';

/** One planned action, with the reason that the incident will carry. */
export interface Action {
  readonly kind: ActionKind;
  readonly reason: string;
  /** For `restrict` and `relaunch`. */
  readonly grant: Grant | null;
}

/** Actions in the order in which they are carried out: what is done in milliseconds first, what a person reads last. */
export const actionOrder: readonly ActionKind[] = [
  'restrict',
  'isolate-network',
  'freeze',
  'terminate',
  'relaunch',
  'rollback',
  'alert',
];

/** What a plan needs to know of the workload. */
export interface ResponseContext {
  /** What the workload may have from now on. */
  readonly grant: Grant;
  /** Whether there is a revision to roll back to. */
  readonly hasGoodRevision: boolean;
}

/**
 * Plans what is done about one trigger: every response of the policy whose condition holds adds its actions; one of a kind, in
 * {@link actionOrder}. A condition that fails to evaluate counts as holding.
 */
export function planResponse(trigger: Trigger, context: ResponseContext, policy: Policy): Action[] {
  const reason = reasonOf(trigger);
  const actions = matchResponses(policy, factsOf(trigger)).flatMap((response) =>
    response.do.map((kind) => actionOf(kind, context, `${reason} (rule ${response.id})`)),
  );
  return mergePlans([actions]);
}

/** Joins the plans of triggers that came together, the more severe first: one action of a kind, in {@link actionOrder}. */
export function mergePlans(plans: readonly (readonly Action[])[]): Action[] {
  const byKind = new Map<ActionKind, Action>();
  for (const action of plans.flat()) if (!byKind.has(action.kind)) byKind.set(action.kind, action);
  // What is ended, or replaced by another revision, is not started again in another sandbox.
  if (byKind.has('terminate') || byKind.has('rollback')) byKind.delete('relaunch');
  return actionOrder.flatMap((kind) => byKind.get(kind) ?? []);
}

function actionOf(kind: ActionKind, { grant, hasGoodRevision }: ResponseContext, reason: string): Action {
  // A rollback also ends what runs now. Where nothing can take its place, ending it is what remains.
  if (kind === 'rollback' && !hasGoodRevision) {
    return { kind: 'terminate', reason: `${reason}; there is no good revision to roll back to`, grant: null };
  }
  return { kind, reason, grant: kind === 'restrict' || kind === 'relaunch' ? grant : null };
}

const NO_FACTS: Omit<ResponseFacts, 'kind'> = {
  severity: '',
  from: '',
  to: '',
  score: 0,
  anomaly: 0,
  rule: '',
  keyId: '',
};

function factsOf(trigger: Trigger): ResponseFacts {
  switch (trigger.kind) {
    case 'tier-change':
      return { ...NO_FACTS, kind: trigger.kind, from: trigger.from, to: trigger.to, score: trigger.score };
    case 'violation':
      return { ...NO_FACTS, kind: trigger.kind, severity: trigger.severity, rule: trigger.rule };
    case 'alarm':
      return { ...NO_FACTS, kind: trigger.kind, severity: trigger.severity, anomaly: trigger.anomaly };
    case 'revocation':
      return { ...NO_FACTS, kind: trigger.kind, severity: trigger.severity, keyId: trigger.keyId };
    default:
      return trigger satisfies never;
  }
}

/** Characters of a reason: it becomes part of every incident and alert. */
const REASON_CHARS_MAX = 500;

/** Why a trigger asks for a response, in one clause. */
export function reasonOf(trigger: Trigger): string {
  return clauseOf(trigger).slice(0, REASON_CHARS_MAX);
}

function clauseOf(trigger: Trigger): string {
  switch (trigger.kind) {
    case 'tier-change':
      return `the tier went from ${trigger.from} to ${trigger.to} at score ${trigger.score.toFixed(3)}`;
    case 'violation':
      return `${trigger.rule}: ${trigger.reason}`;
    case 'alarm':
      return `behaviour is unusual (anomaly ${trigger.anomaly.toFixed(3)}): ${trigger.reasons.join('; ')}`;
    case 'revocation':
      return `key ${trigger.keyId.slice(0, 12)} was revoked`;
    default:
      return trigger satisfies never;
  }
}
