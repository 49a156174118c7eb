// Events of a workload, stamped with its name and the time.
import type { WorkloadEvent } from '../api/index.ts';
import { rfc3339 } from '../base/index.ts';
import type { EngineContext } from './context.ts';

type WithoutStamp<Event> = Event extends WorkloadEvent ? Omit<Event, 'time' | 'workload'> : never;

/** Publishes one event of a workload and returns it. */
export function publish(
  context: EngineContext,
  workload: { readonly name: string },
  event: WithoutStamp<WorkloadEvent>,
): WorkloadEvent {
  const stamped = { time: rfc3339(context.clock.nowMs()), ...event, workload: workload.name };
  context.events.publish(stamped);
  return stamped;
}
