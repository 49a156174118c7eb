// How workloads end: what is taken off the host, what is said, what is forgotten.
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

import { exitStatus, messageOf } from '../base/index.ts';
import { withLaunch } from '../policy/index.ts';
import type { Exit } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { publish } from './publishing.ts';
import type { EndReason, Instance, Running } from './running.ts';
import { saveWorkload } from './workload-store.ts';

/** Takes everything of the present instance off the host and says how it ended. */
export async function settle(
  context: EngineContext,
  running: Running,
  exit: Exit & { readonly reason: string },
  options: { readonly final: boolean },
): Promise<void> {
  const { instance } = running;
  if (instance === null) return;
  // Its first process has ended; nothing that it started may outlive it, nor go on while its end is being told.
  await instance.sandbox.kill();
  running.instance = null;
  running.exit = exit;
  running.usage = null;
  running.cleanSinceMs = null;
  running.state = options.final ? 'exited' : 'restarting';
  running.standing = { ...running.standing, tierState: withLaunch(running.standing.tierState, null) };
  if (options.final) await release(context, running, instance);
  else context.inBackground(releaseLater(context, running, instance));
  publish(context, running, {
    event: 'exited',
    code: exit.code,
    signal: exit.signal,
    reason: exit.reason,
    final: options.final,
  });
  saveWorkload(context, running);
}

/**
 * Lets what follows go first: taking links and mounts away takes the kernel a tenth of a second, in which it makes no others. The
 * published ports are free at once.
 */
async function releaseLater(context: EngineContext, running: Running, instance: Instance): Promise<void> {
  context.network.unpublish(instance.id);
  await delay(RELEASE_DELAY_MS);
  await release(context, running, instance);
}

/** Longer than a start takes. */
const RELEASE_DELAY_MS = 500;

/**
 * Removes the group, mounts, link and files of an instance that has ended. What cannot be
 * removed now the next supervisor clears away: that the workload has ended is said in any case.
 */
async function release(context: EngineContext, { name }: Running, instance: Instance): Promise<void> {
  try {
    context.sensor.unwatch(instance.sandbox.cgroupId);
    await context.network.detach(instance.id);
    await instance.sandbox.remove();
    context.store.instances.delete({ id: instance.id });
  } catch (error) {
    context.log.error(
      { workload: name, instance: instance.id, error: messageOf(error) },
      'cannot take it off the host',
    );
  }
}

/** Ends the present instance on purpose: signal, patience, SIGKILL for all. Call it inside the workload's lane. */
export async function end(
  context: EngineContext,
  running: Running,
  options: { readonly reason: EndReason; readonly graceMs: number; readonly final: boolean },
): Promise<void> {
  const { instance } = running;
  if (instance === null) {
    if (options.final) settleWithoutInstance(context, running, options.reason);
    return;
  }
  running.ending = options.reason;
  if (options.final) running.state = 'stopping';
  const exit = await endInstance(running, instance, options.graceMs);
  await settle(context, running, { ...exit, reason: options.reason }, options);
}

/** A workload that waits for its restart has no instance to end, only a future to lose. */
function settleWithoutInstance(context: EngineContext, running: Running, reason: EndReason): void {
  if (running.state !== 'restarting') return;
  running.state = 'exited';
  const { code, signal } = running.exit ?? { code: 0, signal: null };
  publish(context, running, { event: 'exited', code, signal, reason, final: true });
  saveWorkload(context, running);
}

async function endInstance(running: Running, instance: Instance, graceMs: number): Promise<Exit> {
  const ended = instance.sandbox.wait();
  if (graceMs > 0 && !instance.sandbox.isFrozen()) {
    instance.sandbox.signal(stopSignal(running));
    if (await endsWithin(ended, graceMs)) return ended;
  }
  await instance.sandbox.kill();
  return ended;
}

function stopSignal({ revision: { artifact } }: Running): number {
  const named = artifact.config.stopSignal ?? 'SIGTERM';
  if (/^\d{1,2}$/.test(named)) return Number(named);
  const name = named.startsWith('SIG') ? named : `SIG${named}`;
  return constants.signals[name as NodeJS.Signals] ?? constants.signals.SIGTERM;
}

async function endsWithin(ended: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([ended.then(() => true), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Forgets a workload that has ended, with its logs. Call it inside the lane; does nothing when the name is another's by now. */
export function forget(context: EngineContext, running: Running): void {
  if (context.workloads.get(running.name) !== running || running.instance !== null) return;
  context.workloads.delete(running.name);
  context.store.transaction(() => forgetRows(context, running.name));
  rmSync(context.home.workloadDir(running.name), { recursive: true, force: true });
}

function forgetRows(context: EngineContext, name: string): void {
  context.store.workloads.delete({ name });
  context.store.overrides.delete({ workload: name });
  for (const { number } of context.store.revisions.list({ workload: name }))
    context.store.revisions.delete({ workload: name, number });
  context.store.idRanges.release(name);
}

/** Stops a workload because a person asked. */
export async function stop(context: EngineContext, running: Running, timeoutMs: number | null): Promise<void> {
  const graceMs = timeoutMs ?? running.revision.request.stopTimeoutMs;
  await running.lane.run(() => endForGood(context, running, { reason: 'stopped', graceMs }));
}

/** Ends a workload, and forgets it when it was to be removed at its end. Call it inside the lane. */
export async function endForGood(
  context: EngineContext,
  running: Running,
  options: { readonly reason: EndReason; readonly graceMs: number },
): Promise<void> {
  await end(context, running, { ...options, final: true });
  if (running.revision.request.removeAtExit) forget(context, running);
}

/** Removes a workload; a running one only with `force`. */
export async function remove(context: EngineContext, running: Running, force: boolean): Promise<void> {
  await running.lane.run(async () => {
    const isActive = running.instance !== null || running.state === 'restarting';
    if (isActive && !force) {
      throw new EngineError('ENGINE_STATE', `${running.name} is running`, {
        exit: exitStatus.usage,
        hint: `Stop it first: provost stop ${running.name}; or say --force.`,
      });
    }
    await end(context, running, { reason: 'removed', graceMs: 0, final: true });
    forget(context, running);
  });
}
