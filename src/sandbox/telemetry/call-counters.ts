// The kernel's side of the sensor: which cgroups it watches, and what it has counted for them.
import { type BpfMap, openMapsOf } from './bpf-map.ts';

/** Cumulative counts of one cgroup since it was watched. */
export interface CallCounts {
  readonly calls: Map<number, number>;
  /** Audit events that were beyond what a cgroup may print. */
  dropped: number;
}

/** The maps of a running sensor program. */
export interface CallCounters extends Disposable {
  watch(cgroupId: bigint, level: bigint): void;
  /** Ends the count of a cgroup and forgets what was counted. */
  unwatch(cgroupId: bigint): void;
  /** Everything that was counted so far; `isFull` when the kernel had no room for more. */
  read(): { readonly counts: ReadonlyMap<bigint, CallCounts>; readonly isFull: boolean };
}

/** bpftrace gives a map `@calls` this name. */
const mapName = (name: string): string => `AT_${name}`;

/**
 * Opens the maps of the sensor program that process `pid` runs; null while they are not all there yet.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function openCallCounters(pid: number): CallCounters | null {
  const maps = openMapsOf(pid);
  const watched = maps.get(mapName('watched'));
  const calls = maps.get(mapName('calls'));
  const dropped = maps.get(mapName('dropped'));
  const isWhole = watched?.keyWords === 1 && calls?.keyWords === 2 && dropped?.keyWords === 1;
  if (!isWhole) {
    for (const map of maps.values()) map[Symbol.dispose]();
    return null;
  }
  return {
    watch: (cgroupId, level) => watched.put([cgroupId], level),
    unwatch: (cgroupId) => {
      watched.delete([cgroupId]);
      forget(calls, dropped, cgroupId);
    },
    read: () => readCounts(calls, dropped),
    [Symbol.dispose]: () => {
      for (const map of maps.values()) map[Symbol.dispose]();
    },
  };
}

function readCounts(calls: BpfMap, dropped: BpfMap): ReturnType<CallCounters['read']> {
  const counts = new Map<bigint, CallCounts>();
  const of = (cgroupId: bigint): CallCounts => {
    const held = counts.get(cgroupId) ?? { calls: new Map<number, number>(), dropped: 0 };
    counts.set(cgroupId, held);
    return held;
  };
  const entries = calls.each(([cgroupId = 0n, number = 0n], count) => {
    of(cgroupId).calls.set(Number(number), count);
  });
  dropped.each(([cgroupId = 0n], count) => {
    of(cgroupId).dropped = count;
  });
  return { counts, isFull: entries >= calls.entriesMax };
}

function forget(calls: BpfMap, dropped: BpfMap, cgroupId: bigint): void {
  const numbers: bigint[] = [];
  calls.each(([id, number = 0n]) => {
    if (id === cgroupId) numbers.push(number);
  });
  for (const number of numbers) calls.delete([cgroupId, number]);
  dropped.delete([cgroupId]);
}
