// Turns a grant into what the kernel holds. Falls are enforced first and logged in the same tick; raises are logged first.
import type { ActionDocument } from '../api/index.ts';
import { type Grant, type LiveGrant, liveGrantOf } from '../policy/index.ts';
import type { EngineContext } from './context.ts';
import type { Instance, Running } from './running.ts';

/** What the kernel holds of a grant's live part, in one flat document; read from it at this moment. */
export async function kernelState(context: EngineContext, instance: Instance | null): Promise<Record<string, unknown>> {
  if (instance === null) return {};
  const { cpuMillicores, memoryBytes, pids } = instance.sandbox.effective();
  const network = await context.network.mode(instance.id);
  return { cpuMillicores, memoryBytes, pids, ...(network ?? instance.network), frozen: instance.sandbox.isFrozen() };
}

/** What could not be reached yet, with its target. */
export function pendingOf(instance: Instance | null): Record<string, number> {
  const target = instance?.effective.pending.memoryBytes;
  return target === undefined ? {} : { memoryBytes: target };
}

/** Whether an incident that nobody has resolved yet did this to the workload's present revision. */
export function isHeldBy(
  context: EngineContext,
  { name, revision, createdMs }: Running,
  kind: ActionDocument['kind'],
): boolean {
  for (const incident of context.incidents.values()) {
    // The same name and number may have been another workload's, which was removed.
    const isOwn =
      incident.workload === name && incident.revision === revision.number && Date.parse(incident.opened) >= createdMs;
    if (!isOwn || incident.state === 'resolved') continue;
    if (incident.actions.some((action) => action.kind === kind && action.enforced && action.ok)) return true;
  }
  return false;
}

/** The live part of a grant; without a network while an incident that cut it off is open. */
export function liveOf(context: EngineContext, running: Running, grant: Grant): LiveGrant {
  const live = liveGrantOf(grant);
  if (live.network === 'isolated' || !isHeldBy(context, running, 'isolate-network')) return live;
  return { ...live, network: 'isolated', rateBitsPerSecond: null };
}

/**
 * Applies the live part of a grant to a running instance and reads it back. The limits are three synchronous writes; the
 * network mode follows, as the kernel then reports it.
 */
export async function applyLive(context: EngineContext, running: Running, grant: Grant): Promise<void> {
  const { instance } = running;
  if (instance === null) return;
  const live = liveOf(context, running, grant);
  // Cutting the network is the most urgent part of a fall: its request is under way before the limits are written.
  const network = isSameNetwork(instance, live)
    ? null
    : context.network.setMode(instance.id, live.network, live.rateBitsPerSecond);
  applyLimits(context, instance, live);
  context.sensor.watch(instance.sandbox.cgroupId, live.logging);
  await network;
  if (network !== null) instance.network = { network: live.network, rateBitsPerSecond: live.rateBitsPerSecond };
}

/** Writes the limits alone, and notes since when one of them could not be reached. */
export function applyLimits(context: EngineContext, instance: Instance, live: LiveGrant): void {
  instance.effective = instance.sandbox.apply(live);
  const isPending = instance.effective.pending.memoryBytes !== undefined;
  instance.pendingSinceMs = isPending ? (instance.pendingSinceMs ?? context.clock.nowMs()) : null;
}

function isSameNetwork(instance: Instance, live: LiveGrant): boolean {
  return instance.network.network === live.network && instance.network.rateBitsPerSecond === live.rateBitsPerSecond;
}
