// Room for a start: it is there, or is made by shrinking what is trusted less, or the start is refused with the numbers.
import { exitStatus } from '../base/index.ts';
import type { Shrink } from '../policy/index.ts';
import { allocateResources } from './allocating.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { holdRoom, planRoom, type Want } from './sharing.ts';

/**
 * Makes room for a start and keeps it until the result is disposed: memory is never promised twice.
 *
 * @throws EngineError ENGINE_CAPACITY with the numbers; what was shrunk for it grows back by itself
 */
export async function makeRoom(context: EngineContext, want: Want): Promise<Disposable> {
  const plan = planRoom(context, want);
  if (plan.kind === 'refused') throw noRoom(plan.reasons);
  const room = holdRoom(context, want);
  if (plan.shrink.length === 0) return room;
  await shrinkOthers(context, plan.shrink);
  // Memory in use cannot be taken back at once: only what the kernel confirmed counts.
  const after = planRoom(context, want);
  if (after.kind === 'fits' && after.shrink.length === 0) return room;
  room[Symbol.dispose]();
  const names = plan.shrink.map(({ id }) => id).join(', ');
  throw noRoom(after.kind === 'refused' ? after.reasons : [`memory that ${names} should give up is in use`]);
}

/** Shrinks running workloads, as planned; each is a restriction, so it is enforced at once, and ends when room is free again. */
async function shrinkOthers(context: EngineContext, shrink: readonly Shrink[]): Promise<void> {
  for (const { id, cpuMillicores, memoryBytes } of shrink) {
    const running = context.workloads.get(id);
    if (running !== undefined && running.instance !== null) {
      const bound = { cpuMillicores, memoryBytes };
      const { told } = await allocateResources(context, running, { window: null, bound });
      await told;
    }
  }
}

function noRoom(reasons: readonly string[]): EngineError {
  return new EngineError('ENGINE_CAPACITY', reasons.join('; '), {
    exit: exitStatus.denied,
    hint: 'Stop something, ask for less, or let the policy shrink what is trusted less (scheduler.shrinkLower).',
    details: { reasons },
  });
}
