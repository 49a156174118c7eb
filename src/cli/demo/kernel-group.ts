// A workload's control group as its files say it: what the demo shows is read here, past the supervisor.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { errnoOf } from '../../base/index.ts';

/** What the kernel holds for a group. */
export interface KernelLimits {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly pids: number;
  readonly frozen: boolean;
}

/** What a group used since it was made. */
export interface KernelUse {
  readonly cpuMs: number;
  readonly pids: number;
  /** Process starts that the kernel refused because of the limit. */
  readonly startsRefused: number;
}

export interface KernelGroup {
  /** The files that {@link limits} reads, for people: the part after `/sys/fs/cgroup`. */
  readonly files: Readonly<Record<'cpu' | 'memory' | 'pids' | 'freezer', string>>;
  /** Null once the group is gone. */
  limits(): KernelLimits | null;
  use(): KernelUse | null;
}

/** Opens the group at a path below the cgroup mounts, as `inspect` names it; v1 where the host has it, else v2. */
export function openKernelGroup(path: string, mounts: Mounts = controllerMounts()): KernelGroup {
  const cpu = mounts.get('cpu');
  return cpu === undefined ? unifiedGroup(join(mounts.get('') ?? '/sys/fs/cgroup', path)) : splitGroup(mounts, path);
}

/** Where each v1 controller is mounted; the v2 tree under ''. */
export type Mounts = ReadonlyMap<string, string>;

function controllerMounts(): Mounts {
  const found = new Map<string, string>();
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, at = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') found.set('', at);
    if (type === 'cgroup') for (const name of options.split(',')) if (!found.has(name)) found.set(name, at);
  }
  return found;
}

function splitGroup(mounts: Mounts, path: string): KernelGroup {
  const at = (controller: string, file: string): string =>
    join(mounts.get(controller) ?? `/sys/fs/cgroup/${controller}`, path, file);
  const files = {
    cpu: at('cpu', 'cpu.cfs_quota_us'),
    memory: at('memory', 'memory.limit_in_bytes'),
    pids: at('pids', 'pids.max'),
    // A host that has both trees freezes by the v2 tree: only what that holds can be killed while it is frozen.
    freezer: mounts.has('') ? join(mounts.get('') ?? '', path, 'cgroup.events') : at('freezer', 'freezer.state'),
  };
  return {
    files,
    limits: () =>
      unlessGone(() => ({
        cpuMillicores: (numberIn(files.cpu) * 1000) / numberIn(at('cpu', 'cpu.cfs_period_us')),
        memoryBytes: numberIn(files.memory),
        pids: numberIn(files.pids),
        frozen: textIn(at('freezer', 'freezer.state')) === 'FROZEN' || isFrozenBy(files.freezer),
      })),
    use: () =>
      unlessGone(() => ({
        cpuMs: numberIn(at('cpuacct', 'cpuacct.usage')) / NS_PER_MS,
        pids: numberIn(at('pids', 'pids.current')),
        startsRefused: fieldOf(textIn(at('pids', 'pids.events')), 'max'),
      })),
  };
}

const NS_PER_MS = 1_000_000;
const US_PER_MS = 1000;

function unifiedGroup(dir: string): KernelGroup {
  const files = {
    cpu: join(dir, 'cpu.max'),
    memory: join(dir, 'memory.max'),
    pids: join(dir, 'pids.max'),
    freezer: join(dir, 'cgroup.events'),
  };
  return {
    files,
    limits: () =>
      unlessGone(() => {
        const [quota = '', period = ''] = textIn(files.cpu).split(' ');
        return {
          cpuMillicores: (Number(quota) * 1000) / Number(period),
          memoryBytes: numberIn(files.memory),
          pids: numberIn(files.pids),
          frozen: isFrozenBy(files.freezer),
        };
      }),
    use: () =>
      unlessGone(() => ({
        cpuMs: fieldOf(textIn(join(dir, 'cpu.stat')), 'usage_usec') / US_PER_MS,
        pids: numberIn(join(dir, 'pids.current')),
        startsRefused: fieldOf(textIn(join(dir, 'pids.events')), 'max'),
      })),
  };
}

function isFrozenBy(events: string): boolean {
  return fieldOf(textIn(events), 'frozen') === 1;
}

function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const errno = errnoOf(error);
    // The group was removed, before or between two reads.
    if (errno === 'ENOENT' || errno === 'ENODEV') return null;
    throw error;
  }
}

function textIn(file: string): string {
  return readFileSync(file, 'utf8').trim();
}

function numberIn(file: string): number {
  return Number(textIn(file));
}

/** The number after a name in `name value` lines; 0 when it is not there. */
function fieldOf(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}
