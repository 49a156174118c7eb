// The root of a workload: read-only layers, with their owners moved into its range of ids, under its writable layer.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../../base/index.ts';
import { type Kernel, MOUNT, UNMOUNT_DETACH } from '../kernel/syscall.ts';
import { isIdmapRefusal, mountIdmapped, mountReadOnly, type MountTools } from './idmapped-mount.ts';
import { copyShifted } from './shifted-copy.ts';
import { mountError, removeMountPoint, unmounted } from './unmount.ts';
import type { WritableLayer } from './writable-layer.ts';

/** Names of the layers must fit into one page of mount options. OCI images have at most 127. */
const LAYERS_MAX = 128;

/**
 * No features of overlayfs that an image could misuse by extended attributes in its layers, and no flushing: the
 * writable layer goes away with its workload, whatever it is told to keep.
 */
const OVERLAY_OPTIONS = 'index=off,xino=off,metacopy=off,redirect_dir=nofollow,volatile';

export interface RootPlan {
  /** Where the root shows; made here. */
  readonly dir: string;
  /** Lowest first; `/` is the host's own root without what is mounted below it. */
  readonly layerDirs: readonly string[];
  readonly upper: WritableLayer;
  /** Host id of the workload's root. */
  readonly idRangeFirst: number;
  /** Where layers are copied to whose file system cannot show other owners; only the supervisor may look in. */
  readonly copiesDir: string;
}

/** A mounted root. */
export interface RootMount {
  readonly dir: string;
  /** Unmounts it and removes the mount point; the writable layer stays. Safe to call twice. */
  unmount(): Promise<void>;
}

/**
 * Mounts the root of a workload. All that it changes goes to `upper`. Layers on a file system that cannot show other
 * owners are copied first.
 *
 * @throws SandboxError SANDBOX_MOUNT; nothing is left behind then
 */
export async function mountRoot(tools: MountTools, plan: RootPlan): Promise<RootMount> {
  const unmount = async (): Promise<void> => {
    await unmounted(tools.kernel, plan.dir);
    await removeMountPoint(plan.dir);
    await rm(plan.copiesDir, { recursive: true, force: true });
  };
  mkdirSync(plan.dir, { mode: 0o700 });
  try {
    await withStaging(tools.kernel, `${plan.dir}.layers`, (staging) => mountLayers(tools, plan, staging));
  } catch (error) {
    await unmount();
    throw error;
  }
  return { dir: plan.dir, unmount };
}

/** Gives `use` a mounted folder for the layers, for a moment: an overlay holds its layers by itself. */
async function withStaging(kernel: Kernel, staging: string, use: (staging: string) => Promise<void>): Promise<void> {
  mkdirSync(staging, { mode: 0o700 });
  try {
    kernel.mount({ source: 'none', target: staging, type: 'tmpfs', flags: MOUNT.noDev, data: 'size=1m,mode=0700' });
    try {
      await use(staging);
    } finally {
      kernel.unmount(staging, UNMOUNT_DETACH);
    }
  } finally {
    await removeMountPoint(staging);
  }
}

async function mountLayers(tools: MountTools, plan: RootPlan, staging: string): Promise<void> {
  const layers = topFirst(plan.layerDirs);
  invariant(layers.length > 0 && layers.length <= LAYERS_MAX, `a root has 1 to ${LAYERS_MAX} layers`);
  for (const [index, source] of layers.entries()) {
    const target = join(staging, String(index));
    mkdirSync(target);
    await mountLayer(tools, plan, { source, target, copy: join(plan.copiesDir, String(index)) });
  }
  mountOverlay(tools.kernel, plan, { staging, count: layers.length });
}

interface LayerMount {
  readonly source: string;
  readonly target: string;
  /** Where it is copied to when it must be. */
  readonly copy: string;
}

async function mountLayer(tools: MountTools, plan: RootPlan, { source, target, copy }: LayerMount): Promise<void> {
  const { idRangeFirst, copiesDir } = plan;
  try {
    mountIdmapped(tools, { source, target, idRangeFirst, readOnly: true });
    return;
  } catch (error) {
    // The root of the host is not copied: nobody waits for that, or has the space.
    if (!isIdmapRefusal(error) || source === '/') throw error;
  }
  mkdirSync(copiesDir, { recursive: true, mode: 0o700 });
  await copyShifted(source, copy, idRangeFirst);
  mountReadOnly(tools.kernel, copy, target);
}

function mountOverlay(
  kernel: Kernel,
  plan: RootPlan,
  layers: { readonly staging: string; readonly count: number },
): void {
  const descriptor = openSync(layers.staging, 'r');
  try {
    // Short names, whatever the path: all of them must fit into a page.
    const lower = Array.from({ length: layers.count }, (_, index) => `/proc/self/fd/${descriptor}/${index}`).join(':');
    const data = `lowerdir=${lower},upperdir=${plan.upper.upperDir},workdir=${plan.upper.workDir},${OVERLAY_OPTIONS}`;
    kernel.mount({ source: 'provost', target: plan.dir, type: 'overlay', flags: MOUNT.noDev | MOUNT.noSuid, data });
  } catch (error) {
    throw mountError(`the root at ${plan.dir}`, error);
  } finally {
    closeSync(descriptor);
  }
}

/** Overlayfs takes a folder once. Of equal layers the lowest ones show nothing that the topmost does not. */
function topFirst(layerDirs: readonly string[]): readonly string[] {
  return [...new Set(layerDirs.toReversed())];
}
