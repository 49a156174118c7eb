// Driver `runc`: a container on the host's own kernel.
import type { Driver } from '../driver.ts';
import { runLayout } from './conmon.ts';
import { openExecFifo } from './exec-fifo.ts';
import { type DriverSettings, OciDriver, type OciRuntime } from './oci-driver.ts';

/**
 * runc puts its init into our groups itself, by `linux.cgroupsPath`; runc and conmon stay where the supervisor is, so that a
 * small grant does not slow them down. It knows nothing of a v2 tree beside v1 controllers: there we put them.
 */
const runc: OciRuntime = {
  name: 'runc',
  isolation: 'container',
  telemetry: new Set(['cgroup', 'network', 'syscalls']),
  pidsOfRuntime: 0,
  isHeavyStart: false,
  isBornInGroups: false,
  expectStart: (_tools, { id, runDir }) => ({
    go: (ended) => openExecFifo(runLayout.runtimeRoot(runDir), id, ended),
    [Symbol.dispose]: () => undefined,
  }),
};

/** The driver for isolation `container`. */
export function openRuncDriver(settings: DriverSettings): Driver {
  return new OciDriver(runc, settings);
}
