// The spec's allocateResources, over a running workload: decide, enforce, log, say.
import { messageOf } from '../base/index.ts';
import {
  type Capacity,
  type Grant,
  isSameLive,
  type LiveGrant,
  liveGrantOf,
  type NetworkMode,
  tierRank,
} from '../policy/index.ts';
import type { Trigger } from '../response/index.ts';
import type { EngineContext } from './context.ts';
import { type Decided, decideNow, type JudgedWindow, recordDecision, runningSubject, standingOf } from './deciding.ts';
import { applyLive, kernelState, pendingOf } from './enforcing.ts';
import { keepRunning } from './instance-store.ts';
import { publish } from './publishing.ts';
import type { Running, Standing } from './running.ts';
import { boundFor } from './sharing.ts';
import { saveWorkload } from './workload-store.ts';

/** What a decision came to: what asks for a response, and what must be done whatever the policy's responses say. */
export interface Allocated {
  readonly triggers: readonly Trigger[];
  /** What the kernel held before a fall was enforced; null when nothing was. */
  readonly before: Record<string, unknown> | null;
  /** Milliseconds that enforcing the fall took. */
  readonly applyMs: number;
  /** The grant needs a stronger sandbox than the one that runs. */
  readonly mustRelaunch: boolean;
  /** Why it may not run at all; null when it may. */
  readonly refusal: readonly string[] | null;
  /** A fall is in the journal and was told; what contains it further does not wait for that. */
  readonly told: Promise<void>;
}

const UNCHANGED: Allocated = {
  triggers: [],
  before: null,
  applyMs: 0,
  mustRelaunch: false,
  refusal: null,
  told: Promise.resolve(),
};
const TOO_WEAK: Allocated = { ...UNCHANGED, mustRelaunch: true };

export interface AllocateOptions {
  /** The window that led to it; null when something else than behaviour changed. */
  readonly window: JudgedWindow | null;
  /** What the scheduler leaves to it, now that another needs room; null: what there is. */
  readonly bound: Capacity | null;
}

/**
 * Decides what a workload may have now, and makes the kernel hold it. A restriction is enforced before it is logged; everything
 * else is logged, durably, before it is enforced. Answers what asks for a response.
 */
export async function allocateResources(
  context: EngineContext,
  running: Running,
  options: AllocateOptions,
): Promise<Allocated> {
  const fromMs = context.clock.monotonicMs();
  const decided = decideWithinRoom(context, running, options);
  const decideMs = context.clock.monotonicMs() - fromMs;
  const before = running.standing;
  const after = standingOf(decided, before.logIndex);
  if (after === null) return refuse(context, running, decided);
  const mustRelaunch = decided.outcome.decision.kind === 'granted' && decided.outcome.decision.relaunch;
  if (isSameGrant(before.grant, after.grant) && before.grantedTier === after.grantedTier) {
    running.standing = { ...after, grant: before.grant };
    return mustRelaunch && running.falling === null ? TOO_WEAK : UNCHANGED;
  }
  const change = { decided, before, after, decideMs };
  if (!isRestriction(before, after)) {
    await logThenEnforce(context, running, change);
    return mustRelaunch ? TOO_WEAK : UNCHANGED;
  }
  const enforced = await enforceThenLog(context, running, change);
  const isFall = before.grantedTier !== after.grantedTier;
  const trigger: Trigger = {
    kind: 'tier-change',
    from: before.grantedTier,
    to: after.grantedTier,
    score: after.score.score,
  };
  return { ...enforced, triggers: isFall ? [trigger] : [], mustRelaunch, refusal: null };
}

/** The policy lets it run in no form any more. Nothing that is granted changes: what runs must end. */
async function refuse(context: EngineContext, running: Running, decided: Decided): Promise<Allocated> {
  const { reasons } = decided.outcome.decision;
  if (running.reported.has(REFUSED)) return UNCHANGED;
  await attemptLog(context, running, decided);
  return { ...UNCHANGED, refusal: reasons };
}

/** Under what name an instance's refusal is remembered, so that it is answered once. */
export const REFUSED = 'refused/medium';

/** A raise that the host has no room for keeps what it holds; the decision says that it was bound. */
function decideWithinRoom(context: EngineContext, running: Running, { window, bound }: AllocateOptions): Decided {
  const decided = decideNow(context, runningSubject(running, bound), window);
  const { decision } = decided.outcome;
  if (decision.kind === 'refused' || bound !== null) return decided;
  const held = boundFor(context, running, decision.grant, decision.grantedTier);
  return held === null ? decided : decideNow(context, runningSubject(running, held), window);
}

interface Change {
  readonly decided: Decided;
  readonly before: Standing;
  readonly after: Standing;
  readonly decideMs: number;
}

/** Within one revision only the live part and the isolation can differ. */
function isSameGrant(a: Grant, b: Grant): boolean {
  return a.isolation === b.isolation && isSameLive(liveGrantOf(a), liveGrantOf(b));
}

