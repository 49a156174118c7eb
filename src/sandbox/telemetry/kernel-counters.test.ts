// The reader of the sensor's maps, on memory that the test writes to as the kernel does.
import { describe, expect, it } from 'vitest';
import { gramHash } from '../../behaviour/index.ts';
import type { KernelSensor } from '../bpf/kernel-sensor.ts';
import * as layout from '../bpf/sensor-layout.ts';
import { KernelCounters } from './kernel-counters.ts';

const CPUS = 2;
const SLOTS = 2;

/** Maps without programs. */
function mapsOnly() {
  const memory = {
    groups: new ArrayBuffer(layout.GROUP_BYTES),
    counters: new ArrayBuffer(CPUS * SLOTS * layout.COUNTERS * layout.COUNTER_BYTES),
    grams: new ArrayBuffer(layout.GRAM_SLOTS * gramHash.buckets * 4),
    gramMarks: new ArrayBuffer(layout.GRAM_SLOTS * layout.GRAM_BLOCKS),
    allowances: new ArrayBuffer(layout.SLOTS_MAX * layout.ALLOWANCE_BYTES),
  };
  const counters = new BigUint64Array(memory.counters);
  const grams = new Uint32Array(memory.grams);
  const kernel: KernelSensor = {
    cpus: CPUS,
    slots: SLOTS,
    memory,
    events: { drain: () => 0, [Symbol.dispose]: () => undefined },
    misses: () => 0,
    [Symbol.dispose]: () => undefined,
  };
  const wordOf = (id: bigint): bigint => {
    const words = new BigUint64Array(memory.groups);
    const at = words.findIndex((word, index) => index % 2 === 0 && word === id);
    return at < 0 ? -1n : (words[at + 1] ?? -1n);
  };
  return {
    kernel,
    /** What the program does for a call of a watched group. */
    call: (id: bigint, cpu: number, symbol: number, times = 1n) => {
      const slot = Number(wordOf(id) & BigInt(layout.SLOT_MASK));
      const at = (cpu * SLOTS + slot) * layout.COUNTERS + symbol;
      counters[at] = (counters[at] ?? 0n) + times;
    },
    gram: (id: bigint, bucket: number, times = 1) => {
      const gramSlot = Number((wordOf(id) >> BigInt(layout.GRAM_SLOT_SHIFT)) & BigInt(layout.SLOT_MASK)) - 1;
      grams[gramSlot * gramHash.buckets + bucket] = ((grams[gramSlot * gramHash.buckets + bucket] ?? 0) + times) >>> 0;
      new Uint8Array(memory.gramMarks)[gramSlot * layout.GRAM_BLOCKS + (bucket >> 10)] = 1;
    },
    wordOf,
  };
}

describe('the counters of the sensor’s own programs', () => {
  it('are summed over CPUs, beyond 32 bits, since the group was watched', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters(maps.kernel);
    expect(counters.watch(9n, false)).toBe(true);
    maps.call(9n, 0, 5, 2n ** 32n);
    maps.call(9n, 1, 5, 2n);
    maps.call(9n, 1, 512);
    expect(counters.read(9n)).toEqual({
      calls: new Map([[5, 2 ** 32 + 2]]),
      compatCalls: 1,
      dropped: 0,
      grams: null,
    });
  });

  it('begin at 0 for the next owner of a slot', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters(maps.kernel);
    for (const id of [1n, 2n]) counters.watch(id, true);
    maps.call(1n, 0, 5, 7n);
    maps.gram(1n, 70);
    counters.unwatch(1n);
    expect(maps.wordOf(1n)).toBe(-1n);
    expect(counters.read(1n)).toBeNull();
    expect(counters.watch(3n, true)).toBe(true);
    maps.call(3n, 0, 5);
    expect(counters.read(3n)?.calls).toEqual(new Map([[5, 1]]));
  });

  it('refuse a group for which there is no slot, or no place in its bucket, and take it when there is', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters(maps.kernel);
    for (const id of [1n, 2n]) expect(counters.watch(id, false)).toBe(true);
    expect(counters.watch(3n, false)).toBe(false);
    expect(counters.read(3n)).toBeNull();
    counters.unwatch(2n);
    expect(counters.watch(3n, false)).toBe(true);
  });

  it('give 3-grams as differences, where they changed, also when a counter begins anew', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters(maps.kernel);
    counters.watch(9n, true);
    maps.gram(9n, 0, 2 ** 32 - 1);
    maps.gram(9n, 65_535, 3);
    expect(counters.read(9n)?.grams).toEqual(
      new Map([
        [0, 2 ** 32 - 1],
        [65_535, 3],
      ]),
    );
    maps.gram(9n, 0, 5);
    expect(counters.read(9n)?.grams).toEqual(new Map([[0, 5]]));
    expect(counters.read(9n)?.grams).toEqual(new Map());
  });

  it('begin and end with the level of attention', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters(maps.kernel);
    counters.watch(9n, false);
    expect(maps.wordOf(9n) >> BigInt(layout.LEVEL_SHIFT)).toBe(1n);
    counters.watch(9n, true);
    expect(maps.wordOf(9n) >> BigInt(layout.LEVEL_SHIFT)).toBe(2n);
    expect(counters.read(9n)?.grams).toEqual(new Map());
    counters.watch(9n, false);
    expect(counters.read(9n)?.grams).toBeNull();
  });

  it('are watched for at most two groups whose ids have the same end', () => {
    const maps = mapsOnly();
    const counters = new KernelCounters({ ...maps.kernel, slots: 3 });
    const ids = [1n, 1n + 4096n, 1n + 8192n];
    expect(ids.map((id) => counters.watch(id, false))).toEqual([true, true, false]);
  });
});
