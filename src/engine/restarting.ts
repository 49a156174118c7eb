// What follows when a workload ends by itself: nothing, its removal, or its next start, judged anew.
import { messageOf, ProvostError } from '../base/index.ts';
import type { Exit } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { forget, settle } from './ending.ts';
import { publish } from './publishing.ts';
import { contain } from './relaunching.ts';
import type { Instance, Running } from './running.ts';
import { judgeStart, startJudged } from './starting.ts';

/** Restarts come later and later, up to this. */
const RESTART_DELAY_MAX_MS = 60_000;
const RESTART_DELAY_FIRST_MS = 100;
/** Doublings of the first delay after which the longest is reached. */
const RESTART_DOUBLINGS_MAX = 10;
/** A run of at least this length makes the next restart quick again. */
const RESTART_FORGIVEN_MS = 10_000;

/** Waits for an instance's end, once, and deals with it. */
export function watchExit(context: EngineContext, running: Running, instance: Instance): void {
  instance.sandbox
    .wait()
    .then((exit) => onExit(context, running, instance, exit))
    // Nothing depends on it: whoever ends the workload next finds its processes gone.
    .catch((error: unknown) =>
      context.log.error({ workload: running.name, error: messageOf(error) }, 'cannot deal with its end'),
    );
}

async function onExit(context: EngineContext, running: Running, instance: Instance, exit: Exit): Promise<void> {
  // Whoever ends it on purpose holds the lane, tidies up and says so itself.
  if (running.instance !== instance || running.ending !== null) return;
  await running.lane.run(async () => {
    if (running.instance !== instance || running.ending !== null) return;
    const reason = exit.oomKilled ? 'memory limit' : 'exited';
    const again = willRestart(running, exit);
    await settle(context, running, { ...exit, reason }, { final: !again });
    if (again) scheduleRestart(context, running, exit.atMs - instance.startedMs);
    else if (running.revision.request.removeAtExit) forget(context, running);
  });
}

/** Whether the workload's restart policy asks for another start after this exit. */
export function willRestart({ revision: { request }, state }: Running, exit: Pick<Exit, 'code'>): boolean {
  if (state === 'contained') return false;
  return request.restart === 'always' || (request.restart === 'on-failure' && exit.code !== 0);
}

function scheduleRestart(context: EngineContext, running: Running, ranMs: number): void {
  running.restarts = ranMs >= RESTART_FORGIVEN_MS ? 0 : running.restarts + 1;
  const doublings = Math.min(running.restarts, RESTART_DOUBLINGS_MAX);
  const delayMs = Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_FIRST_MS * 2 ** doublings);
  context.later(delayMs, () => running.lane.run(() => restart(context, running)));
}

/** Starts it again in what it has earned by now. Call it inside the lane; does nothing when something else was decided meanwhile. */
export async function restart(context: EngineContext, running: Running): Promise<void> {
  if (running.state !== 'restarting' || running.instance !== null) return;
  const askedMs = context.clock.monotonicMs();
  try {
    // The tier keeps its history, so that ending is no way around the dwell of a raise.
    const judged = await judgeStart(context, running, {
      revision: running.revision,
      tierState: running.standing.tierState,
    });
    using _room = judged.room;
    await startJudged(context, running, judged, askedMs);
  } catch (error) {
    await notStarted(context, running, error);
  }
}

/** Refused is final; a host without room, or a sandbox that could not be made, is tried again later. */
async function notStarted(context: EngineContext, running: Running, error: unknown): Promise<void> {
  context.log.warn({ workload: running.name, error: messageOf(error) }, 'cannot start it again');
  if (error instanceof ProvostError) {
    publish(context, running, { event: 'refused', code: error.code, reasons: [error.message], exit: error.exit });
    if (error.code === 'ENGINE_REFUSED') return contain(context, running, error.message);
  }
  running.state = 'restarting';
  scheduleRestart(context, running, 0);
}
