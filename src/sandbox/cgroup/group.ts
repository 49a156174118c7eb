// One workload's control groups in every hierarchy, as one thing: limits, counters, freezing, killing.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { invariant } from '../../base/index.ts';
import type { Effective, SandboxStats } from '../driver.ts';
import { controlError } from './control-file.ts';
import { openFreezer } from './freezer.ts';
import { foldersOf, type GroupName, groupPath, makeFolders, removeFolders } from './group-folders.ts';
import { countIo } from './io-counting.ts';
import type { CgroupLayout } from './layout.ts';
import { limiterV1 } from './limits-v1.ts';
import { limiterV2 } from './limits-v2.ts';
import type { CgroupLimits, Limiter } from './limits.ts';
import { admit, admitInBackground, gather, killAll, processesIn } from './members.ts';
import { type StatsReader, statsReaderV1, statsReaderV2 } from './stats.ts';

/** The control groups of one workload. Its methods throw SandboxError SANDBOX_GONE once the group is no more. */
export interface CgroupGroup extends Disposable {
  /** `/provost/<home>/<id>`: the same path in every hierarchy; what an OCI runtime takes as `cgroupsPath`. */
  readonly path: string;
  /** Id of the v2 group: what eBPF programs see. */
  readonly cgroupId: bigint;
  /** Writes CPU, memory and pids, and reads them back. Memory in use stays allowed and is named in `pending`: apply again later. */
  apply(limits: CgroupLimits): Effective;
  /** What the kernel holds; `Infinity` where nothing limits. */
  effective(): Effective;
  /** Puts a process into every hierarchy of the group. */
  admit(pid: number): void;
  /** Puts a process that was just started into the group of the v2 tree, off the main thread. */
  admitToV2(pid: number): Promise<void>;
  /** The `tasks` files of the v1 hierarchies: a process of one thread that writes 0 into them is in the group at once. */
  readonly tasksFiles: readonly string[];
  /** Puts every process that a runtime placed in some hierarchy of the group into its v2 group too. */
  gather(): void;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  isFrozen(): boolean;
  /** Ends every process, frozen ones too; resolves when none is left. Throws SANDBOX_TIMEOUT. */
  kill(): Promise<void>;
  /** Pids in any hierarchy of the group and in groups below it. */
  processes(): readonly number[];
  stats(): SandboxStats;
  /** Removes the groups and those below them; no process may be left. Safe to call twice. */
  remove(): Promise<void>;
}

/**
 * Makes the groups of a workload, without limits yet.
 *
 * @throws SandboxError SANDBOX_CGROUP also when the group is there already
 */
export function makeGroup(layout: CgroupLayout, name: GroupName): CgroupGroup {
  makeFolders(layout, name);
  const blkio = v1Folder(layout, 'blkio', groupPath(name));
  if (blkio !== null) countIo(blkio);
  return groupOf(layout, name);
}

/** The groups of a workload that another supervisor made, also half made ones; null when no hierarchy has any. */
export function openGroup(layout: CgroupLayout, name: GroupName): CgroupGroup | null {
  return foldersOf(layout, name).length === 0 ? null : groupOf(layout, name);
}

function groupOf(layout: CgroupLayout, name: GroupName): CgroupGroup {
  const path = groupPath(name);
  const folders = { v2: join(layout.v2, path), v1: (controller: string) => v1Folder(layout, controller, path) };
  const limiter = limiterOf(layout, folders);
  const stats = statsOf(layout, folders);
  const freezer = openFreezer({ v2: folders.v2, v1: folders.v1('freezer') });
  const allFolders = (): readonly string[] => foldersOf(layout, name);
  const ownFolders = (): readonly string[] => allFolders().filter((folder) => folder.endsWith(path));
  const dispose = (): void => {
    for (const part of [limiter, stats, freezer]) part[Symbol.dispose]();
  };
  return {
    path,
    get cgroupId() {
      return groupIdOf(folders.v2);
    },
    apply: (limits) => limiter.apply(limits),
    effective: () => limiter.effective(),
    admit: (pid) => admit(ownFolders(), pid),
    admitToV2: (pid) => admitInBackground([folders.v2], pid),
    get tasksFiles() {
      return ownFolders().flatMap((folder) => (folder === folders.v2 ? [] : [join(folder, 'tasks')]));
    },
    gather: () => gather(folders.v2, allFolders),
    freeze: () => freezer.freeze(),
    thaw: () => freezer.thaw(),
    isFrozen: () => freezer.isFrozen(),
    kill: () => killAll({ v2: folders.v2, pids: folders.v1('pids'), freezer: folders.v1('freezer') }, allFolders),
    processes: () => processesIn(allFolders()),
    stats: () => stats.read(),
    remove: () => {
      dispose();
      return removeFolders(layout, name);
    },
    [Symbol.dispose]: dispose,
  };
}

interface Folders {
  readonly v2: string;
  v1(controller: string): string | null;
}

function v1Folder(layout: CgroupLayout, controller: string, path: string): string | null {
  const root = layout.v1.get(controller);
  return root === undefined ? null : join(root, path);
}

function limiterOf(layout: CgroupLayout, folders: Folders): Limiter {
  if (layout.limits === 'v2') return limiterV2(folders.v2);
  return limiterV1({ cpu: needed(folders, 'cpu'), memory: needed(folders, 'memory'), pids: needed(folders, 'pids') });
}

function statsOf(layout: CgroupLayout, folders: Folders): StatsReader {
  if (layout.limits === 'v2') return statsReaderV2(folders.v2);
  return statsReaderV1({
    cpu: needed(folders, 'cpu'),
    cpuacct: needed(folders, 'cpuacct'),
    memory: needed(folders, 'memory'),
    blkio: folders.v1('blkio'),
    pids: needed(folders, 'pids'),
  });
}

function needed(folders: Folders, controller: string): string {
  const folder = folders.v1(controller);
  invariant(folder !== null, `a v1 layout without ${controller} was accepted`);
  return folder;
}

/** The kernel's id of a v2 group is the inode number of its folder. */
function groupIdOf(folder: string): bigint {
  try {
    return statSync(folder, { bigint: true }).ino;
  } catch (error) {
    throw controlError(folder, 'look at', error);
  }
}
