// One workload's control groups in every hierarchy, as one thing: limits, counters, freezing, killing.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, exitStatus, invariant } from '../../base/index.ts';
import { type Effective, SandboxError, type SandboxStats } from '../driver.ts';
import { controlError } from './control-file.ts';
import { openFreezer } from './freezer.ts';
import { foldersOf, type GroupName, groupPath, makeFolders, removeFolders } from './group-folders.ts';
import type { CgroupLayout } from './layout.ts';
import { limiterV1 } from './limits-v1.ts';
import { limiterV2 } from './limits-v2.ts';
import type { CgroupLimits, Limiter } from './limits.ts';
import { type StatsReader, statsReaderV1, statsReaderV2 } from './stats.ts';

/** A killed process can take this long to leave: freeing some GiB of memory, ending a write. */
const KILL_MS_MAX = 10_000;
const KILL_POLL_MS = 1;
/** Rounds in which processes that were forked meanwhile are moved too. */
const GATHER_ROUNDS_MAX = 16;

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
    admit: (pid) =>
      admit(
        foldersOf(layout, name).filter((folder) => folder.endsWith(path)),
        pid,
      ),
    gather: () => gather(folders.v2, () => processesIn(foldersOf(layout, name))),
    freeze: () => freezer.freeze(),
    thaw: () => freezer.thaw(),
    isFrozen: () => freezer.isFrozen(),
    kill: () => kill(layout, name),
    processes: () => processesIn(foldersOf(layout, name)),
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

/** Each move waits for the kernel's readers, up to a millisecond: only where the runtime has not put it already. */
function admit(folders: readonly string[], pid: number): void {
  for (const folder of folders) if (!processesIn([folder]).includes(pid)) moveInto(folder, pid);
}

/** False when the process has ended. */
function moveInto(folder: string, pid: number): boolean {
  const file = join(folder, 'cgroup.procs');
  try {
    writeFileSync(file, String(pid));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
    throw controlError(file, 'write', error);
  }
}

function gather(v2Folder: string, processes: () => readonly number[]): void {
  for (let round = 0; round < GATHER_ROUNDS_MAX; round += 1) {
    const there = new Set(processesIn([v2Folder]));
    const strays = processes().filter((pid) => !there.has(pid));
    if (strays.filter((pid) => moveInto(v2Folder, pid)).length === 0) return;
  }
  throw new SandboxError('SANDBOX_CGROUP', `processes fork faster than they can be moved into ${v2Folder}`, {
    hint: 'gather processes before the workload runs',
  });
}

async function kill(layout: CgroupLayout, name: GroupName): Promise<void> {
  const path = groupPath(name);
  // One write ends all of the v2 group at once, forks under way too; then strays of v1 hierarchies, which cannot fork any more.
  writeIfThere(join(layout.v2, path, 'cgroup.kill'), '1');
  const pids = v1Folder(layout, 'pids', path);
  if (pids !== null) writeIfThere(join(pids, 'pids.max'), '0');
  const deadline = performance.now() + KILL_MS_MAX;
  for (;;) {
    const left = processesIn(foldersOf(layout, name));
    if (left.length === 0) return;
    for (const pid of left) sendKill(pid);
    // A process that the v1 freezer holds dies when it is let go.
    const state = v1Folder(layout, 'freezer', path);
    if (state !== null) writeIfThere(join(state, 'freezer.state'), 'THAWED');
    if (performance.now() > deadline) throw notKilled(path, left);
    await delay(KILL_POLL_MS);
  }
}

function writeIfThere(file: string, value: string): void {
  try {
    writeFileSync(file, value, { flag: 'r+' });
  } catch (error) {
    const errno = errnoOf(error);
    // No such group any more, or a kernel without this file: the loop that follows finds what is left.
    if (errno === 'ENOENT' || errno === 'ENODEV') return;
    throw controlError(file, 'write', error);
  }
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw controlError(`process ${pid}`, 'kill', error);
  }
}

function processesIn(folders: readonly string[]): readonly number[] {
  const pids = new Set<number>();
  for (const folder of folders) {
    for (const line of readMembers(folder).split('\n')) if (line !== '' && line !== '0') pids.add(Number(line));
  }
  return [...pids];
}

function readMembers(folder: string): string {
  try {
    return readFileSync(join(folder, 'cgroup.procs'), 'latin1');
  } catch (error) {
    const errno = errnoOf(error);
    // A group that ended while we looked holds no process.
    if (errno === 'ENOENT' || errno === 'ENODEV') return '';
    throw controlError(folder, 'read', error);
  }
}

function notKilled(path: string, pids: readonly number[]): SandboxError {
  return new SandboxError('SANDBOX_TIMEOUT', `processes ${pids.join(', ')} of ${path} are still there after SIGKILL`, {
    exit: exitStatus.unavailable,
    hint: 'they wait in the kernel, mostly for a disk or a network file system; they end when that answers',
    details: { pids },
  });
}
