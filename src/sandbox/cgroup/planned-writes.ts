// The writes that hold a grant, as `run --dry-run` prints them: which value goes into which file.
import { join } from 'node:path';
import type { CgroupLayout } from './layout.ts';
import { type CgroupLimits, cpuQuotaOf, wholePages } from './limits.ts';

/** One write to one control file. */
export interface PlannedWrite {
  readonly file: string;
  readonly value: string;
}

/** The writes to the group at `path`, in their order, when nothing of the limits is in use yet. */
export function plannedWrites(layout: CgroupLayout, path: string, limits: CgroupLimits): readonly PlannedWrite[] {
  const { quotaUs, periodUs } = cpuQuotaOf(limits);
  const memory = String(wholePages(limits.memoryBytes));
  const pids = String(limits.pids);
  if (layout.limits === 'v2') {
    const at = (file: string): string => join(layout.v2, path, file);
    return [
      { file: at('cpu.max'), value: `${quotaUs} ${periodUs}` },
      { file: at('pids.max'), value: pids },
      { file: at('memory.max'), value: memory },
    ];
  }
  const at = (controller: string, file: string): string => join(layout.v1.get(controller) ?? '', path, file);
  return [
    { file: at('cpu', 'cpu.cfs_period_us'), value: String(periodUs) },
    { file: at('cpu', 'cpu.cfs_quota_us'), value: String(quotaUs) },
    { file: at('pids', 'pids.max'), value: pids },
    { file: at('memory', 'memory.limit_in_bytes'), value: memory },
  ];
}
