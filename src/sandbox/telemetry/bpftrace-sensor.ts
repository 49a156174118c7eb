// The sensor of a host: keeps one bpftrace running, hands out what it counted, and says when it sees less than everything.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, errnoOf, messageOf } from '../../base/index.ts';
import type { CallArchitecture } from '../../behaviour/index.ts';
import type { Logging } from '../../policy/index.ts';
import { findCgroupLayout } from '../cgroup/layout.ts';
import type { Sensor, SensorReading } from '../sensor.ts';
import { parseSensorLine } from './audit-line.ts';
import { type BpftraceProcess, startBpftrace } from './bpftrace-process.ts';
import { type CallCounters, openCallCounters } from './call-counters.ts';
import { sensorScript, watchLevel } from './sensor-script.ts';
import { GRAMS_MISSING_KEPT, WatchedGroup } from './watched-group.ts';

/** Compiling and attaching take about 1.5 s on an idle host. */
const START_MS_MAX = 30_000;
const START_POLL_MS = 50;
/** Waits before each new attempt after the program ended by itself; then the sensor gives up. */
const RESTART_WAITS_MS = [500, 1000, 2000, 4000, 8000];
/** A program that held for so long was sound: the next end is a first one. */
const SOUND_AFTER_MS = 10 * 60_000;

export interface BpftraceOptions {
  readonly bpftracePath: string;
  readonly clock: Clock;
  /** Why the sensor's own programs do not run; absent when bpftrace was asked for. */
  readonly standsInBecause?: string;
}

type Phase =
  | { readonly kind: 'starting'; readonly process: BpftraceProcess }
  | { readonly kind: 'live'; readonly process: BpftraceProcess; readonly counters: CallCounters; sinceMs: number }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'given-up' };

/**
 * Starts one bpftrace with one fixed program, which the kernel ends with this process.
 *
 * It answers at once. Until the program is attached ({@link Sensor.ready}), and whenever it is not, readings say that
 * nothing was kept. What can go wrong is in `limitation`; nothing is thrown.
 */
export function openBpftraceSensor(options: BpftraceOptions): Sensor {
  const sensor = new BpftraceSensor(options);
  sensor.start();
  return sensor;
}

class BpftraceSensor implements Sensor {
  readonly ready: Promise<void>;
  readonly #settleReady: () => void;
  readonly #bpftracePath: string;
  readonly #clock: Clock;
  readonly #groups = new Map<bigint, WatchedGroup>();
  readonly #closing = new AbortController();
  #phase: Phase = { kind: 'waiting' };
  #ended: Promise<void> = Promise.resolve();
  #limitation: string | null = 'the sensor is starting; until then only cgroup and network figures are seen';
  /** Why we ended the program ourselves. */
  #complaint: string | null = null;
  #failures = 0;
  /** Time in which the program was attached, without the present span. */
  #liveMs = 0;

  readonly #standsInBecause: string | null;

  constructor({ bpftracePath, clock, standsInBecause }: BpftraceOptions) {
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#settleReady = ready.resolve;
    this.#bpftracePath = bpftracePath;
    this.#clock = clock;
    this.#standsInBecause = standsInBecause ?? null;
  }

  get kind(): Sensor['kind'] {
    return this.#phase.kind === 'given-up' ? 'none' : 'bpftrace';
  }

  get limitation(): string | null {
    return this.#limitation;
  }

  start(): void {
    if (process.arch !== 'x64' && process.arch !== 'arm64') {
      this.#giveUp(`system calls are not counted on ${process.arch}`);
      return;
    }
    const architecture: CallArchitecture = process.arch;
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    const bpftrace = startBpftrace({
      bpftracePath: this.#bpftracePath,
      script: sensorScript(architecture),
      onLine: (line) => this.#hear(line, architecture),
      onEnd: (reason) => {
        ended.resolve();
        this.#onEnd(reason);
      },
    });
    this.#phase = { kind: 'starting', process: bpftrace };
    void this.#attach(bpftrace);
  }

  watch(cgroupId: bigint, logging: Logging): void {
    const group = this.#groups.get(cgroupId);
    if (group === undefined) {
      this.#groups.set(cgroupId, new WatchedGroup(logging, this.#clock.monotonicMs(), this.#liveNowMs()));
    } else {
      if (group.logging === logging) return;
      group.logging = logging;
    }
    this.#withCounters((counters) => counters.watch(cgroupId, levelOf(logging)));
  }

