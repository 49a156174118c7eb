// Layers on a file system that cannot show other owners: copied for one start, and the owners of the copy moved.
import { execFile } from 'node:child_process';
import { lchown, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exitStatus, messageOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { RANGE_SIZE } from './id-mapping.ts';

/** A copy of some GiB from a slow disk. */
const COPY_MS_MAX = 300_000;

/** Owner of what nobody in the range owns. */
const NOBODY = 65_534;

/**
 * Copies `source` to `target`, which is made, with id 0 owned by `idRangeFirst` and so on. Takes the time and the disk
 * of a copy; whiteouts, links and extended attributes are kept.
 *
 * @throws SandboxError SANDBOX_MOUNT
 */
export async function copyShifted(source: string, target: string, idRangeFirst: number): Promise<void> {
  try {
    await mkdir(target, { recursive: true });
    await promisify(execFile)('cp', ['-a', '--', `${source}/.`, target], { timeout: COPY_MS_MAX });
    await shiftOwners(target, { idRangeFirst, linked: new Set() });
  } catch (cause) {
    throw new SandboxError('SANDBOX_MOUNT', `cannot copy the layer ${source} for its new owner: ${messageOf(cause)}`, {
      exit: exitStatus.unavailable,
      hint: 'keep PROVOST_HOME on ext4, xfs, btrfs or tmpfs, where no copy is needed',
      details: { source },
      cause,
    });
  }
}

interface Shift {
  readonly idRangeFirst: number;
  /** Files with several names that were moved already. */
  readonly linked: Set<number>;
}

async function shiftOwners(path: string, shift: Shift): Promise<void> {
  const stats = await lstat(path);
  if (stats.isDirectory()) for (const name of await readdir(path)) await shiftOwners(join(path, name), shift);
  if (shift.linked.has(stats.ino)) return;
  if (!stats.isDirectory() && stats.nlink > 1) shift.linked.add(stats.ino);
  await lchown(path, shifted(stats.uid, shift), shifted(stats.gid, shift));
}

function shifted(id: number, { idRangeFirst }: Shift): number {
  return idRangeFirst + (id < RANGE_SIZE ? id : NOBODY);
}
