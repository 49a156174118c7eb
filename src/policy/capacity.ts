// The scheduler's sum: what is granted against what the host has, less a reserve.
import { formatSize } from '../base/index.ts';
import type { Tier } from '../trust/index.ts';
import type { Policy } from './parse.ts';
import { tierRank } from './tier.ts';

export interface Capacity {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
}

/** A workload that holds a part of the host. Give what the kernel holds where that is more than the grant (a pending shrink). */
export interface Holding extends Capacity {
  readonly id: string;
  readonly tier: Tier;
}

/** A smaller holding that makes room; apply it and read it back before the start that it makes room for. */
export interface Shrink extends Capacity {
  readonly id: string;
}

export type CapacityPlan =
  | { readonly kind: 'fits'; readonly shrink: readonly Shrink[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export interface CapacityInput {
  readonly policy: Policy;
  /** What the host has. */
  readonly host: Capacity;
  /** Without the workload that asks. */
  readonly running: readonly Holding[];
  readonly want: Capacity & { readonly tier: Tier };
}

/**
 * Plans room for one more grant. Memory is never promised twice; CPU is promised up to the policy's factor. Where it does not fit and the
 * policy says so, workloads of a lower tier than the asking one shrink to what low is given, lowest tier and largest holding first and no
 * further than needed; else the start is refused with the numbers.
 */
export function planCapacity({ policy, host, running, want }: CapacityInput): CapacityPlan {
  const { reserve, cpuOvercommit, shrinkLower } = policy.scheduler;
  const free = {
    cpuMillicores: Math.max(0, Math.floor((host.cpuMillicores - reserve.cpuMillicores) * cpuOvercommit)),
    memoryBytes: Math.max(0, host.memoryBytes - reserve.memoryBytes),
  };
  const missing = {
    cpuMillicores: sumOf(running, 'cpuMillicores') + want.cpuMillicores - free.cpuMillicores,
    memoryBytes: sumOf(running, 'memoryBytes') + want.memoryBytes - free.memoryBytes,
  };
  if (isCovered(missing)) return { kind: 'fits', shrink: [] };
  const { shrink, left } = shrinkLower ? planShrink(policy, running, { want, missing }) : { shrink: [], left: missing };
  if (isCovered(left)) return { kind: 'fits', shrink };
  return { kind: 'refused', reasons: reasonsOf(left, { free, want, mayShrink: shrinkLower }) };
}

function isCovered(missing: Capacity): boolean {
  return missing.cpuMillicores <= 0 && missing.memoryBytes <= 0;
}

function sumOf(holdings: readonly Capacity[], key: keyof Capacity): number {
  let sum = 0;
  for (const holding of holdings) sum += holding[key];
  return sum;
}

interface Need {
  readonly want: CapacityInput['want'];
  readonly missing: Capacity;
}

function planShrink(
  policy: Policy,
  running: readonly Holding[],
  { want, missing }: Need,
): { shrink: Shrink[]; left: Capacity } {
  const { low } = policy.grants;
  const candidates = running
    .filter(({ tier }) => tierRank(tier) < tierRank(want.tier))
    .sort((a, b) => tierRank(a.tier) - tierRank(b.tier) || b.memoryBytes - a.memoryBytes || (a.id < b.id ? -1 : 1));
  const shrink: Shrink[] = [];
  let left = missing;
  for (const holding of candidates) {
    if (isCovered(left)) break;
    const cpuMillicores = shrunk(holding.cpuMillicores, low.cpuMillicoresMax, left.cpuMillicores);
    const memoryBytes = shrunk(holding.memoryBytes, low.memoryBytesMax, left.memoryBytes);
    if (cpuMillicores === holding.cpuMillicores && memoryBytes === holding.memoryBytes) continue;
    shrink.push({ id: holding.id, cpuMillicores, memoryBytes });
    left = {
      cpuMillicores: left.cpuMillicores - (holding.cpuMillicores - cpuMillicores),
      memoryBytes: left.memoryBytes - (holding.memoryBytes - memoryBytes),
    };
  }
  return { shrink, left };
}

/** Shrinks by what is missing, not below the floor; without a floor not at all. */
function shrunk(held: number, floor: number | null, missing: number): number {
  if (floor === null || missing <= 0) return held;
  return Math.max(Math.min(held, floor), held - missing);
}

interface Numbers {
  readonly free: Capacity;
  readonly want: Capacity;
  readonly mayShrink: boolean;
}

function reasonsOf(left: Capacity, { free, want, mayShrink }: Numbers): string[] {
  const reasons: string[] = [];
  const after = mayShrink ? ' after shrinking what the policy allows' : '';
  if (left.memoryBytes > 0) {
    reasons.push(
      `memory: ${formatSize(want.memoryBytes)} asked for, ${formatSize(free.memoryBytes)} to give, ${formatSize(left.memoryBytes)} too little${after}`,
    );
  }
  if (left.cpuMillicores > 0) {
    reasons.push(
      `CPU: ${want.cpuMillicores}m asked for, ${free.cpuMillicores}m to promise, ${left.cpuMillicores}m too little${after}`,
    );
  }
  return reasons;
}
