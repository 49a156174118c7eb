// Mounts that show a folder with its owners moved into a workload's range of ids: nothing on disk is changed.
import { closeSync } from 'node:fs';
import { type Kernel, kernelErrnoOf, MOUNT_ATTRIBUTE } from '../kernel/syscall.ts';
import type { IdMappings } from './id-mapping.ts';
import { mountError } from './unmount.ts';

/** What mounts are made with; opened once. */
export interface MountTools {
  readonly kernel: Kernel;
  readonly idMappings: IdMappings;
}

export interface IdmappedMountPlan {
  readonly source: string;
  /** An existing folder; or file, when `source` is one. */
  readonly target: string;
  /** Host id that shows for id 0 of the source, and so on for 65,536 ids; others show as nobody. */
  readonly idRangeFirst: number;
  readonly readOnly: boolean;
}

/**
 * Mounts `source` at `target` with its owners moved; what is mounted below `source` does not show. Set-user-id files
 * and device nodes there mean nothing.
 *
 * @throws SandboxError SANDBOX_MOUNT when its file system cannot show other owners
 */
export function mountIdmapped({ kernel, idMappings }: MountTools, plan: IdmappedMountPlan): void {
  const tree = cloned(kernel, plan.source);
  try {
    const flags = MOUNT_ATTRIBUTE.noSuid | MOUNT_ATTRIBUTE.noDev | (plan.readOnly ? MOUNT_ATTRIBUTE.readOnly : 0);
    kernel.setMountAttributes(tree, {
      set: MOUNT_ATTRIBUTE.idmap | flags,
      userNamespace: idMappings.namespaceOf(plan.idRangeFirst),
    });
    kernel.attachMount(tree, plan.target);
  } catch (error) {
    throw mountError(`a mount of ${plan.source} with moved owners`, error, hintOf(error));
  } finally {
    closeSync(tree);
  }
}

/** Mounts `source` at `target` with its owners as they are, read-only. */
export function mountReadOnly(kernel: Kernel, source: string, target: string): void {
  const tree = cloned(kernel, source);
  try {
    kernel.setMountAttributes(tree, {
      set: MOUNT_ATTRIBUTE.readOnly | MOUNT_ATTRIBUTE.noSuid | MOUNT_ATTRIBUTE.noDev,
      userNamespace: -1,
    });
    kernel.attachMount(tree, target);
  } catch (error) {
    throw mountError(`a mount of ${source}`, error);
  } finally {
    closeSync(tree);
  }
}

/** Whether a mount was refused because the file system of its source cannot show other owners. */
export function isIdmapRefusal(error: unknown): boolean {
  return kernelErrnoOf(error) === 'EINVAL';
}

function cloned(kernel: Kernel, source: string): number {
  try {
    return kernel.cloneTree(source, { recursive: false });
  } catch (error) {
    throw mountError(`a mount of ${source}`, error);
  }
}

function hintOf(error: unknown): string | undefined {
  if (!isIdmapRefusal(error)) return undefined;
  return 'keep it on ext4, xfs, btrfs or tmpfs, on Linux 5.19 or newer: other file systems cannot show files with other owners';
}
