// One window of one workload: the spec's monitorRuntimeBehavior.
import type { UsageDocument } from '../api/index.ts';
import { judge, type Window } from '../behaviour/index.ts';
import type { Trigger } from '../response/index.ts';
import { collectWindow, isActive, type NetworkStats } from '../sandbox/index.ts';
import { type RuntimeState, type RuntimeStep, type RuntimeVerdict, stepRuntime } from '../trust/index.ts';
import { writeAudit } from './audit-log.ts';
import type { EngineContext } from './context.ts';
import { allocateResources } from './allocating.ts';
import { endForGood } from './ending.ts';
import { applyLimits, liveOf } from './enforcing.ts';
import { refreshReputation } from './incidents.ts';
import { endOverride } from './overriding.ts';
import { learnWhenCalm } from './learning.ts';
import type { LearningPhase } from './learning-phase.ts';
import { publish } from './publishing.ts';
import { openResponse, PENDING_MEMORY, respond, respondWith } from './responding.ts';
import { markGood } from './revisions.ts';
import type { Instance, Running } from './running.ts';

/**
 * Collects what a workload did in the window that ends now, judges it, folds the verdict into its trust, and allocates anew.
 * A window in which nothing happened and nothing is awaited costs a few reads and no more.
 */
export async function monitorRuntimeBehavior(
  context: EngineContext,
  running: Running,
  network: NetworkStats | null,
): Promise<void> {
  const { instance } = running;
  if (instance === null) return;
  endOverride(context, running, context.clock.nowMs());
  const metrics = collectMetrics(context, running, instance, network);
  const judged = detectAnomaly(context, running, instance, metrics);
  const phase = phaseOf(context, running);
  // What a person vouches for earns no trust: only windows that count as active raise it. All that lowers it, and the rules, stay.
  const verdict = phase === null ? judged : { ...judged, active: false };
  const { before, step } = updateTrustScore(context, running, verdict);
  learnWindow(context, running, instance, { phase, verdict: judged, metrics, step });
  running.anomaly = verdict.anomaly;
  running.usage = usageOf(metrics);
  // An incident of high severity caps the score in the very decision that this window leads to.
  const incident = openResponse(context, running, triggersOf(verdict, step));
  const allocated = await allocateResources(context, running, { window: { verdict, before }, bound: null });
  if (context.events.hasListeners) publishWindow(context, running, metrics, verdict);
  if (metrics.audit.length > 0) writeAudit(context, running, metrics.audit);
  await respond(context, running, incident, allocated);
  await keepPromises(context, running, instance);
  context.observeWindow?.({ workload: running.name, window: metrics, verdict });
}

function collectMetrics(
  context: EngineContext,
  running: Running,
  instance: Instance,
  network: NetworkStats | null,
): Window {
  const nowMs = context.clock.nowMs();
  const stats = instance.sandbox.stats();
  const window = collectWindow({
    startMs: instance.windowStartMs,
    endMs: nowMs,
    before: { stats: instance.stats, network: instance.netStats },
    after: { stats, network },
    reading: instance.reading,
    memory: instance.sandbox.takeMemoryLook({ nowMs, logging: running.standing.grant.logging, stats }),
    driver: instance.sandbox.record.driver,
  });
  instance.windowStartMs = nowMs;
  instance.stats = stats;
  instance.netStats = network;
  instance.reading = null;
  return window;
}

function detectAnomaly(context: EngineContext, running: Running, instance: Instance, metrics: Window): RuntimeVerdict {
  const { model } = context.memory.baselineOf(running.revision.artifact.digest, instance.sandbox.record.driver);
  return judge(model, metrics, { active: isActive(metrics), grant: running.standing.grant });
}

interface Update {
  readonly before: RuntimeState;
  readonly step: RuntimeStep;
}

function updateTrustScore(context: EngineContext, running: Running, verdict: RuntimeVerdict): Update {
  const { artifact, policy } = running.revision;
  const nowMs = context.clock.nowMs();
  const before = context.memory.runtimeOf(artifact.digest, policy);
  const step = stepRuntime(before, verdict, policy.runtime);
  context.memory.putRuntime(artifact.digest, step.state, nowMs);
  if (step.alarmed || verdict.violations.length > 0) running.cleanSinceMs = nowMs;
  if (step.state.cleanMs > before.cleanMs) earnForPublishers(context, running, verdict.durationMs);
  return { before, step };
}

interface Lesson {
  /** The learning phase that the window is part of; null: it is learnt in passing. */
  readonly phase: LearningPhase | null;
  readonly verdict: RuntimeVerdict;
  readonly metrics: Window;
  readonly step: RuntimeStep;
}

