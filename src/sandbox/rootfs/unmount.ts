// Taking mounts away again, and what is said when a mount could not be made or taken away.
import { existsSync, realpathSync } from 'node:fs';
import { rmdir, unlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, exitStatus, messageOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { mountPointsUnder } from '../kernel/mount-table.ts';
import { type Kernel, kernelErrnoOf, UNMOUNT_DETACH, UNMOUNT_NO_FOLLOW } from '../kernel/syscall.ts';

/** The kernel holds a mount for a moment after its last process ended. */
const UNMOUNT_MS_MAX = 3000;
const UNMOUNT_POLL_MS = 2;

/**
 * Unmounts `target` without holding up the event loop; nothing mounted there is fine.
 *
 * @throws SandboxError SANDBOX_MOUNT when it stays in use
 */
export async function unmounted(kernel: Kernel, target: string): Promise<void> {
  const deadline = performance.now() + UNMOUNT_MS_MAX;
  for (;;) {
    if (await kernel.unmountInBackground(target, UNMOUNT_NO_FOLLOW)) return;
    const errno = errnoOfUnmount(kernel, target);
    // Unmounted by the second try, not mounted, or not there: what was to be reached.
    if (errno === null || errno === 'EINVAL' || errno === 'ENOENT') return;
    if (errno !== 'EBUSY' || performance.now() > deadline) throw mountError(`the end of the mount at ${target}`, errno);
    await delay(UNMOUNT_POLL_MS);
  }
}

/** A call in the background cannot tell why it failed; null when this one did not. */
function errnoOfUnmount(kernel: Kernel, target: string): string | null {
  try {
    kernel.unmount(target, UNMOUNT_NO_FOLLOW);
    return null;
  } catch (error) {
    const errno = kernelErrnoOf(error);
    if (errno === undefined) throw error;
    return errno;
  }
}

/** Removes what `unmounted` left: an empty folder, or an empty file. Never what something is still mounted on. */
export async function removeMountPoint(target: string): Promise<void> {
  try {
    await rmdir(target);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return;
    if (errno !== 'ENOTDIR') throw mountError(`the end of the mount point ${target}`, error);
    await unlink(target);
  }
}

/** Unmounts everything at or below `dir`, the last made first, in use or not: for what a supervisor that is gone has left. */
export function unmountAllUnder(kernel: Kernel, dir: string): void {
  if (!existsSync(dir)) return;
  // The mount table has no links: to miss one here is to delete what is mounted with the folder.
  for (const mountPoint of mountPointsUnder(realpathSync(dir)))
    kernel.unmount(mountPoint, UNMOUNT_DETACH | UNMOUNT_NO_FOLLOW);
}

/** SANDBOX_MOUNT for `what`, by an errno name or a caught error. */
export function mountError(what: string, cause: unknown, hint?: string): SandboxError {
  const errno = typeof cause === 'string' ? cause : kernelErrnoOf(cause);
  return new SandboxError('SANDBOX_MOUNT', `${what} failed: ${errno ?? messageOf(cause)}`, {
    exit: exitStatus.unavailable,
    hint: hint ?? 'run `provost doctor`, which says what this host can mount',
    details: { errno },
    ...(typeof cause === 'string' ? {} : { cause }),
  });
}
