// Carries out what the response room planned: the fast actions within milliseconds, the slow ones in the workload's lane.
import type { ActionDocument, IncidentDocument } from '../api/index.ts';
import { messageOf } from '../base/index.ts';
import { type Action, type ActionKind, mergePlans, planResponse, reasonOf, type Trigger } from '../response/index.ts';
import type { Severity } from '../trust/index.ts';
import { alertOf } from './alerting.ts';
import { type Allocated, REFUSED } from './allocating.ts';
import type { EngineContext } from './context.ts';
import { end } from './ending.ts';
import { applyLive, kernelState } from './enforcing.ts';
import { type IncidentSeed, logIncident, openIncident } from './incidents.ts';
import { keepRunning } from './instance-store.ts';
import { publish } from './publishing.ts';
import { isInItsSandbox, relaunch } from './relaunching.ts';
import { lastGoodRevision, rollBack, unmarkGood } from './revisions.ts';
import type { Running } from './running.ts';
import { saveWorkload } from './workload-store.ts';

/** Done at once, before anything is written down. */
const FAST: ReadonlySet<ActionKind> = new Set(['restrict', 'isolate-network', 'freeze']);

const severityRank: Readonly<Record<Severity, number>> = { low: 0, medium: 1, high: 2, critical: 3 };

/** The same finding in the same instance is answered again only after this time, or once a person has resolved it. */
const REPEAT_AFTER_MS = 60_000;

/** Something that is being responded to. */
export interface Response {
  readonly incident: IncidentDocument;
  readonly triggers: readonly Trigger[];
}

/** Opens an incident for what was found, most severe first; null when nothing was, or nothing that is not being dealt with already. */
export function openResponse(context: EngineContext, running: Running, triggers: readonly Trigger[]): Response | null {
  const fresh = triggers.filter((trigger) => !isReported(context, running, keyOf(trigger)));
  const sorted = fresh.toSorted((a, b) => severityRank[severityOf(b)] - severityRank[severityOf(a)]);
  const [worst] = sorted;
  if (worst === undefined) return null;
  const incident = openIncident(context, running, {
    kind: kindOf(worst),
    severity: severityOf(worst),
    evidence: sorted.map(reasonOf),
    isFault: sorted.some(({ kind }) => kind === 'violation' || kind === 'alarm'),
  });
  for (const trigger of sorted) {
    const key = keyOf(trigger);
    if (key !== null) running.reported.set(key, incident.id);
  }
  return { incident, triggers: sorted };
}

function isReported(context: EngineContext, running: Running, key: string | null): boolean {
  const incident = key === null ? undefined : context.incidents.get(running.reported.get(key) ?? '');
  if (incident === undefined || incident.state === 'resolved' || incident.actions.some(({ ok }) => !ok)) return false;
  const ageMs = context.clock.nowMs() - Date.parse(incident.opened);
  return ageMs >= 0 && ageMs < REPEAT_AFTER_MS;
}

/** Findings of one kind and severity are one; a change of tier is never a repetition. */
function keyOf(trigger: Trigger): string | null {
  return trigger.kind === 'tier-change' ? null : `${kindOf(trigger)}/${trigger.severity}`;
}

function kindOf(trigger: Trigger): string {
  return trigger.kind === 'violation' ? trigger.rule : trigger.kind;
}

function severityOf(trigger: Trigger): Severity {
  if (trigger.kind !== 'tier-change') return trigger.severity;
  return trigger.to === 'low' ? 'medium' : 'low';
}

/** Plans for everything of this tick, carries the plan out, and keeps it in one incident. */
export async function respond(
  context: EngineContext,
  running: Running,
  opened: Response | null,
  allocated: Allocated,
): Promise<void> {
  const response =
    opened ?? openResponse(context, running, allocated.triggers) ?? openForced(context, running, allocated);
  if (response !== null) {
    const triggers = opened === null ? response.triggers : [...opened.triggers, ...allocated.triggers];
    await carryOutPlan(context, running, {
      incident: response.incident,
      plan: planFor(context, running, triggers, allocated),
      allocated,
    });
  }
  await allocated.told;
}