function learnWindow(context: EngineContext, running: Running, instance: Instance, lesson: Lesson): void {
  const { phase, verdict, metrics, step } = lesson;
  const { artifact, policy } = running.revision;
  const { driver } = instance.sandbox.record;
  const { alarmAt } = policy.runtime;
  const baseline = context.memory.baselineOf(artifact.digest, driver);
  const judgement = { verdict, window: metrics, step, alarmAt };
  const learnt = phase === null ? learnWhenCalm(baseline, judgement) : phase.take(baseline, { ...judgement, driver });
  if (learnt !== baseline) context.memory.putBaseline(artifact.digest, driver, learnt);
}

function phaseOf({ phases, clock }: EngineContext, { name, revision }: Running): LearningPhase | null {
  const phase = phases.get(revision.artifact.digest);
  return phase?.covers(revision.artifact.digest, name, clock.nowMs()) === true ? phase : null;
}

/** Clean active time speaks for whoever signed the code, too. */
function earnForPublishers(context: EngineContext, running: Running, durationMs: number): void {
  for (const publisher of running.publishers) context.publishers.addClean(publisher, durationMs);
  if (running.publishers.length > 0) refreshReputation(context, running);
}

function triggersOf(verdict: RuntimeVerdict, step: RuntimeStep): Trigger[] {
  const violations = verdict.violations.map(({ kind, severity, reason }): Trigger => ({
    kind: 'violation',
    rule: kind,
    severity,
    reason,
  }));
  if (!step.alarmed) return violations;
  return [...violations, { kind: 'alarm', anomaly: verdict.anomaly, severity: 'high', reasons: verdict.reasons }];
}

function publishWindow(context: EngineContext, running: Running, metrics: Window, verdict: RuntimeVerdict): void {
  publish(context, running, {
    event: 'window',
    anomaly: verdict.anomaly,
    score: running.standing.score.score,
    usage: usageOf(metrics),
    coverage: metrics.coverage,
    reasons: [...verdict.reasons],
  });
}

function usageOf(metrics: Window): UsageDocument {
  const seconds = Math.max(metrics.durationMs, 1) / 1000;
  let calls = 0;
  for (const count of metrics.syscalls.values()) calls += count;
  return {
    cpuMillicores: metrics.cpuMs / seconds,
    memoryBytes: metrics.memoryBytes,
    pids: metrics.pids,
    rxBytesPerSecond: metrics.rxBytes / seconds,
    txBytesPerSecond: metrics.txBytes / seconds,
    readBytesPerSecond: metrics.readBytes / seconds,
    writeBytesPerSecond: metrics.writeBytes / seconds,
    syscallsPerSecond: calls / seconds,
    ...(metrics.begunFlows === undefined ? {} : { connectionsPerSecond: metrics.begunFlows / seconds }),
    ...(metrics.rebuffedFlows === undefined ? {} : { refusedPerSecond: metrics.rebuffedFlows / seconds }),
    ...(metrics.dnsQuestions === undefined ? {} : { dnsQuestionsPerSecond: metrics.dnsQuestions / seconds }),
  };
}

/** What is owed at the end of each window: a time limit, a limit that could not be reached yet, a revision that became good. */
async function keepPromises(context: EngineContext, running: Running, instance: Instance): Promise<void> {
  if (running.instance !== instance || running.ending !== null) return;
  const nowMs = context.clock.nowMs();
  if (instance.deadlineMs !== null && nowMs >= instance.deadlineMs) {
    context.inBackground(running.lane.run(() => endForGood(context, running, { reason: 'time limit', graceMs: 0 })));
    return;
  }
  if (instance.pendingSinceMs !== null) await retryPending(context, running, instance, nowMs);
  markGood(context, running, nowMs);
}

/** A memory limit below use shrinks with use; after the policy's grace a low workload is relaunched or ended. */
async function retryPending(
  context: EngineContext,
  running: Running,
  instance: Instance,
  nowMs: number,
): Promise<void> {
  if (running.revision.mode === 'observe') return;
  applyLimits(context, instance, liveOf(context, running, running.standing.grant));
  const { graceMs, next } = running.revision.policy.pendingMemory;
  const { pendingSinceMs } = instance;
  if (pendingSinceMs === null || nowMs - pendingSinceMs < graceMs || running.standing.grantedTier !== 'low') return;
  // Asked for once: the lane is busy with it from now on.
  instance.pendingSinceMs = nowMs;
  const evidence = [`memory in use is still above the limit ${nowMs - pendingSinceMs} ms after it was lowered`];
  await respondWith(context, running, { kind: PENDING_MEMORY, severity: 'medium', evidence, isFault: false }, [
    next,
    'alert',
  ]);
}
