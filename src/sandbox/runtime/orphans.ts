// What supervisors that are gone have left of one home: found by the home's id, ended and taken away; or frozen, when nobody watches.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../base/index.ts';
import { listGroupIds, removeParents } from '../cgroup/group-folders.ts';
import { openGroup } from '../cgroup/group.ts';
import { type CgroupLayout, findCgroupLayout } from '../cgroup/layout.ts';
import { openKernel } from '../kernel/syscall.ts';
import { openRootfs } from '../rootfs/rootfs.ts';
import { listStageIds, removeStage } from './stage.ts';

/** Where a home keeps what belongs to its sandboxes. */
export interface OrphanSearch {
  readonly homeId: string;
  /** Holds a run folder for each sandbox. */
  readonly runDir: string;
  readonly scratchDir: string;
  /** Ids of the sandboxes that run and are watched. */
  readonly live: ReadonlySet<string>;
}

/**
 * Ends and removes every sandbox of a home that is not in `live`, in whatever state a crash left it.
 *
 * @returns the ids of what was removed
 * @throws SandboxError SANDBOX_TIMEOUT, SANDBOX_CGROUP, SANDBOX_MOUNT when the kernel does not let go
 */
export async function clearOrphans(search: OrphanSearch): Promise<readonly string[]> {
  const { homeId, runDir, scratchDir, live } = search;
  const layout = findCgroupLayout();
  const kernel = openKernel();
  using _rootfs = openRootfs(kernel);
  const found = new Set([
    ...listGroupIds(layout, homeId),
    ...listStageIds(homeId),
    ...named(runDir, homeId),
    ...named(scratchDir, homeId),
  ]);
  const orphans = [...found].filter((id) => !live.has(id));
  for (const id of orphans) {
    // The monitor first: it must not go on with a container that it is just about to make.
    endMonitors(id);
    await endGroup(layout, { homeId, id });
    await removeStage({ kernel }, { id, runDir: join(runDir, id), scratchDir });
  }
  removeParents(layout, homeId);
  return orphans;
}

/** Stops every process of every sandbox of a home: nobody is there to watch them. The next supervisor thaws what may run. */
export async function freezeSandboxes(homeId: string): Promise<void> {
  const layout = findCgroupLayout();
  for (const id of listGroupIds(layout, homeId)) {
    using group = openGroup(layout, { homeId, id });
    await group?.freeze();
  }
}

async function endGroup(layout: CgroupLayout, name: { readonly homeId: string; readonly id: string }): Promise<void> {
  const group = openGroup(layout, name);
  if (group === null) return;
  await group.kill();
  await group.remove();
}

/** Ends the conmon of this id, what is about to become it, and a runtime that works for it; no other process has the id for an argument. */
function endMonitors(id: string): void {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const args = argumentsOf(entry);
    const isMonitor = args.some((word) => word.endsWith('/conmon')) && args[args.indexOf('--cid') + 1] === id;
    const isRuntime = /\/run(c|sc)$/.test(args[0] ?? '') && args.at(-1) === id;
    if (isMonitor || isRuntime) endProcess(Number(entry));
  }
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    // It has ended since the folder was listed.
    return [];
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

function named(dir: string, homeId: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => name.startsWith(`${homeId}-`));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