/** What must be done although nothing triggered it: a sandbox that is too weak, code that may not run any more. */
function openForced(context: EngineContext, running: Running, { refusal, mustRelaunch }: Allocated): Response | null {
  const seed = refusal === null ? weakSandbox(running, mustRelaunch) : refusedSeed(refusal);
  if (seed === null) return null;
  const incident = openIncident(context, running, seed);
  if (refusal !== null) running.reported.set(REFUSED, incident.id);
  return { incident, triggers: [] };
}

function refusedSeed(refusal: readonly string[]): IncidentSeed {
  return { kind: 'refused', severity: 'medium', evidence: refusal, isFault: false };
}

function weakSandbox(running: Running, mustRelaunch: boolean): IncidentSeed | null {
  if (!mustRelaunch || running.revision.mode === 'observe') return null;
  const { grantedTier, grant, launchProfile } = running.standing;
  const evidence = [
    `tier ${grantedTier} runs in ${grant.isolation} with profile ${launchProfile}, and this sandbox is weaker`,
  ];
  return { kind: 'weak-sandbox', severity: 'medium', evidence, isFault: false };
}

/** The policy's responses, and what is done whatever they say. */
function planFor(
  context: EngineContext,
  running: Running,
  triggers: readonly Trigger[],
  { refusal, mustRelaunch }: Allocated,
): Action[] {
  const facts = { grant: running.standing.grant, hasGoodRevision: lastGoodRevision(context, running) !== null };
  const plans = triggers.map((trigger) => planResponse(trigger, facts, running.revision.policy));
  if (refusal !== null) plans.push(actionsOf(['isolate-network', 'freeze', 'terminate', 'alert'], refusal.join('; ')));
  // Relaunching in the stronger sandbox, or ending it, is not the policy's to leave out.
  if (mustRelaunch) plans.push(actionsOf(['relaunch'], 'its grant needs a stronger sandbox than the one that runs'));
  return mergePlans(plans);
}

function actionsOf(kinds: readonly ActionKind[], reason: string): Action[] {
  return kinds.map((kind) => ({ kind, reason, grant: null }));
}

/** An incident of the engine's own, with the actions that it asks for. */
export async function respondWith(
  context: EngineContext,
  running: Running,
  seed: IncidentSeed,
  kinds: readonly ActionKind[],
): Promise<void> {
  const incident = openIncident(context, running, seed);
  const plan = mergePlans([actionsOf(kinds, seed.evidence.join('; '))]);
  await carryOutPlan(context, running, { incident, plan, allocated: null });
}

interface Carried {
  readonly incident: IncidentDocument;
  readonly plan: readonly Action[];
  readonly allocated: Pick<Allocated, 'before' | 'applyMs' | 'told'> | null;
}

async function carryOutPlan(
  context: EngineContext,
  running: Running,
  { incident, plan, allocated }: Carried,
): Promise<void> {
  const done: ActionDocument[] = [];
  for (const action of plan) {
    if (!FAST.has(action.kind)) continue;
    const clamped = action.kind === 'freeze' ? null : allocated;
    done.push(await carryOut(context, running, { incident, action, clamped, isLast: false }));
  }
  if (running.instance !== null) keepRunning(context, running, running.instance);
  if (severityRank[incident.severity] >= severityRank.high) unmarkGood(context, running);
  const slow = plan.filter((action) => !FAST.has(action.kind));
  const logged = attemptLog(context, incident, done);
  // The loop goes on for the other workloads meanwhile; the lane keeps this one's life in order.
  if (slow.length > 0) context.inBackground(carryOutSlow(context, running, incident, slow));
  await Promise.allSettled([allocated?.told, logged]);
  publish(context, running, {
    event: 'incident',
    id: incident.id,
    severity: incident.severity,
    kind: incident.kind,
    evidence: incident.evidence,
    actions: plan.map((action) => action.kind),
  });
}

/** Actions follow also where the journal takes no entry any more. */
async function attemptLog(
  context: EngineContext,
  incident: IncidentDocument,
  done: readonly ActionDocument[],
): Promise<void> {
  try {
    await logIncident(context, incident, done);
  } catch (error) {
    context.log.error({ incident: incident.id, error: messageOf(error) }, 'an incident could not be logged');
  }
}

