// When to look at a workload's memory: only while it runs, at a pace by its logging, one look at a time over all workloads.
import { setTimeout as delay } from 'node:timers/promises';
import type { MemoryLook } from '../../behaviour/index.ts';
import { GIB } from '../../base/index.ts';
import type { Logging } from '../../policy/index.ts';
import type { LookOccasion } from '../driver.ts';
import { lookAtMemory } from './memory-look.ts';

/** Least time between two looks at one workload. */
const EVERY_MS: Readonly<Record<Logging, number>> = { standard: 10_000, detailed: 2000, realtime: 500 };
/** After a look nobody is looked at for so many times as long as it took: at most a twentieth of a core goes into it. */
const REST_TIMES = 19;
/** Of a workload with more memory, what it touched is not asked. */
const TOUCHED_BYTES_MAX = GIB;

/** Runs looks one after another, in the order in which they were asked for. */
export class LookQueue {
  readonly #waiting: (() => Promise<void>)[] = [];
  #isBusy = false;

  add(look: () => Promise<void>): void {
    this.#waiting.push(look);
    if (!this.#isBusy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    for (let look = this.#waiting.shift(); look !== undefined; look = this.#waiting.shift()) {
      const fromMs = performance.now();
      await look();
      await delay((performance.now() - fromMs) * REST_TIMES, undefined, { ref: false });
    }
    this.#isBusy = false;
  }
}

/** The looks at one workload. */
export class MemoryWatch {
  readonly #queue: LookQueue;
  readonly #pidsOf: () => readonly number[];
  readonly #marked = new Set<number>();
  #found: MemoryLook | null = null;
  #isAsked = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #touchedMs: number | null = null;
  #cpuUsec = -1;

  constructor(queue: LookQueue, pidsOf: () => readonly number[]) {
    this.#queue = queue;
    this.#pidsOf = pidsOf;
  }

  /** Takes what the last look found, once; and has the next one made when it is time: its findings belong to a later window. */
  take(occasion: LookOccasion): MemoryLook | null {
    const { nowMs, logging, stats } = occasion;
    const found = this.#found;
    this.#found = null;
    const isTime = nowMs - this.#askedMs >= EVERY_MS[logging] || nowMs < this.#askedMs;
    // What did not run since the last look changed nothing.
    if (this.#isAsked || !isTime || stats.cpuUsec === this.#cpuUsec) return found;
    this.#isAsked = true;
    this.#askedMs = nowMs;
    this.#cpuUsec = stats.cpuUsec;
    this.#queue.add(() => this.#look(occasion));
    return found;
  }

  async #look({ logging, stats }: LookOccasion): Promise<void> {
    const countsTouched = logging !== 'standard' && stats.memoryBytes <= TOUCHED_BYTES_MAX;
    try {
      const look = await lookAtMemory({ pids: this.#pidsOf(), countsTouched, marked: this.#marked });
      this.#found = this.#dated(look, countsTouched);
    } catch {
      // The group has ended: nobody asks for it any more.
      this.#found = null;
    }
    this.#isAsked = false;
  }

  #dated(look: MemoryLook, countsTouched: boolean): MemoryLook {
    const nowMs = performance.now();
    const since = this.#touchedMs;
    this.#touchedMs = countsTouched ? nowMs : null;
    if (look.touchedBytes === undefined || since === null) return look;
    return { ...look, touchedWithinMs: Math.max(1, Math.round(nowMs - since)) };
  }
}
