// File systems of workloads: what they start from, where they write, and the host's folders that they were given.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Kernel } from '../kernel/syscall.ts';
import { openExt4Templates } from './ext4-template.ts';
import { openIdMappings } from './id-mapping.ts';
import { mountIdmapped, type IdmappedMountPlan, type MountTools } from './idmapped-mount.ts';
import { mountRoot, type RootMount, type RootPlan } from './root-mount.ts';
import { mountError, removeMountPoint, unmountAllUnder, unmounted } from './unmount.ts';
import { makeWritableLayer, type WritableLayer, type WritableLayerPlan } from './writable-layer.ts';

/** A folder or file of the host, ready to be bound into a workload. */
export interface Volume {
  /** What the OCI configuration names as the source of the bind mount. */
  readonly path: string;
  /** Safe to call twice. */
  unmount(): Promise<void>;
}

/** Makes the file systems of workloads; keeps mappings of ids and templates that their starts share. */
export interface Rootfs extends Disposable {
  /** Throws SandboxError SANDBOX_NO_SPACE, SANDBOX_MOUNT, as do the others but for space. */
  makeWritableLayer(plan: WritableLayerPlan): Promise<WritableLayer>;
  mountRoot(plan: RootPlan): Promise<RootMount>;
  /**
   * Shows a folder or file of the host at `target`, which is made. Its owners are moved: what the host's root owns
   * there is owned by the workload's root, and what the workload's root makes there is owned by the host's root.
   * So a writable volume is trust: whoever runs programs from it on the host runs what the workload left there.
   */
  mountVolume(plan: IdmappedMountPlan): Promise<Volume>;
  /** Unmounts at once whatever an earlier supervisor left mounted at or below `dir`. */
  clear(dir: string): void;
}

/** Nothing is mounted or made before it is asked for. Disposing leaves mounts as they are. */
export function openRootfs(kernel: Kernel): Rootfs {
  const templates = openExt4Templates(kernel);
  const idMappings = openIdMappings(kernel);
  const tools: MountTools = { kernel, idMappings };
  return {
    makeWritableLayer: (plan) => makeWritableLayer(kernel, templates, plan),
    mountRoot: (plan) => mountRoot(tools, plan),
    mountVolume: (plan) => mountVolume(tools, plan),
    clear: (dir) => unmountAllUnder(kernel, dir),
    [Symbol.dispose]: () => idMappings[Symbol.dispose](),
  };
}

async function mountVolume(tools: MountTools, plan: IdmappedMountPlan): Promise<Volume> {
  const unmount = async (): Promise<void> => {
    await unmounted(tools.kernel, plan.target);
    await removeMountPoint(plan.target);
  };
  makeMountPoint(plan);
  try {
    mountIdmapped(tools, plan);
  } catch (error) {
    await unmount();
    throw error;
  }
  return { path: plan.target, unmount };
}

function makeMountPoint({ source, target }: IdmappedMountPlan): void {
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  if (isFolder(source)) mkdirSync(target, { mode: 0o700 });
  else writeFileSync(target, '', { flag: 'wx', mode: 0o600 });
}

function isFolder(source: string): boolean {
  try {
    return statSync(source).isDirectory();
  } catch (error) {
    throw mountError(`a mount of ${source}`, error, 'see that the folder or file is there');
  }
}
