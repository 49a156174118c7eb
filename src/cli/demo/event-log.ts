// The events of the demo's supervisor, kept as they come, and a way to wait for one.
import { type EventOf, type WorkloadEvent, workloadEvent } from '../../api/index.ts';
import type { Client } from '../client.ts';
import { CliError } from '../cli-error.ts';

type Name = WorkloadEvent['event'];
type Listener = (event: WorkloadEvent, atMs: number) => void;

export class EventLog implements Disposable {
  readonly #events: WorkloadEvent[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;

  /** Begins to listen. @param signal ends every wait */
  constructor(client: Client, signal: AbortSignal) {
    this.#signal = signal;
    // A stream that breaks ends no demo: whoever waits for an event that cannot come says so.
    this.#listen(client).catch(() => undefined);
  }

  async #listen(client: Client): Promise<void> {
    for await (const { value } of client.events('/v1/events?after=0', this.#ending.signal)) {
      const event = workloadEvent.parse(value);
      const atMs = performance.now();
      this.#events.push(event);
      for (const listener of this.#listeners) listener(event, atMs);
    }
  }

  /** Calls back for each event from now on. */
  onEvent(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** All events of a kind of a workload so far. */
  of<N extends Name>(workload: string, name: N): EventOf<N>[] {
    return this.#events.filter((one): one is EventOf<N> => one.event === name && one.workload === workload);
  }

  /**
   * The first event of a kind, past or to come, that fits.
   *
   * @throws CliError CLI_DEMO when none came in time; the signal's reason when that ended the wait
   */
  async until<N extends Name>(
    workload: string,
    name: N,
    { fits = () => true, withinMs }: { readonly fits?: (event: EventOf<N>) => boolean; readonly withinMs: number },
  ): Promise<EventOf<N>> {
    const found = Promise.withResolvers<EventOf<N>>();
    const take = (): void => {
      const event = this.of(workload, name).find(fits);
      if (event !== undefined) found.resolve(event);
    };
    const timer = setTimeout(() => found.reject(neverCame(workload, name, withinMs)), withinMs);
    const stop = (): void => found.reject(this.#signal.reason);
    this.#signal.addEventListener('abort', stop);
    using _listening = this.onEvent(take);
    if (this.#signal.aborted) stop();
    take();
    try {
      return await found.promise;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', stop);
    }
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
  }
}

function neverCame(workload: string, name: string, withinMs: number): CliError {
  return new CliError('CLI_DEMO', `in ${withinMs / 1000} s no '${name}' came of workload ${workload}`, {
    hint: 'On a machine that is busy with other things, run it again when it is not; provost doctor looks for what is missing.',
  });
}
