// What the sensor keeps of one watched cgroup between two reads: pure bookkeeping over cumulative counts.
import type { AuditEvent } from '../../behaviour/index.ts';
import type { Logging } from '../../policy/index.ts';
import type { SensorReading } from '../sensor.ts';
import type { CallCounts } from './call-counters.ts';
import { isEngineSocket } from './watched-path.ts';

/** Events that wait for one read; what is beyond counts as lost. At the kernel's limit that is more than three seconds' worth. */
const AUDIT_EVENTS_MAX = 4096;

/** What is kept of a window whose 3-grams were asked for and not counted: the calls are known, their order is not. */
export const GRAMS_MISSING_KEPT = 0.9;

/** One watched cgroup. */
export class WatchedGroup {
  logging: Logging;
  /** Monotonic time of the last read. */
  readMs: number;
  /** What `liveMs` of the sensor was then. */
  readLiveMs: number;
  #calls: ReadonlyMap<number, number> = new Map();
  #dropped = 0;
  #compatCalls = 0;
  #audit: AuditEvent[] = [];
  #lost = 0;

  constructor(logging: Logging, nowMs: number, liveMs: number) {
    this.logging = logging;
    this.readMs = nowMs;
    this.readLiveMs = liveMs;
  }

  /** Keeps an event, if this logging asks for it. */
  hear(event: AuditEvent): void {
    if (!isHeard(event, this.logging)) return;
    if (this.#audit.length < AUDIT_EVENTS_MAX) this.#audit.push(event);
    else this.#lost += 1;
  }

  /** Some events were lost between kernel and sensor; nobody knows whose, so everyone may be missing them. */
  lose(events: number): void {
    this.#lost += events;
  }

  /** Calls of the other word size since the last read, of `total` since the group was watched. */
  takeCompat(total: number): number {
    const more = Math.max(0, total - this.#compatCalls);
    this.#compatCalls = total;
    return more;
  }

  /** The program was started anew: its counts begin at 0. */
  restart(): void {
    this.#calls = new Map();
    this.#dropped = 0;
  }

  /** What happened since the last read. `counts` is null while no program runs. */
  take(counts: CallCounts | undefined, options: { readonly nowMs: number; readonly liveMs: number }): SensorReading {
    const syscalls = new Map<number, number>();
    for (const [number, count] of counts?.calls ?? []) {
      const more = count - (this.#calls.get(number) ?? 0);
      if (more > 0) syscalls.set(number, more);
    }
    const dropped = Math.max(0, (counts?.dropped ?? 0) - this.#dropped) + this.#lost;
    const heard = this.#audit.length;
    const elapsedMs = options.nowMs - this.readMs;
    const liveMs = Math.max(0, options.liveMs - this.readLiveMs);
    const seen = elapsedMs > 0 ? Math.min(1, liveMs / elapsedMs) : Number(liveMs > 0);
    const audit = this.#audit;
    if (counts !== undefined) {
      this.#calls = counts.calls;
      this.#dropped = counts.dropped;
    }
    this.#audit = [];
    this.#lost = 0;
    this.readMs = options.nowMs;
    this.readLiveMs = options.liveMs;
    return { syscalls, audit, kept: seen * (dropped === 0 ? 1 : heard / (heard + dropped)) };
  }
}

/** `standard` hears only what a rule may judge; connections and listening ports are for detailed logs. */
function isHeard(event: AuditEvent, logging: Logging): boolean {
  if (event.kind === 'bind') return logging !== 'standard';
  if (event.kind === 'connect') return logging !== 'standard' || isEngineSocket(event.target);
  return true;
}
