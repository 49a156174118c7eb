// What the sensor's own programs have counted, as differences to when a group was watched or last read.
import { gramHash, UNKNOWN_CALL } from '../../behaviour/index.ts';
import type { KernelSensor } from '../bpf/kernel-sensor.ts';
import * as layout from '../bpf/sensor-layout.ts';
import type { CallCounts } from './call-counters.ts';
import { GroupTable } from './group-table.ts';

/** What was counted of one group. */
export interface KernelCounts extends CallCounts {
  /** Of the other word size, since the group was watched. */
  readonly compatCalls: number;
  /** By bucket, since the last read; null where no grams are counted. */
  readonly grams: ReadonlyMap<number, number> | null;
}

interface Baseline {
  /** Counters of its slot, over all CPUs, when it was watched. */
  readonly counters: Float64Array;
  readonly dropped: number;
}

/** Reads the memory of the sensor's maps. Nothing here is a system call. */
export class KernelCounters {
  readonly #kernel: KernelSensor;
  readonly #table: GroupTable;
  readonly #words: Uint32Array;
  readonly #counters: BigUint64Array;
  readonly #allowances: BigUint64Array;
  readonly #grams: Uint32Array;
  readonly #marks: Uint8Array;
  readonly #baselines = new Map<bigint, Baseline>();
  /** What each gram slot held at the last read. */
  readonly #gramsRead = new Map<number, Uint32Array>();

  constructor(kernel: KernelSensor) {
    this.#kernel = kernel;
    this.#table = new GroupTable(kernel.memory.groups, kernel.slots);
    this.#words = new Uint32Array(kernel.memory.counters);
    this.#counters = new BigUint64Array(kernel.memory.counters);
    this.#allowances = new BigUint64Array(kernel.memory.allowances);
    this.#grams = new Uint32Array(kernel.memory.grams);
    this.#marks = new Uint8Array(kernel.memory.gramMarks);
  }

  /** Watches a group or changes what is heard of it. False when there is no room for it. */
  watch(cgroupId: bigint, isDetailed: boolean): boolean {
    const gramSlotBefore = this.#table.get(cgroupId)?.gramSlot ?? null;
    const held = this.#table.put(cgroupId, isDetailed);
    if (held === null) return false;
    if (!this.#baselines.has(cgroupId)) {
      this.#baselines.set(cgroupId, { counters: this.#sum(held.slot), dropped: this.#dropped(held.slot) });
    }
    // What the slot's last owner counted is not this one's.
    if (held.gramSlot !== null && held.gramSlot !== gramSlotBefore) this.#newGrams(held.gramSlot);
    return true;
  }

  unwatch(cgroupId: bigint): void {
    this.#table.delete(cgroupId);
    this.#baselines.delete(cgroupId);
  }

  /** Null for a group that has no room in the kernel. */
  read(cgroupId: bigint): KernelCounts | null {
    const held = this.#table.get(cgroupId);
    const baseline = this.#baselines.get(cgroupId);
    if (held === null || baseline === undefined) return null;
    const sums = this.#sum(held.slot);
    const calls = new Map<number, number>();
    for (let number = 0; number <= UNKNOWN_CALL; number += 1) {
      const count = (sums[number] ?? 0) - (baseline.counters[number] ?? 0);
      if (count > 0) calls.set(number, count);
    }
    const { compatSymbol } = gramHash;
    return {
      calls,
      compatCalls: (sums[compatSymbol] ?? 0) - (baseline.counters[compatSymbol] ?? 0),
      dropped: this.#dropped(held.slot) - baseline.dropped,
      grams: held.gramSlot === null ? null : this.#newGrams(held.gramSlot),
    };
  }

  #sum(slot: number): Float64Array {
    const sums = new Float64Array(layout.COUNTERS);
    for (let cpu = 0; cpu < this.#kernel.cpus; cpu += 1) {
      const first = (cpu * this.#kernel.slots + slot) * layout.COUNTERS;
      for (let index = 0; index < layout.COUNTERS; index += 1) {
        const at = first + index;
        // Most are 0; a whole word is read at once, so that it is never half of an old and half of a new one.
        if (this.#words[2 * at] === 0 && this.#words[2 * at + 1] === 0) continue;
        sums[index] = (sums[index] ?? 0) + Number(this.#counters[at]);
      }
    }
    return sums;
  }

  #dropped(slot: number): number {
    return Number(this.#allowances[(slot * layout.ALLOWANCE_BYTES + layout.DROPPED_OFFSET) / 8]);
  }

  /** What was added since the last call, looked for only where the kernel has left a mark. */
  #newGrams(gramSlot: number): Map<number, number> {
    const read = this.#gramsRead.get(gramSlot) ?? new Uint32Array(gramHash.buckets);
    this.#gramsRead.set(gramSlot, read);
    const grams = new Map<number, number>();
    for (let block = 0; block < layout.GRAM_BLOCKS; block += 1) {
      const mark = gramSlot * layout.GRAM_BLOCKS + block;
      // The mark is taken away before the counts are read: one that is set meanwhile is for the next time.
      if (this.#marks[mark] === 0 || Atomics.exchange(this.#marks, mark, 0) === 0) continue;
      const first = gramSlot * gramHash.buckets;
      for (let bucket = block * layout.GRAM_BLOCK; bucket < (block + 1) * layout.GRAM_BLOCK; bucket += 1) {
        const count = this.#grams[first + bucket] ?? 0;
        if (count === read[bucket]) continue;
        // Counters of 32 bits may begin anew; the difference does not.
        grams.set(bucket, (count - (read[bucket] ?? 0)) >>> 0);
        read[bucket] = count;
      }
    }
    return grams;
  }
}