/** A lower tier, or the same with nothing more and something less. */
function isRestriction(before: Standing, after: Standing): boolean {
  const ranks = tierRank(after.grantedTier) - tierRank(before.grantedTier);
  return ranks < 0 || (ranks === 0 && !isMore(liveGrantOf(before.grant), liveGrantOf(after.grant)));
}

const networkRank: Readonly<Record<NetworkMode, number>> = { isolated: 0, rateLimited: 1, unrestricted: 2 };

function isMore(before: LiveGrant, after: LiveGrant): boolean {
  return (
    after.cpuMillicores > before.cpuMillicores ||
    after.memoryBytes > before.memoryBytes ||
    after.pids > before.pids ||
    networkRank[after.network] > networkRank[before.network] ||
    (after.rateBitsPerSecond ?? 0) > (before.rateBitsPerSecond ?? 0)
  );
}

async function enforceThenLog(
  context: EngineContext,
  running: Running,
  change: Change,
): Promise<Pick<Allocated, 'before' | 'applyMs' | 'told'>> {
  running.standing = change.after;
  const enforced = enforceFall(context, running, change.after.grant);
  const told = enforced.then(({ applyMs }) => tellFall(context, running, change, applyMs));
  const falling = Promise.allSettled([told]).then(() => {
    if (running.falling === falling) running.falling = null;
  });
  running.falling = falling;
  return { ...(await enforced), told };
}

async function enforceFall(
  context: EngineContext,
  running: Running,
  grant: Grant,
): Promise<Pick<Allocated, 'applyMs'> & { readonly before: Record<string, unknown> }> {
  const before = await kernelState(context, running.instance);
  return { before, applyMs: await enforce(context, running, grant) };
}

async function tellFall(context: EngineContext, running: Running, change: Change, applyMs: number): Promise<void> {
  const logIndex = await attemptLog(context, running, change.decided);
  await finish(context, running, change, { applyMs, logIndex });
}

/** A restriction holds whether or not the journal takes it: what follows from it must not wait for a full disk. */
async function attemptLog(context: EngineContext, running: Running, decided: Decided): Promise<number> {
  try {
    // At once all the same: no instruction of what follows from a fall runs before it is in the journal.
    return await recordDecision(context, running, decided, { flush: true });
  } catch (error) {
    context.log.error(
      { workload: running.name, error: messageOf(error) },
      'a restriction was enforced, but could not be logged',
    );
    return running.standing.logIndex;
  }
}

async function logThenEnforce(context: EngineContext, running: Running, change: Change): Promise<void> {
  const { instance } = running;
  const logIndex = await recordDecision(context, running, change.decided, { flush: true });
  // While the disk was written, a fall or another instance may have come between: the raise was decided for what is no more.
  if (running.standing !== change.before || running.instance !== instance) return;
  running.standing = change.after;
  const applyMs = await enforce(context, running, change.after.grant);
  await finish(context, running, change, { applyMs, logIndex });
}

/** Milliseconds until the kernel confirmed; nothing is touched in `observe`. */
async function enforce(context: EngineContext, running: Running, grant: Grant): Promise<number> {
  if (running.revision.mode === 'observe') return 0;
  const fromMs = context.clock.monotonicMs();
  await applyLive(context, running, grant);
  return context.clock.monotonicMs() - fromMs;
}

async function finish(
  context: EngineContext,
  running: Running,
  change: Change,
  done: { readonly applyMs: number; readonly logIndex: number },
): Promise<void> {
  const effective = await kernelState(context, running.instance);
  // A later decision may stand already: it keeps its own.
  if (running.standing.grant === change.after.grant)
    running.standing = { ...running.standing, logIndex: done.logIndex };
  if (running.instance !== null) keepRunning(context, running, running.instance);
  saveWorkload(context, running);
  publish(context, running, {
    event: 'grant',
    from: copyGrant(change.before.grant),
    to: copyGrant(change.after.grant),
    fromTier: change.before.grantedTier,
    toTier: change.after.grantedTier,
    effective,
    pending: pendingOf(running.instance),
    enforced: running.revision.mode === 'enforce',
    reason: reasonOf(change),
    score: change.after.score.score,
    decideMs: change.decideMs,
    applyMs: done.applyMs,
    logIndex: done.logIndex,
  });
}

function reasonOf({ decided, before, after }: Change): string {
  const { decision } = decided.outcome;
  const said = decision.reasons.join('; ');
  if (said !== '') return said;
  if (decided.input.bound !== null) return 'the host has no room for more';
  return `score went from ${before.score.score.toFixed(3)} to ${after.score.score.toFixed(3)}`;
}

/** The wire's arrays are mutable, a grant's are not. */
export function copyGrant(
  grant: Grant,
): Grant & { ports: Grant['ports'][number][]; mounts: Grant['mounts'][number][] } {
  return { ...grant, ports: [...grant.ports], mounts: [...grant.mounts] };
}
