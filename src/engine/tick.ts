// The clockwork of the loop: which workloads have a window that ends now, and one reading of the host for all of them.
import { messageOf } from '../base/index.ts';
import type { NetworkStats } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { monitorRuntimeBehavior } from './monitoring.ts';
import type { Instance, Running } from './running.ts';

/** A workload that starts meanwhile, or whose lane is free again, is looked at after this at the latest. */
const LONGEST_WAIT_MS = 100;
/** Audit events that wait for the end of a window: far above what any rule counts to. */
const AUDIT_EVENTS_MAX = 4096;

/** A running loop; `stop` resolves once the tick under way has ended. */
export interface Loop {
  stop(): Promise<void>;
}

/** Starts the loop. A tick that fails is logged, and the next one comes all the same. */
export function startLoop(context: EngineContext): Loop {
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let underWay: Promise<void> = Promise.resolve();
  const next = (): void => {
    if (stopped) return;
    timer = setTimeout(turn, msToNextDue(context));
  };
  const turn = (): void => {
    underWay = tick(context)
      .catch((error: unknown) => context.log.error({ error: messageOf(error) }, 'a tick failed'))
      .finally(next);
  };
  next();
  return {
    stop: async () => {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await underWay;
    },
  };
}

function windowMs(running: Running): number {
  return running.revision.policy.windows[`${running.standing.grant.logging}Ms`];
}

/**
 * Windows end at whole multiples of their length, so that one reading of the host serves all that are due; the first of an instance
 * takes from half to one and a half of it.
 */
function dueMs(running: Running, instance: Instance): number {
  const length = windowMs(running);
  const raw = instance.windowStartMs + length * 1.5;
  return raw - (raw % length);
}

/** A workload between two instances is not watched; one that was asked to end is, until it has. */
function isWatched({ instance, lane, ending }: Running): boolean {
  return instance !== null && (!lane.isBusy || ending !== null);
}

/** A clock that was set back makes every window due: nobody goes unwatched until the clock has caught up. */
function isDue(running: Running, nowMs: number): boolean {
  const { instance } = running;
  if (instance === null || !isWatched(running)) return false;
  return dueMs(running, instance) <= nowMs || instance.windowStartMs > nowMs;
}

function msToNextDue(context: EngineContext): number {
  const nowMs = context.clock.nowMs();
  let nearest = nowMs + LONGEST_WAIT_MS;
  for (const running of context.workloads.values()) {
    if (running.instance !== null && isWatched(running)) nearest = Math.min(nearest, dueMs(running, running.instance));
  }
  return Math.max(1, nearest - nowMs);
}

/** One turn: reads the host once, then judges every workload whose window has ended. */
export async function tick(context: EngineContext): Promise<void> {
  const nowMs = context.clock.nowMs();
  const due = [...context.workloads.values()].filter((running) => isDue(running, nowMs));
  if (due.length === 0) return;
  collectReadings(context);
  const network = await context.network.stats();
  // Side by side: what one has to wait for (the journal, a freezer) keeps no other from falling at once.
  await Promise.all(due.map((running) => watchOne(context, running, network)));
  context.memory.save(nowMs);
  context.publishers.saveSometimes(nowMs);
}

async function watchOne(
  context: EngineContext,
  running: Running,
  network: ReadonlyMap<string, NetworkStats>,
): Promise<void> {
  const { instance } = running;
  if (instance === null || !isWatched(running)) return;
  try {
    await monitorRuntimeBehavior(context, running, network.get(instance.id) ?? null);
  } catch (error) {
    // One workload's trouble must not leave the others unwatched; one that ends just now has no window any more.
    if (running.instance === instance)
      context.log.error({ workload: running.name, error: messageOf(error) }, 'a window could not be judged');
  }
}

/** The sensor hands out what it counted once; each workload keeps its share until its own window ends. */
function collectReadings(context: EngineContext): void {
  const readings = context.sensor.read();
  for (const running of context.workloads.values()) {
    const { instance } = running;
    const reading = instance === null ? undefined : readings.get(instance.sandbox.cgroupId);
    if (instance === null || reading === undefined) continue;
    instance.reading = instance.reading === null ? reading : mergeReadings(instance.reading, reading);
  }
}

type Reading = NonNullable<Instance['reading']>;

function mergeReadings(first: Reading, second: Reading): Reading {
  const grams = [first.grams, second.grams].filter((counts) => counts !== undefined);
  const compatCalls = [first.compatCalls, second.compatCalls].filter((count) => count !== undefined);
  return {
    syscalls: sumCounts([first.syscalls, second.syscalls]),
    ...(grams.length === 0 ? {} : { grams: sumCounts(grams) }),
    ...(compatCalls.length === 0 ? {} : { compatCalls: compatCalls.reduce((sum, count) => sum + count, 0) }),
    audit: [...first.audit, ...second.audit].slice(0, AUDIT_EVENTS_MAX),
    kept: Math.min(first.kept, second.kept),
  };
}

function sumCounts(all: readonly ReadonlyMap<number, number>[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const counts of all) for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
  return sums;
}
