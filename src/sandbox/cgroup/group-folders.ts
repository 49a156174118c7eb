// Folders of groups in every hierarchy: made under one parent, listed, and removed with what the workload made below them.
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, exitStatus, invariant } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { controlError } from './control-file.ts';
import { type CgroupLayout, PARENT_GROUP } from './layout.ts';

/** v1 hierarchies in which a group is made. Runtimes make more (cpuset, systemd's): those are only removed. */
const GROUPED_V1 = ['cpu', 'cpuacct', 'memory', 'pids', 'freezer', 'blkio', 'devices'];
const V2_CONTROLLERS = ['cpu', 'memory', 'pids', 'io'];

/** Both become one folder name each. */
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** The kernel lets go of a group some milliseconds after its last process ended. */
const REMOVE_MS_MAX = 2000;
const REMOVE_POLL_MS = 2;

const MAKE_ATTEMPTS = 8;

/** Names one group: that of an instance, of a home. */
export interface GroupName {
  readonly homeId: string;
  readonly id: string;
}

/** The group's path within every hierarchy, as OCI runtimes want it: `/provost/<home>/<id>`. */
export function groupPath({ homeId, id }: GroupName): string {
  invariant(NAME.test(homeId) && NAME.test(id), 'a name of a control group is not one folder');
  return `/${PARENT_GROUP}/${homeId}/${id}`;
}

/** Roots of all hierarchies, each once: v1 hierarchies may hold several controllers. */
export function hierarchyRoots(layout: CgroupLayout): readonly string[] {
  return [...new Set([...layout.v1.values(), layout.v2])];
}

/**
 * Makes the folders of a group in the v2 tree and in every v1 hierarchy that limits or counts.
 *
 * @throws SandboxError SANDBOX_CGROUP; what was made before is removed
 */
export function makeFolders(layout: CgroupLayout, name: GroupName): void {
  const roots = new Set([layout.v2, ...GROUPED_V1.flatMap((controller) => layout.v1.get(controller) ?? [])]);
  const made: string[] = [];
  try {
    for (const root of roots) {
      const folder = join(root, groupPath(name));
      makeFolder(folder, () => {
        if (root === layout.v2 && layout.limits === 'v2') delegateControllers(root, dirname(folder));
      });
      made.push(folder);
    }
  } catch (error) {
    for (const folder of made) rmdirSync(folder);
    throw controlError(groupPath(name), 'make', error);
  }
}

/** Another process may remove an empty parent in between: the last home that ends. */
function makeFolder(folder: string, prepareParent: () => void): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      mkdirSync(dirname(folder), { recursive: true });
      prepareParent();
      mkdirSync(folder);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === MAKE_ATTEMPTS) throw error;
    }
  }
}

/** A v2 group has the files of a controller only when each folder above it hands the controller down. */
function delegateControllers(root: string, parent: string): void {
  const available = new Set(readFileSync(join(root, 'cgroup.controllers'), 'latin1').trim().split(' '));
  const wanted = V2_CONTROLLERS.filter((controller) => available.has(controller));
  const value = wanted.map((controller) => `+${controller}`).join(' ');
  for (const folder of [root, dirname(parent), parent]) writeFileSync(join(folder, 'cgroup.subtree_control'), value);
}

/** Ids of the groups of a home, found in any hierarchy: also what a crash left half made. */
export function listGroupIds(layout: CgroupLayout, homeId: string): readonly string[] {
  const ids = new Set<string>();
  for (const root of hierarchyRoots(layout)) {
    for (const id of foldersIn(join(root, PARENT_GROUP, homeId))) if (NAME.test(id)) ids.add(id);
  }
  return [...ids].toSorted();
}

/** Folders of one group that exist, in all hierarchies, each after what lies below it. */
export function foldersOf(layout: CgroupLayout, name: GroupName): readonly string[] {
  return hierarchyRoots(layout).flatMap((root) => {
    const parent = join(root, PARENT_GROUP, name.homeId);
    return foldersIn(parent).includes(basename(groupPath(name))) ? withDescendants(join(root, groupPath(name))) : [];
  });
}

/**
 * Removes the folders of a group that has no process left.
 *
 * @throws SandboxError SANDBOX_CGROUP when the kernel still holds one after some seconds
 */
export async function removeFolders(layout: CgroupLayout, name: GroupName): Promise<void> {
  const deadline = performance.now() + REMOVE_MS_MAX;
  for (;;) {
    const left = foldersOf(layout, name).filter((folder) => !canRemove(folder));
    if (left.length === 0) return;
    if (performance.now() > deadline) throw stillHeld(left);
    await delay(REMOVE_POLL_MS);
  }
}

/** Removes the parents of a home's groups, where nothing is left in them; another home's or a new group keeps them. */
export function removeParents(layout: CgroupLayout, homeId: string): void {
  for (const root of hierarchyRoots(layout)) {
    if (canRemove(join(root, PARENT_GROUP, homeId))) canRemove(join(root, PARENT_GROUP));
  }
}

/** Whether the folder is gone now. */
function canRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return true;
    if (errno === 'EBUSY' || errno === 'ENOTEMPTY') return false;
    throw controlError(folder, 'remove', error);
  }
}

function withDescendants(folder: string): readonly string[] {
  return [...foldersIn(folder).flatMap((name) => withDescendants(join(folder, name))), folder];
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch (error) {
    // A hierarchy without our groups, or a group that ended while we looked.
    if (errnoOf(error) === 'ENOENT') return [];
    throw controlError(folder, 'list', error);
  }
}

function stillHeld(folders: readonly string[]): SandboxError {
  return new SandboxError('SANDBOX_CGROUP', `the kernel does not let go of ${folders.join(', ')}`, {
    exit: exitStatus.unavailable,
    hint: 'a process is still in it: see its cgroup.procs',
    details: { folders },
  });
}
