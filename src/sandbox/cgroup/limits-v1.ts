// Limits by v1 controllers: cpu, memory and pids, each in its own folder.
import { join } from 'node:path';
import type { Effective } from '../driver.ts';
import { kernelErrnoOf } from '../kernel/syscall.ts';
import { closeAll, type ControlFile, controlFile, controlFileIfAny } from './control-file.ts';
import {
  type CgroupLimits,
  checkHeld,
  coveringPages,
  cpuQuotaOf,
  type Limiter,
  millicoresOf,
  wholePages,
} from './limits.ts';

/** How often a limit below use is moved closer to use before the old one stays for this time. */
const SHRINK_ATTEMPTS = 4;
/** Room left above use, doubled at each attempt: what the kernel charges ahead for each CPU. Source: MEMCG_CHARGE_BATCH, 64 pages. */
const SHRINK_SLACK_BYTES = 64 * 4096;

/**
 * What the limit of memory and swap together has above that of memory: one batch of charges. With none, the kernel
 * (6.18) counts no hits of the limit; with more, that much could go to swap.
 */
const SWAP_BYTES = 64 * 4096;

/** Folders of one group in the v1 hierarchies that limit. */
export interface V1Folders {
  readonly cpu: string;
  readonly memory: string;
  readonly pids: string;
}

/** Limits of a group of v1 controllers. The files are opened when they are first used, and kept open. */
export function limiterV1(folders: V1Folders): Limiter {
  const files = {
    period: controlFile(join(folders.cpu, 'cpu.cfs_period_us'), 'both'),
    quota: controlFile(join(folders.cpu, 'cpu.cfs_quota_us'), 'both'),
    memory: controlFile(join(folders.memory, 'memory.limit_in_bytes'), 'both'),
    memoryUse: controlFile(join(folders.memory, 'memory.usage_in_bytes')),
    // Memory and swap together: only where the kernel accounts swap.
    total: controlFileIfAny(join(folders.memory, 'memory.memsw.limit_in_bytes'), 'both'),
    totalUse: controlFileIfAny(join(folders.memory, 'memory.memsw.usage_in_bytes')),
    pids: controlFile(join(folders.pids, 'pids.max'), 'both'),
  };
  const effective = (): Effective => ({
    cpuMillicores: millicoresOf({ quotaUs: files.quota.readNumber(), periodUs: files.period.readNumber() }),
    memoryBytes: files.memory.readNumber(),
    pids: files.pids.readNumber(),
    pending: {},
  });
  return {
    effective,
    apply: (limits) => applyLimits(files, limits, effective),
    [Symbol.dispose]: () => closeAll(Object.values(files)),
  };
}

interface V1Files {
  readonly period: ControlFile;
  readonly quota: ControlFile;
  readonly memory: ControlFile;
  readonly memoryUse: ControlFile;
  readonly total: ControlFile | null;
  readonly totalUse: ControlFile | null;
  readonly pids: ControlFile;
}

function applyLimits(files: V1Files, limits: CgroupLimits, effective: () => Effective): Effective {
  const { quotaUs, periodUs } = cpuQuotaOf(limits);
  const before = files.memory.readNumber();
  const periodBefore = files.period.readNumber();
  // In this order what holds in between is less than either, never more.
  if (periodUs > periodBefore) files.period.write(String(periodUs));
  files.quota.write(String(quotaUs));
  if (periodUs < periodBefore) files.period.write(String(periodUs));
  files.pids.write(String(limits.pids));
  const reached = setMemory(files, wholePages(limits.memoryBytes), before);
  const held = { ...effective(), pending: reached ? {} : { memoryBytes: limits.memoryBytes } };
  checkHeld(limits, held, before);
  return held;
}

/** The kernel wants memory ≤ memory and swap at every moment, so the order depends on the direction. True when the limit is reached. */
function setMemory(files: V1Files, wanted: number, before: number): boolean {
  const { memory, memoryUse, total, totalUse } = files;
  if (wanted > before) {
    // Swap in use can hold it above: then it does not stand in the way either.
    const isTotalReached = total === null || canWrite(total, wanted + SWAP_BYTES);
    memory.write(String(wanted));
    return isTotalReached;
  }
  const memoryBound = shrink(memory, memoryUse, wanted);
  if (total === null || totalUse === null) return memoryBound === wanted;
  // Without this a workload over its memory would go on in swap.
  const totalBound = shrink(total, totalUse, memoryBound + SWAP_BYTES);
  return memoryBound === wanted && totalBound === wanted + SWAP_BYTES;
}

/** Lowers a limit to `wanted`, or else to present use, or else leaves it; returns what it now is. Never raises it. */
function shrink(limit: ControlFile, use: ControlFile, wanted: number): number {
  if (canWrite(limit, wanted)) return wanted;
  const before = limit.readNumber();
  for (let attempt = 0; attempt < SHRINK_ATTEMPTS; attempt += 1) {
    const bound = Math.max(wanted, coveringPages(use.readNumber() + SHRINK_SLACK_BYTES * 2 ** attempt));
    if (bound < before && canWrite(limit, bound)) return bound;
  }
  return before;
}

/** False when that much is in use and cannot be reclaimed. */
function canWrite(limit: ControlFile, bytes: number): boolean {
  try {
    limit.write(String(bytes));
    return true;
  } catch (error) {
    if (kernelErrnoOf(error) === 'EBUSY') return false;
    throw error;
  }
}
