// The host's room: who holds how much of it, and whether there is room for more.
import { type Capacity, type Grant, type Holding, planCapacity, type Policy, type Tier } from '../policy/index.ts';
import type { EngineContext } from './context.ts';
import type { Running } from './running.ts';

export interface Want {
  readonly name: string;
  readonly policy: Policy;
  readonly grant: Grant;
  readonly tier: Tier;
}

/** What is held or promised: the grant, or what the kernel holds where that is still more. */
function holdings(context: EngineContext, exceptName: string): Holding[] {
  const byName = new Map<string, Holding>();
  for (const { name, standing, instance } of context.workloads.values()) {
    if (instance === null || name === exceptName) continue;
    const memoryBytes = Math.max(standing.grant.memory.bytes, instance.effective.memoryBytes);
    byName.set(name, {
      id: name,
      tier: standing.grantedTier,
      cpuMillicores: standing.grant.cpu.millicores,
      memoryBytes,
    });
  }
  for (const promise of context.promised) {
    if (promise.id !== exceptName) byName.set(promise.id, larger(promise, byName.get(promise.id)));
  }
  return [...byName.values()];
}

/** A revision that takes another's place holds the larger of both until it has. */
function larger(promise: Holding, held: Holding | undefined): Holding {
  if (held === undefined) return promise;
  return {
    ...promise,
    cpuMillicores: Math.max(promise.cpuMillicores, held.cpuMillicores),
    memoryBytes: Math.max(promise.memoryBytes, held.memoryBytes),
  };
}

/** Plans room for a grant: see `planCapacity`. */
export function planRoom(context: EngineContext, { name, policy, grant, tier }: Want): ReturnType<typeof planCapacity> {
  const want = { cpuMillicores: grant.cpu.millicores, memoryBytes: grant.memory.bytes, tier };
  return planCapacity({ policy, host: context.hostCapacity, running: holdings(context, name), want });
}

/** Keeps room for a start that is under way; disposing gives it back, when the running instance holds it itself or nothing does. */
export function holdRoom(context: EngineContext, { name, grant, tier }: Omit<Want, 'policy'>): Disposable {
  const promise: Holding = { id: name, tier, cpuMillicores: grant.cpu.millicores, memoryBytes: grant.memory.bytes };
  context.promised.add(promise);
  return { [Symbol.dispose]: () => void context.promised.delete(promise) };
}

/** What a workload is bound to when the host has no room for a larger grant: what it holds. Null when there is room. */
export function boundFor(context: EngineContext, running: Running, grant: Grant, tier: Tier): Capacity | null {
  const { name, revision, standing } = running;
  const held = { cpuMillicores: standing.grant.cpu.millicores, memoryBytes: standing.grant.memory.bytes };
  if (grant.cpu.millicores <= held.cpuMillicores && grant.memory.bytes <= held.memoryBytes) return null;
  const plan = planRoom(context, { name, policy: revision.policy, grant, tier });
  return plan.kind === 'fits' && plan.shrink.length === 0 ? null : held;
}
