// The drivers of this host, with what they share: control groups, mounts, and what was found out about runtimes.
import { findCgroupLayout } from '../cgroup/layout.ts';
import type { Driver, DriverName } from '../driver.ts';
import { openKernel } from '../kernel/syscall.ts';
import { openRootfs } from '../rootfs/rootfs.ts';
import { openGvisorDriver } from './gvisor-driver.ts';
import type { DriverSettings } from './oci-driver.ts';
import { openRuncDriver } from './runc-driver.ts';
import { ProbeMemory } from './runtimes.ts';

/** How drivers are opened. */
export interface DriverOptions {
  /** PROVOST_HOME: no workload may see it. */
  readonly homeDir: string;
  /** Where successful probes are remembered; null: nowhere. */
  readonly probeFile: string | null;
}

/**
 * Opens every driver that there is, whether its runtime works here or not: `probe` tells.
 *
 * @throws SandboxError SANDBOX_CGROUP when this host has no control groups to hold a limit with
 */
export function openDrivers({ homeDir, probeFile }: DriverOptions): ReadonlyMap<DriverName, Driver> {
  const kernel = openKernel();
  const settings: DriverSettings = {
    layout: findCgroupLayout(),
    kernel,
    rootfs: openRootfs(kernel),
    memory: new ProbeMemory(probeFile),
    hiddenDirs: [homeDir],
  };
  return new Map([openRuncDriver(settings), openGvisorDriver(settings)].map((driver) => [driver.name, driver]));
}
