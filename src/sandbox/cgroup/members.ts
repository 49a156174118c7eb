// Processes of one group: put into it, gathered from v1 hierarchies, listed, and ended.
import { closeSync, openSync, readFileSync, write, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errnoOf, exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { controlError } from './control-file.ts';
import type { CgroupLayout } from './layout.ts';

/** A killed process can take this long to leave: freeing some GiB of memory, ending a write. */
const KILL_MS_MAX = 5000;
const KILL_POLL_MS = 1;
const writeInBackground = promisify<number, string, number>(write);
/** Rounds in which processes that were forked meanwhile are moved too. */
const GATHER_ROUNDS_MAX = 16;

/** Puts a process into each folder. A move waits for the kernel's readers, up to a millisecond: only where it is not yet. */
export function admit(folders: readonly string[], pid: number): void {
  for (const folder of folders) if (!processesIn([folder]).includes(pid)) moveInto(folder, pid);
}

/** As {@link admit}, of a process that is in none of them yet, off the main thread. */
export async function admitInBackground(folders: readonly string[], pid: number): Promise<void> {
  const [first, ...others] = folders.map((folder) => join(folder, 'cgroup.procs'));
  // The first move waits for the kernel's readers, the next ones no more: all at once they would hold every thread of the pool.
  if (first !== undefined) await moveInBackground(first, pid);
  await Promise.all(others.map((file) => moveInBackground(file, pid)));
}

/** Opened here and now, so that the wait is under way while the main thread goes on: a promise would open it when that rests. */
async function moveInBackground(file: string, pid: number): Promise<void> {
  let fd: number | null = null;
  try {
    fd = openSync(file, 'w');
    await writeInBackground(fd, String(pid));
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw controlError(file, 'write', error);
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/**
 * Has the kernel begin, off the main thread, the grace period before the first move of a process between v2 groups, some ten
 * milliseconds, by a move that changes nothing; moves that come soon after find it over.
 */
export async function expectMoves(layout: CgroupLayout): Promise<void> {
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (path !== undefined) await moveInBackground(join(layout.v2, path, 'cgroup.procs'), process.pid);
}

/** Puts a process where this one is, in every hierarchy, off the main thread. */
export async function joinOurGroups(layout: CgroupLayout, pid: number): Promise<void> {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  const folders = lines.flatMap((line) => {
    const [id, controllers = '', path = ''] = line.split(':');
    const mountPoint = id === '0' ? layout.v2 : layout.v1.get(controllers.split(',')[0] ?? '');
    return mountPoint === undefined || path === '' ? [] : [join(mountPoint, path)];
  });
  await admitInBackground(folders, pid);
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

/**
 * Moves every process of `folders`, which are looked up again each time, into `v2Folder`.
 *
 * @throws SandboxError SANDBOX_CGROUP when they fork faster than they can be moved
 */
export function gather(v2Folder: string, folders: () => readonly string[]): void {
  for (let round = 0; round < GATHER_ROUNDS_MAX; round += 1) {
    const there = new Set(processesIn([v2Folder]));
    const strays = processesIn(folders()).filter((pid) => !there.has(pid));
    if (strays.filter((pid) => moveInto(v2Folder, pid)).length === 0) return;
  }
  throw new SandboxError('SANDBOX_CGROUP', `processes fork faster than they can be moved into ${v2Folder}`, {
    hint: 'gather processes before the workload runs',
  });
}

/** Folders of a group whose files end its processes; null where the host has no such v1 hierarchy. */
export interface KillFolders {
  readonly v2: string;
  readonly pids: string | null;
  readonly freezer: string | null;
}

/**
 * Ends every process in `folders`, which are looked up again each time, and resolves when none is left.
 *
 * @throws SandboxError SANDBOX_TIMEOUT, SANDBOX_CGROUP
 */
export async function killAll(group: KillFolders, folders: () => readonly string[]): Promise<void> {
  // One write ends all of the v2 group at once, forks under way too; then strays of v1 hierarchies, which cannot fork any more.
  writeIfThere(join(group.v2, 'cgroup.kill'), '1');
  if (group.pids !== null) writeIfThere(join(group.pids, 'pids.max'), '0');
  const deadline = performance.now() + KILL_MS_MAX;
  for (;;) {
    const left = processesIn(folders());
    if (left.length === 0) return;
    for (const pid of left) sendKill(pid);
    // A process that the v1 freezer holds dies when it is let go.
    if (group.freezer !== null) writeIfThere(join(group.freezer, 'freezer.state'), 'THAWED');
    if (performance.now() > deadline) throw notKilled(group.v2, left);
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

/** Pids of every process in any of the folders. */
export function processesIn(folders: readonly string[]): readonly number[] {
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

function notKilled(group: string, pids: readonly number[]): SandboxError {
  return new SandboxError('SANDBOX_TIMEOUT', `processes ${pids.join(', ')} of ${group} are still there after SIGKILL`, {
    exit: exitStatus.unavailable,
    hint: 'they wait in the kernel, mostly for a disk or a network file system; they end when that answers',
    details: { pids },
  });
}
