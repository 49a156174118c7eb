// Where this host keeps its control groups: a folder for each v1 controller, or one v2 tree, or both.
import { readFileSync } from 'node:fs';
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { type MountEntry, parseMountTable } from '../kernel/mount-table.ts';

/** Folder under which everything of Provost lies, in each hierarchy. */
export const PARENT_GROUP = 'provost';

/** Controllers without which no grant can be enforced; in v2 `cpu` counts too. */
const NEEDED_V1 = ['cpu', 'cpuacct', 'memory', 'pids'];

/** The control groups of a host. */
export interface CgroupLayout {
  /** Where CPU, memory and pids are limited. */
  readonly limits: 'v1' | 'v2';
  /** v1: mount point of each hierarchy by each of its controllers, named hierarchies as `name=systemd`; empty on a pure v2 host. */
  readonly v1: ReadonlyMap<string, string>;
  /** Mount point of the v2 tree. */
  readonly v2: string;
}

/**
 * Finds the control groups of this host.
 *
 * @throws SandboxError SANDBOX_CGROUP when a needed controller or the v2 tree is not mounted
 */
export function findCgroupLayout(): CgroupLayout {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
}

/**
 * Reads a layout from the text of /proc/self/mountinfo and /proc/self/cgroup. A controller belongs to v1 when a v1
 * hierarchy has it; the rest are the v2 tree's.
 *
 * @throws SandboxError SANDBOX_CGROUP
 * @source cgroups(7)
 */
export function parseCgroupLayout(mountinfo: string, procCgroup: string): CgroupLayout {
  const mounts = parseMountTable(mountinfo);
  const v1 = new Map<string, string>();
  for (const controller of v1ControllersOf(procCgroup)) {
    const mountPoint = hierarchyOf(mounts, controller);
    if (mountPoint !== undefined) v1.set(controller, mountPoint);
  }
  const v2 = mounts.find(({ type }) => type === 'cgroup2')?.mountPoint;
  if (v2 === undefined)
    throw missing('no cgroup v2 tree is mounted', 'run: mount -t cgroup2 none /sys/fs/cgroup/unified');
  const inV1 = NEEDED_V1.filter((controller) => v1.has(controller));
  if (inV1.length === NEEDED_V1.length) return { limits: 'v1', v1, v2 };
  if (inV1.length === 0) return { limits: 'v2', v1, v2 };
  const lost = NEEDED_V1.filter((controller) => !v1.has(controller));
  throw missing(
    `the cgroup v1 controllers ${inV1.join(', ')} are mounted, but ${lost.join(', ')} not`,
    'mount them all, or boot with systemd.unified_cgroup_hierarchy=1',
  );
}

/** Lines are `id:controllers:path`; id 0 without controllers is the v2 tree. */
function v1ControllersOf(procCgroup: string): readonly string[] {
  return procCgroup.split('\n').flatMap((line) => {
    const [id, controllers = ''] = line.split(':');
    return id === '0' ? [] : controllers.split(',').filter((name) => name !== '');
  });
}

function hierarchyOf(mounts: readonly MountEntry[], controller: string): string | undefined {
  return mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller))?.mountPoint;
}

function missing(what: string, hint: string): SandboxError {
  return new SandboxError('SANDBOX_CGROUP', `${what}: limits cannot be enforced on this host`, {
    exit: exitStatus.unavailable,
    hint,
  });
}
