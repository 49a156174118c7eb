// Streams of events: kept ones first, then live ones, none twice and none left out.
import type { WorkloadEvent } from '../api/index.ts';
import type { EngineContext } from './context.ts';
import type { EventFilter } from './engine.ts';
import type { EventListener } from './event-bus.ts';

const STEP = 500;

/** See `Engine.subscribe`. Synchronous up to the live part, so that nothing can happen in between. */
export function subscribe(context: EngineContext, filter: EventFilter, listener: EventListener): Disposable {
  if (filter.afterSeq !== null) sendKept(context, filter.workload, filter.afterSeq, listener);
  return context.events.subscribe((numbered) => {
    if (filter.workload === null || numbered.event.workload === filter.workload) listener(numbered);
  });
}

function sendKept(context: EngineContext, workload: string | null, afterSeq: number, listener: EventListener): void {
  let from = afterSeq;
  for (;;) {
    const rows = context.store.events.list({ afterSeq: from, workload, limit: STEP });
    for (const row of rows) listener({ seq: row.seq, event: row.document as WorkloadEvent });
    const last = rows.at(-1);
    if (last === undefined || rows.length < STEP) return;
    from = last.seq;
  }
}