  unwatch(cgroupId: bigint): void {
    if (!this.#groups.delete(cgroupId)) return;
    this.#withCounters((counters) => counters.unwatch(cgroupId));
  }

  read(): ReadonlyMap<bigint, SensorReading> {
    if (this.#groups.size === 0) return new Map();
    const read = this.#withCounters((counters) => counters.read());
    const now = { nowMs: this.#clock.monotonicMs(), liveMs: this.#liveNowMs() };
    const readings = new Map<bigint, SensorReading>();
    for (const [cgroupId, group] of this.#groups) {
      const reading = group.take(read?.counts.get(cgroupId), now);
      // A full map counts no call that it does not hold yet, and nobody can say how many those were.
      const kept = read?.isFull === true ? 0 : reading.kept;
      // Detailed logs are promised grams, which bpftrace does not count.
      readings.set(cgroupId, { ...reading, kept: group.logging === 'standard' ? kept : kept * GRAMS_MISSING_KEPT });
    }
    return readings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const phase = this.#phase;
    this.#phase = { kind: 'given-up' };
    this.#settleReady();
    if (phase.kind === 'live') phase.counters[Symbol.dispose]();
    if (phase.kind === 'starting' || phase.kind === 'live') phase.process.kill();
    await this.#ended;
  }

  /** Waits until the program counts, which it is seen to do on our own calls. */
  async #attach(bpftrace: BpftraceProcess): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + START_MS_MAX;
    try {
      const own = ownCgroupId();
      let counters: CallCounters | null = null;
      while (this.#phase.kind === 'starting' && this.#phase.process === bpftrace) {
        await delay(START_POLL_MS, undefined, { signal: this.#closing.signal });
        counters ??= openIfThere(bpftrace.pid);
        counters?.watch(own, watchLevel.standard);
        if (counters !== null && counters.read().counts.has(own)) {
          counters.unwatch(own);
          this.#goLive(bpftrace, counters);
          return;
        }
        if (this.#clock.monotonicMs() > deadlineMs) break;
      }
      counters?.[Symbol.dispose]();
      this.#complaint = `it did not count within ${START_MS_MAX} ms`;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#complaint = messageOf(error);
    }
    bpftrace.kill();
  }

  #goLive(bpftrace: BpftraceProcess, counters: CallCounters): void {
    if (this.#phase.kind !== 'starting' || this.#phase.process !== bpftrace) {
      counters[Symbol.dispose]();
      return;
    }
    for (const [cgroupId, group] of this.#groups) {
      group.restart();
      counters.watch(cgroupId, levelOf(group.logging));
    }
    this.#phase = { kind: 'live', process: bpftrace, counters, sinceMs: this.#clock.monotonicMs() };
    this.#limitation = this.#standsIn();
    this.#settleReady();
  }

  #hear(line: string, architecture: CallArchitecture): void {
    const heard = parseSensorLine(line, this.#clock.nowMs(), architecture);
    if (heard.kind === 'event') this.#groups.get(heard.cgroupId)?.hear(heard.event);
    else if (heard.kind === 'lost') for (const group of this.#groups.values()) group.lose(heard.events);
  }

  #onEnd(reason: string): void {
    const phase = this.#phase;
    if (phase.kind === 'given-up') return;
    if (phase.kind === 'live') {
      this.#liveMs = this.#liveNowMs();
      if (this.#clock.monotonicMs() - phase.sinceMs > SOUND_AFTER_MS) this.#failures = 0;
      phase.counters[Symbol.dispose]();
    }
    const why = `the sensor is down: ${this.#complaint ?? reason}`;
    this.#complaint = null;
    const waitMs = RESTART_WAITS_MS[this.#failures];
    this.#failures += 1;
    // What never came up will not come up by trying again.
    if (waitMs === undefined || (phase.kind === 'starting' && this.#liveMs === 0)) {
      this.#giveUp(why);
      return;
    }
    this.#phase = { kind: 'waiting' };
    this.#limitation = why;
    void this.#restartAfter(waitMs);
  }

  async #restartAfter(waitMs: number): Promise<void> {
    try {
      await delay(waitMs, undefined, { signal: this.#closing.signal, ref: false });
    } catch {
      // Aborted by the dispose: there is nothing to restart any more.
      return;
    }
    this.start();
  }

  #giveUp(why: string): void {
    this.#phase = { kind: 'given-up' };
    const own = this.#standsInBecause === null ? '' : ` (and the sensor’s own programs: ${this.#standsInBecause})`;
    this.#limitation = `${why}${own}; only cgroup and network figures are seen`;
    this.#settleReady();
  }

  /** What is missing while it counts; null when it is all that was asked for. */
  #standsIn(): string | null {
    if (this.#standsInBecause === null) return null;
    return `bpftrace counts in place of the sensor’s own programs, without 3-grams and at a higher cost: ${this.#standsInBecause}`;
  }

  #liveNowMs(): number {
    const present = this.#phase.kind === 'live' ? this.#clock.monotonicMs() - this.#phase.sinceMs : 0;
    return this.#liveMs + present;
  }

  /** Uses the maps; where the kernel refuses, the program is ended and started anew, and this reading has a gap. */
  #withCounters<T>(use: (counters: CallCounters) => T): T | null {
    if (this.#phase.kind !== 'live') return null;
    try {
      return use(this.#phase.counters);
    } catch (error) {
      this.#complaint = messageOf(error);
      this.#phase.process.kill();
      return null;
    }
  }
}

function levelOf(logging: Logging): bigint {
  return logging === 'standard' ? watchLevel.standard : watchLevel.detailed;
}

/** Null while the process is not there yet, or has no maps yet. */
function openIfThere(pid: number): CallCounters | null {
  try {
    return pid === 0 ? null : openCallCounters(pid);
  } catch (error) {
    // The process has just ended; its end is reported with a better reason.
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Id of the v2 cgroup that this process is in. */
function ownCgroupId(): bigint {
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  return statSync(join(findCgroupLayout().v2, path), { bigint: true }).ino;
}
