// Limits by the v2 tree: cpu.max, memory.max and pids.max of one folder.
import { join } from 'node:path';
import type { Effective } from '../driver.ts';
import { closeAll, type ControlFile, controlFile, controlFileIfAny } from './control-file.ts';
import {
  type CgroupLimits,
  checkHeld,
  coveringPages,
  type CpuQuota,
  cpuQuotaOf,
  type Limiter,
  millicoresOf,
  wholePages,
} from './limits.ts';

interface V2Files {
  readonly cpu: ControlFile;
  readonly memory: ControlFile;
  readonly memoryHigh: ControlFile;
  readonly memoryUse: ControlFile;
  /** Only where the kernel accounts swap. */
  readonly swap: ControlFile | null;
  readonly pids: ControlFile;
}

/** Limits of a group of the v2 tree. The files are opened when they are first used, and kept open. */
export function limiterV2(folder: string): Limiter {
  const files: V2Files = {
    cpu: controlFile(join(folder, 'cpu.max'), 'both'),
    memory: controlFile(join(folder, 'memory.max'), 'both'),
    memoryHigh: controlFile(join(folder, 'memory.high'), 'both'),
    memoryUse: controlFile(join(folder, 'memory.current')),
    swap: controlFileIfAny(join(folder, 'memory.swap.max'), 'both'),
    pids: controlFile(join(folder, 'pids.max'), 'both'),
  };
  const effective = (): Effective => ({
    cpuMillicores: millicoresOf(parseQuota(files.cpu.read())),
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

function applyLimits(files: V2Files, limits: CgroupLimits, effective: () => Effective): Effective {
  const { quotaUs, periodUs } = cpuQuotaOf(limits);
  const before = files.memory.readNumber();
  files.cpu.write(`${quotaUs} ${periodUs}`);
  files.pids.write(String(limits.pids));
  files.swap?.write('0');
  const reached = setMemory(files, wholePages(limits.memoryBytes), before);
  const held = { ...effective(), pending: reached ? {} : { memoryBytes: limits.memoryBytes } };
  checkHeld(limits, held, before);
  return held;
}

/**
 * A v2 limit below use makes the kernel kill processes, so use is first pressed down by memory.high, which only
 * reclaims; then the limit goes to what is left. True when that is `wanted`.
 */
function setMemory({ memory, memoryHigh, memoryUse }: V2Files, wanted: number, before: number): boolean {
  if (memoryUse.readNumber() > wanted) {
    memoryHigh.write(String(wanted));
    memoryHigh.write('max');
  }
  const bound = Math.max(wanted, Math.min(before, coveringPages(memoryUse.readNumber())));
  memory.write(String(bound));
  return bound === wanted;
}

/** `quota period` in microseconds; a quota of `max` is none. */
function parseQuota(text: string): CpuQuota {
  const [quota = 'max', period = ''] = text.trimEnd().split(/\s+/, 2);
  return {
    quotaUs: quota === 'max' ? Number.POSITIVE_INFINITY : Number.parseInt(quota, 10),
    periodUs: Number.parseInt(period, 10),
  };
}
