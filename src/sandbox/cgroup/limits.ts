// CPU, memory and pids of one group: what every version of control groups does to hold them, and what was held afterwards.
import { invariant } from '../../base/index.ts';
import { type Effective, SandboxError } from '../driver.ts';

/** The part of a live grant that control groups hold. */
export interface CgroupLimits {
  /** Thousandths of a core, at least 1. */
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly pids: number;
  /** True gives the CPU of a whole second at once: for a start, which is short and wants all that it gets. */
  readonly isStart?: boolean;
}

/** Writes and reads back limits. Throws SandboxError SANDBOX_GONE, SANDBOX_CGROUP, SANDBOX_LIMIT_NOT_HELD. */
export interface Limiter extends Disposable {
  apply(limits: CgroupLimits): Effective;
  /** What the kernel holds; `Infinity` where nothing limits. `pending` is empty: only `apply` knows a target. */
  effective(): Effective;
}

/** CPU time over a period: what both versions limit. */
export interface CpuQuota {
  readonly quotaUs: number;
  readonly periodUs: number;
}

/** The kernel's own default: short enough that a throttled server still answers within a tenth of a second. */
const PERIOD_US = 100_000;
/** The longest that the kernel takes; for starts, and for grants so small that their quota would be below its least. */
const PERIOD_US_MAX = 1_000_000;
/** The least quota that the kernel takes. Source: min_cfs_quota_period in kernel/sched/core.c. */
const QUOTA_US_MIN = 1000;
const MILLI = 1000;

/** Memory limits are held in whole pages; 4 KiB on every machine that we run on, and larger pages are multiples of it. */
export const PAGE_BYTES = 4096;

/** The quota that gives `cpuMillicores`, exactly. */
export function cpuQuotaOf({
  cpuMillicores,
  isStart = false,
}: Pick<CgroupLimits, 'cpuMillicores' | 'isStart'>): CpuQuota {
  invariant(Number.isSafeInteger(cpuMillicores) && cpuMillicores > 0, 'a CPU grant is a whole number of millicores');
  const quotaUs = (cpuMillicores * PERIOD_US) / MILLI;
  if (quotaUs >= QUOTA_US_MIN && !isStart) return { quotaUs, periodUs: PERIOD_US };
  return { quotaUs: (cpuMillicores * PERIOD_US_MAX) / MILLI, periodUs: PERIOD_US_MAX };
}

/** Thousandths of a core that a quota gives; `Infinity` without one. */
export function millicoresOf({ quotaUs, periodUs }: CpuQuota): number {
  return Math.round((quotaUs * MILLI) / periodUs);
}

/** The largest whole number of pages within `bytes`: what the kernel makes of a limit. */
export function wholePages(bytes: number): number {
  invariant(Number.isSafeInteger(bytes) && bytes >= PAGE_BYTES, 'a memory grant is at least a page');
  return Math.floor(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** The smallest whole number of pages that holds `bytes`. */
export function coveringPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * Throws unless the kernel holds what was asked. Memory in use that could not be given back is no breach while it is
 * named in `pending`; then the limit only has to be no higher than it was.
 *
 * @throws SandboxError SANDBOX_LIMIT_NOT_HELD
 */
export function checkHeld(asked: CgroupLimits, held: Effective, memoryBefore: number): void {
  const breaches: string[] = [];
  if (held.cpuMillicores !== asked.cpuMillicores) {
    breaches.push(`CPU ${held.cpuMillicores} millicores instead of ${asked.cpuMillicores}`);
  }
  if (held.pids !== asked.pids) breaches.push(`${held.pids} pids instead of ${asked.pids}`);
  const memoryAsked = wholePages(asked.memoryBytes);
  const memoryMost = held.pending.memoryBytes === undefined ? memoryAsked : Math.max(memoryAsked, memoryBefore);
  if (held.memoryBytes > memoryMost)
    breaches.push(`${held.memoryBytes} bytes of memory instead of ${asked.memoryBytes}`);
  if (breaches.length === 0) return;
  throw new SandboxError('SANDBOX_LIMIT_NOT_HELD', `the kernel took the limits but holds ${breaches.join(', ')}`, {
    hint: 'something else writes to the control groups of provost: find and stop it',
    details: { asked, held },
  });
}
