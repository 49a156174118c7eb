// How many CPUs the kernel could ever have: per-CPU values have a place for each, whether it is on or not.
import { readFileSync } from 'node:fs';

/** Reads their number. */
export function possibleCpus(): number {
  const ranges = readFileSync('/sys/devices/system/cpu/possible', 'latin1').trim();
  return Number(/(\d+)$/.exec(ranges)?.[1] ?? 0) + 1;
}
