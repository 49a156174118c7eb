// The drivers of this host as the engine asks for them: by name, and by the isolations that they were seen to give.
import { join } from 'node:path';

import type { Grant, Isolation } from '../policy/index.ts';
import { type Driver, type DriverName, openDrivers, type Probe } from '../sandbox/index.ts';
import type { Home } from './home.ts';

/** Drivers with what their probes found. */
export interface HostDrivers {
  readonly drivers: ReadonlyMap<DriverName, Driver>;
  readonly probes: ReadonlyMap<DriverName, Probe>;
  readonly isolationAvailable: readonly Isolation[];
}

/**
 * Opens and probes the drivers. What worked before is remembered in the home's cache folder, when there is one.
 *
 * @throws SandboxError SANDBOX_CGROUP when this host cannot hold limits
 */
export async function probeDrivers(
  home: Pick<Home, 'dir' | 'cacheDir'>,
  options: { readonly remember: boolean },
): Promise<HostDrivers> {
  const probeFile = options.remember ? join(home.cacheDir, 'runtime-probes.json') : null;
  const drivers = openDrivers({ homeDir: home.dir, probeFile });
  const probes = new Map<DriverName, Probe>();
  for (const driver of drivers.values()) probes.set(driver.name, await driver.probe());
  const working = [...drivers.values()].filter(({ name }) => probes.get(name)?.ok === true);
  return { drivers, probes, isolationAvailable: working.map(({ isolation }) => isolation) };
}

const driverOfIsolation: Readonly<Record<Isolation, DriverName | null>> = {
  container: 'runc',
  gvisor: 'gvisor',
  microvm: null,
};

/** The driver that gives a grant its isolation; null when there is none yet. */
export function driverNameOf(grant: Pick<Grant, 'isolation'>): DriverName | null {
  return driverOfIsolation[grant.isolation];
}
