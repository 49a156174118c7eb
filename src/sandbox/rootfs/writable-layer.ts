// A writable layer that holds no more than the disk grant: an ext4 file system of that size in a sparse file.
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Kernel, MOUNT } from '../kernel/syscall.ts';
import { type Ext4Templates, removeImage } from './ext4-template.ts';
import { attachLoop, loopDeviceOf, openWriteCounter } from './loop-device.ts';
import { mountError, removeMountPoint, unmounted } from './unmount.ts';

/** As the templates have it. */
const BLOCK_BYTES = 4096;
const IMAGE_NAME = 'layer.ext4';
const MOUNT_NAME = 'layer';

/** Where the writes of one workload go. */
export interface WritableLayer {
  /** Folder for overlayfs's `upperdir`; owned by the workload's root. */
  readonly upperDir: string;
  /** Folder for overlayfs's `workdir`. */
  readonly workDir: string;
  /** Unmounts and removes it with all that was written. Whatever is mounted on top must be gone. Safe to call twice. */
  remove(): Promise<void>;
}

export interface WritableLayerPlan {
  /** An existing folder that takes the image and the mount point. */
  readonly dir: string;
  readonly diskBytes: number;
  /** Host id of the workload's root. */
  readonly idRangeFirst: number;
}

/**
 * Makes and mounts an empty writable layer.
 *
 * @throws SandboxError SANDBOX_NO_SPACE, SANDBOX_MOUNT; nothing is left behind then
 */
export async function makeWritableLayer(
  kernel: Kernel,
  templates: Ext4Templates,
  plan: WritableLayerPlan,
): Promise<WritableLayer> {
  const image = join(plan.dir, IMAGE_NAME);
  const target = join(plan.dir, MOUNT_NAME);
  await templates.writeImage(image, plan.diskBytes);
  const remove = (): Promise<void> => removeWritableLayer(kernel, plan.dir);
  try {
    mountImage(kernel, image, target);
    return { ...makeFolders(target, plan.idRangeFirst), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Unmounts and removes the writable layer in `dir`, also one that another supervisor made; nothing there is fine. */
export async function removeWritableLayer(kernel: Kernel, dir: string): Promise<void> {
  const target = join(dir, MOUNT_NAME);
  await unmounted(kernel, target);
  await removeMountPoint(target);
  await removeImage(join(dir, IMAGE_NAME));
}

function mountImage(kernel: Kernel, image: string, target: string): void {
  mkdirSync(target, { mode: 0o700 });
  using device = attachLoop(kernel, image, BLOCK_BYTES);
  try {
    // `noinit_itable`: else a kernel thread fills the sparse file with zeros.
    kernel.mount({
      source: device.path,
      target,
      type: 'ext4',
      flags: MOUNT.noDev | MOUNT.noAtime,
      data: 'noinit_itable',
    });
  } catch (error) {
    throw mountError(`the writable layer at ${target}`, error);
  }
}

function makeFolders(target: string, owner: number): { readonly upperDir: string; readonly workDir: string } {
  const upperDir = join(target, 'upper');
  const workDir = join(target, 'work');
  mkdirSync(upperDir);
  mkdirSync(workDir, { mode: 0o700 });
  // It shows as the root folder itself. The mode is set apart from the umask.
  chmodSync(upperDir, 0o755);
  chownSync(upperDir, owner, owner);
  return { upperDir, workDir };
}

/** Counts what is written to one writable layer. */
export interface LayerWrites extends Disposable {
  /** Bytes since it was opened, also those that the kernel wrote back from memory later, which v1 control groups count for nobody. */
  bytes(): number;
}

/** Opens the counter of the layer in `dir`, by what its own device counts; it stays at 0 when the layer is not attached. */
export function openLayerWrites(dir: string): LayerWrites {
  const device = loopDeviceOf(join(dir, IMAGE_NAME));
  if (device === null) return { bytes: () => 0, [Symbol.dispose]: () => undefined };
  return openWriteCounter(device);
}
