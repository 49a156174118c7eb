// The sensor of a host with programs of its own in the kernel: hands out what they counted, and says when that is not everything.
import { type Clock, messageOf } from '../../base/index.ts';
import type { CallArchitecture } from '../../behaviour/index.ts';
import type { Logging } from '../../policy/index.ts';
import { attentionTable } from '../bpf/attention-table.ts';
import { type KernelSensor, loadKernelSensor } from '../bpf/kernel-sensor.ts';
import type { Sensor, SensorReading } from '../sensor.ts';
import { parseAuditRecord } from './audit-record.ts';
import { KernelCounters, type KernelCounts } from './kernel-counters.ts';
import { GRAMS_MISSING_KEPT, WatchedGroup } from './watched-group.ts';

/** How often the ring of events is emptied between reads: it holds about 3,000. */
const DRAIN_MS = 50;

/**
 * Loads the programs. They count from the moment that this returns.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function openBpfSensor(architecture: CallArchitecture, clock: Clock): Sensor {
  return new BpfSensor(loadKernelSensor(architecture), architecture, clock);
}

class BpfSensor implements Sensor {
  readonly ready: Promise<void> = Promise.resolve();
  readonly #clock: Clock;
  readonly #architecture: CallArchitecture;
  readonly #attention: Uint8Array;
  readonly #groups = new Map<bigint, WatchedGroup>();
  readonly #homeless = new Set<bigint>();
  readonly #openMs: number;
  #kernel: KernelSensor | null;
  #counters: KernelCounters | null;
  #drainTimer: NodeJS.Timeout | null = null;
  #misses = 0;
  #complaint: string | null = null;

  constructor(kernel: KernelSensor, architecture: CallArchitecture, clock: Clock) {
    this.#kernel = kernel;
    this.#counters = new KernelCounters(kernel);
    this.#architecture = architecture;
    this.#attention = attentionTable(architecture);
    this.#clock = clock;
    this.#openMs = clock.monotonicMs();
  }

  get kind(): Sensor['kind'] {
    return this.#kernel === null ? 'none' : 'bpf';
  }

  get limitation(): string | null {
    if (this.#kernel === null) return 'the sensor is closed; only cgroup and network figures are seen';
    if (this.#complaint !== null) return this.#complaint;
    if (this.#homeless.size === 0) return null;
    return `the sensor has no room for ${this.#homeless.size} of ${this.#groups.size} workloads: only cgroup and network figures are seen of them`;
  }

  watch(cgroupId: bigint, logging: Logging): void {
    const group = this.#groups.get(cgroupId);
    if (group === undefined) {
      const nowMs = this.#clock.monotonicMs();
      this.#groups.set(cgroupId, new WatchedGroup(logging, nowMs, nowMs - this.#openMs));
    } else {
      if (group.logging === logging) return;
      group.logging = logging;
    }
    this.#place(cgroupId, logging);
    this.#drainTimer ??= setInterval(() => this.#drain(), DRAIN_MS).unref();
  }

  unwatch(cgroupId: bigint): void {
    if (!this.#groups.delete(cgroupId)) return;
    this.#homeless.delete(cgroupId);
    this.#counters?.unwatch(cgroupId);
    // Somebody has gone, so somebody who waits may have room.
    for (const id of this.#homeless) this.#place(id, this.#groups.get(id)?.logging ?? 'standard');
    if (this.#groups.size > 0 || this.#drainTimer === null) return;
    clearInterval(this.#drainTimer);
    this.#drainTimer = null;
  }

  read(): ReadonlyMap<bigint, SensorReading> {
    this.#drain();
    this.#countMisses();
    const nowMs = this.#clock.monotonicMs();
    const readings = new Map<bigint, SensorReading>();
    for (const [cgroupId, group] of this.#groups) {
      const counts = this.#counters?.read(cgroupId) ?? null;
      const reading = group.take(counts ?? undefined, { nowMs, liveMs: nowMs - this.#openMs });
      readings.set(cgroupId, counts === null ? { ...reading, kept: 0 } : withGrams(reading, group, counts));
    }
    return readings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#drainTimer !== null) clearInterval(this.#drainTimer);
    this.#drainTimer = null;
    const kernel = this.#kernel;
    this.#kernel = null;
    this.#counters = null;
    kernel?.[Symbol.dispose]();
  }

  #place(cgroupId: bigint, logging: Logging): void {
    if (this.#counters?.watch(cgroupId, logging !== 'standard') === true) this.#homeless.delete(cgroupId);
    else this.#homeless.add(cgroupId);
  }

  #drain(): void {
    if (this.#kernel === null) return;
    const bootMs = this.#clock.nowMs() - Number(process.hrtime.bigint()) / 1e6;
    const reader = { architecture: this.#architecture, attention: this.#attention, bootMs };
    this.#kernel.events.drain((bytes) => {
      const record = parseAuditRecord(bytes, reader);
      if (record !== null) this.#groups.get(record.cgroupId)?.hear(record.event);
    });
  }

  /** A call that no program saw is nobody's in particular: everyone may be missing it. */
  #countMisses(): void {
    if (this.#kernel === null) return;
    try {
      const misses = this.#kernel.misses();
      const more = misses - this.#misses;
      this.#misses = misses;
      if (more > 0) for (const group of this.#groups.values()) group.lose(more);
    } catch (error) {
      this.#complaint = `what the sensor missed is not known: ${messageOf(error)}`;
    }
  }
}

/** Detailed logs are promised grams; where there was no place for them, that shows. */
function withGrams(reading: SensorReading, group: WatchedGroup, counts: KernelCounts): SensorReading {
  const compatCalls = group.takeCompat(counts.compatCalls);
  if (counts.grams !== null) return { ...reading, compatCalls, grams: counts.grams };
  const isMissing = group.logging !== 'standard';
  return { ...reading, compatCalls, kept: isMissing ? reading.kept * GRAMS_MISSING_KEPT : reading.kept };
}