async function carryOutSlow(
  context: EngineContext,
  running: Running,
  incident: IncidentDocument,
  slow: readonly Action[],
): Promise<void> {
  const steps = slow.filter(({ kind }) => kind !== 'alert');
  if (steps.length > 0) await running.lane.run(() => carryOutSteps(context, running, incident, steps));
  // Whoever is told hears what was done; and a sink that hangs holds up nothing of the workload.
  for (const action of slow) {
    if (action.kind === 'alert')
      await attemptLog(context, incident, [
        await carryOut(context, running, { incident, action, clamped: null, isLast: false }),
      ]);
  }
}

async function carryOutSteps(
  context: EngineContext,
  running: Running,
  incident: IncidentDocument,
  steps: readonly Action[],
): Promise<void> {
  // While this waited for its turn, a person may have stopped, removed or replaced it.
  const isConcerned =
    running.revision.number === incident.revision && (running.instance !== null || running.state === 'restarting');
  if (!isConcerned || context.workloads.get(running.name) !== running) return;
  for (const action of steps) {
    const isLast = action === steps.at(-1);
    await attemptLog(context, incident, [
      await carryOut(context, running, { incident, action, clamped: null, isLast }),
    ]);
  }
  if (context.workloads.get(running.name) === running) saveWorkload(context, running);
}

interface Step {
  readonly incident: IncidentDocument;
  readonly action: Action;
  /** What the kernel held before the fall that this action is part of, and how long enforcing that took. */
  readonly clamped: Pick<Allocated, 'before' | 'applyMs'> | null;
  /** Nothing of the plan starts the workload again after this. */
  readonly isLast: boolean;
}

async function carryOut(context: EngineContext, running: Running, step: Step): Promise<ActionDocument> {
  const { action, clamped } = step;
  const before = clamped?.before ?? (await kernelState(context, running.instance));
  const fromMs = context.clock.monotonicMs();
  const enforced = running.revision.mode === 'enforce' || action.kind === 'alert';
  const error = enforced ? await attempt(() => perform(context, running, step)) : null;
  const tookMs = context.clock.monotonicMs() - fromMs + (clamped?.applyMs ?? 0);
  const after = await kernelState(context, running.instance);
  return {
    kind: action.kind,
    reason: action.reason,
    enforced,
    ok: error === null,
    error,
    before,
    after,
    tookMs,
    logIndex: null,
  };
}

/** An action that fails does not keep the next, stronger one from being tried; its error is in the incident. */
async function attempt(task: () => Promise<void>): Promise<string | null> {
  try {
    await task();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function perform(context: EngineContext, running: Running, { action, incident, isLast }: Step): Promise<void> {
  switch (action.kind) {
    case 'restrict':
      return applyLive(context, running, action.grant ?? running.standing.grant);
    case 'isolate-network':
      return isolate(context, running);
    case 'freeze':
      return freeze(running);
    case 'relaunch':
      return isInItsSandbox(running) && incident.kind !== PENDING_MEMORY ? undefined : relaunch(context, running);
    case 'terminate':
      await end(context, running, { reason: 'terminated', graceMs: 0, final: isLast });
      if (isLast) running.state = 'contained';
      return;
    case 'rollback':
      return rollBack(context, running, 'response');
    case 'alert':
      return alertOf(context, running.revision.policy, incident);
  }
}

/** The kind of an incident whose relaunch is not for the sandbox's sake. */
export const PENDING_MEMORY = 'pending-memory';

async function isolate(context: EngineContext, running: Running): Promise<void> {
  const { instance } = running;
  if (instance === null || instance.network.network === 'isolated') return;
  await context.network.setMode(instance.id, 'isolated', null);
  instance.network = { network: 'isolated', rateBitsPerSecond: null };
}

async function freeze(running: Running): Promise<void> {
  if (running.instance === null) return;
  await running.instance.sandbox.freeze();
  running.state = 'frozen';
}
