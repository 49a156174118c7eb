// What a driver would make of a launch and a grant, to the last file: for `run --dry-run`. Makes nothing.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { LiveGrant } from '../../policy/index.ts';
import { groupPath } from '../cgroup/group-folders.ts';
import { findCgroupLayout } from '../cgroup/layout.ts';
import { type PlannedWrite, plannedWrites } from '../cgroup/planned-writes.ts';
import type { DriverName, LaunchPart } from '../driver.ts';
import { SENTRY_THREADS } from './gvisor-driver.ts';
import { resolveImageUser } from './image-user.ts';
import type { OciConfig } from './oci-spec.ts';
import { planConfig } from './stage.ts';

/** A sandbox as it would be made. */
export interface SandboxPlan {
  /** OCI runtime configuration. */
  readonly config: OciConfig;
  /** Writes to control files before the first instruction. */
  readonly writes: readonly PlannedWrite[];
  readonly network: { readonly mode: LiveGrant['network']; readonly rateBitsPerSecond: number | null };
}

/**
 * Plans a sandbox. The user is looked up in the topmost layer that has accounts.
 *
 * @throws SandboxError SANDBOX_USER, SANDBOX_CGROUP
 */
export function planSandbox(driver: DriverName, launch: LaunchPart, live: LiveGrant): SandboxPlan {
  const path = groupPath(launch);
  const accountsIn =
    launch.layerDirs.findLast((dir) => existsSync(join(dir, 'etc/passwd'))) ?? launch.layerDirs[0] ?? '/';
  const user = resolveImageUser(accountsIn, launch.user);
  const pids = live.pids + (driver === 'gvisor' ? SENTRY_THREADS : 0);
  return {
    config: planConfig({ hiddenDirs: [] }, launch, { cgroupsPath: path, user }),
    writes: plannedWrites(findCgroupLayout(), path, { ...live, pids }),
    network: { mode: live.network, rateBitsPerSecond: live.rateBitsPerSecond },
  };
}
