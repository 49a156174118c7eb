// Events to whoever listens, and to the store for whoever comes later.
import type { WorkloadEvent } from '../api/index.ts';

/** An event with the number that a stream resumes from; windows are live only and carry the number of the last kept event. */
export interface NumberedEvent {
  readonly seq: number;
  readonly event: WorkloadEvent;
}

export type EventListener = (numbered: NumberedEvent) => void;

/** Keeps an event and returns its number; only `window` and `progress` are not kept. */
export type EventKeeper = (event: WorkloadEvent) => number;

/** Fans events out, in order, to listeners that must not throw. */
export class EventBus {
  readonly #listeners = new Set<EventListener>();
  readonly #keep: EventKeeper;
  #lastSeq: number;

  constructor(keep: EventKeeper, lastSeq: number) {
    this.#keep = keep;
    this.#lastSeq = lastSeq;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** True when somebody listens: windows of idle workloads are not even built otherwise. */
  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  publish(event: WorkloadEvent): number {
    if (event.event !== 'window' && event.event !== 'progress') this.#lastSeq = this.#keep(event);
    for (const listener of this.#listeners) listener({ seq: this.#lastSeq, event });
    return this.#lastSeq;
  }

  subscribe(listener: EventListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
