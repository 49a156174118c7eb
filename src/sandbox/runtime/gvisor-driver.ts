// Driver `gvisor`: a container on a kernel of its own in user space, which is itself confined.
import { type Driver, SandboxError } from '../driver.ts';
import { closeSync, constants as fileConstants, openSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { runLayout, runtimeWords } from './conmon.ts';
import {
  type DriverSettings,
  type ExpectedStart,
  OciDriver,
  type OciRuntime,
  type StartedSandbox,
  type StartTools,
} from './oci-driver.ts';
import { type LimitedRun, startGrouped } from './runtime-probe.ts';

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
    // Sentry, gofer and the processes that run the workload's code: runsc is told to leave groups alone.
    isBornInGroups: true,
    expectStart,
  };
  return new OciDriver(gvisor, settings);
}

/**
 * Starts `runsc start` at once, and holds it before it does anything: loading its program takes some fifteen milliseconds, which pass
 * while the container is created, and which takes no CPU from that. It opens its log first of all, and a FIFO that nobody reads holds
 * it there.
 */
function expectStart({ kernel, runtime }: StartTools, { id, runDir }: StartedSandbox): ExpectedStart {
  const gate = join(runDir, 'start-gate');
  kernel.makeFifo(gate, 0o600);
  const flags = [`--root=${runLayout.runtimeRoot(runDir)}`, ...runtime.arguments, `--log=${gate}`];
  const held = startGrouped(runtime.path, [...flags, 'start', id]);
  held.setPriority(constants.priority.PRIORITY_LOW);
  return {
    go: async () => {
      const reader = openSync(gate, fileConstants.O_RDONLY | fileConstants.O_NONBLOCK);
      held.setPriority(constants.priority.PRIORITY_NORMAL);
      try {
        checkStart(await held.within(START_TIMEOUT_MS));
      } finally {
        closeSync(reader);
      }
    },
    [Symbol.dispose]: () => held.kill(),
  };
}

/** @throws SandboxError SANDBOX_START with the runtime's own words, SANDBOX_TIMEOUT */
function checkStart({ code, output, isTimeout }: LimitedRun): void {
  if (code === 0) return;
  if (isTimeout) throw new SandboxError('SANDBOX_TIMEOUT', `gVisor did not start it in ${START_TIMEOUT_MS} ms`);
  throw new SandboxError('SANDBOX_START', `gVisor could not start it: ${runtimeWords(output)}`, {
    hint: 'Check that the program and the working folder exist in the image.',
  });
}
