// The same revision in another sandbox: what the grant now asks for, or nothing.
import { messageOf } from '../base/index.ts';
import { UNKNOWN_EXIT_CODE } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { end } from './ending.ts';
import { launch } from './launching.ts';
import { publish } from './publishing.ts';
import type { Running } from './running.ts';
import { holdRoom } from './sharing.ts';
import { saveWorkload } from './workload-store.ts';

/**
 * Starts the same revision under its present grant, with a fresh writable layer, in place of the instance that runs, which does
 * nothing more from now on. Call it inside the lane.
 */
export async function relaunch(context: EngineContext, running: Running): Promise<void> {
  const { instance } = running;
  if (instance === null) return;
  const askedMs = context.clock.monotonicMs();
  using _room = holdRoom(context, {
    name: running.name,
    grant: running.standing.grant,
    tier: running.standing.grantedTier,
  });
  await instance.sandbox.freeze();
  const endOld = async (): Promise<void> => {
    if (running.instance === instance) await end(context, running, { reason: 'relaunch', graceMs: 0, final: false });
  };
  await launchOrContain(context, running, askedMs, endOld);
}

/** Whether what runs was started with what its grant now asks for. */
export function isInItsSandbox({ standing }: Running): boolean {
  const { launch } = standing.tierState;
  return launch !== null && launch.isolation === standing.grant.isolation && launch.profile === standing.launchProfile;
}

/**
 * Launches in place of what has been ended, or is by `endOld`. When that fails nothing may run in its stead: the workload is contained.
 *
 * @throws what `launch` throws
 */
export async function launchOrContain(
  context: EngineContext,
  running: Running,
  askedMs: number,
  endOld: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  // The fall that led here may be on its way into the journal still.
  const admitted = running.falling ?? Promise.resolve();
  try {
    await launch(context, running, { askedMs, admitted, announceStreams: null, report: () => {}, endOld });
  } catch (error) {
    await endOld();
    contain(context, running, `it could not be started again: ${messageOf(error)}`);
    throw error;
  }
  saveWorkload(context, running);
}

/** Nothing of the workload runs, and nothing will before a person says so. */
export function contain(context: EngineContext, running: Running, reason: string): void {
  running.state = 'contained';
  const { code, signal } = running.exit ?? { code: UNKNOWN_EXIT_CODE, signal: null };
  running.exit = { code, signal, oomKilled: false, atMs: context.clock.nowMs(), reason };
  publish(context, running, { event: 'exited', code, signal, reason, final: true });
  saveWorkload(context, running);
}
