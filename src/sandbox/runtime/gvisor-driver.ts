// Driver `gvisor`: a container on a kernel of its own in user space, which is itself confined.
import { type Driver, SandboxError } from '../driver.ts';
import { runLayout, runtimeWords } from './conmon.ts';
import { type DriverSettings, OciDriver, type OciRuntime } from './oci-driver.ts';
import { runLimited } from './runtime-probe.ts';

/**
 * Host threads of sentry, gofer and monitor beside those that run the workload's code: measured 38 to 61 at rest on two cores;
 * the Go runtime adds threads for calls that block. A sentry that cannot get one ends the whole sandbox.
 */
export const SENTRY_THREADS = 192;
const START_TIMEOUT_MS = 30_000;

/** The driver for isolation `gvisor`. */
export function openGvisorDriver(settings: DriverSettings): Driver {
  const gvisor: OciRuntime = {
    name: 'gvisor',
    isolation: 'gvisor',
    telemetry: new Set(['cgroup', 'network']),
    pidsOfRuntime: SENTRY_THREADS,
    // Loading the program takes some 40 ms of CPU in the sandbox: 0.4 s when it comes in slices of a tenth.
    isHeavyStart: true,
    // Sentry, gofer and the processes that run the workload's code are all born in our groups: runsc is told to leave groups alone.
    enter: (group, monitorPid) => group.admitInBackground(monitorPid, 'all'),
    settle: () => undefined,
    start: async (runtime, { id, runDir }) => {
      const root = `--root=${runLayout.runtimeRoot(runDir)}`;
      const run = await runLimited(runtime.path, [root, ...runtime.arguments, 'start', id], START_TIMEOUT_MS);
      if (run.code === 0) return;
      if (run.isTimeout) throw new SandboxError('SANDBOX_TIMEOUT', `gVisor did not start it in ${START_TIMEOUT_MS} ms`);
      throw new SandboxError('SANDBOX_START', `gVisor could not start it: ${runtimeWords(run.output)}`, {
        hint: 'Check that the program and the working folder exist in the image.',
      });
    },
  };
  return new OciDriver(gvisor, settings);
}
