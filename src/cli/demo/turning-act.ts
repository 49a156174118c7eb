// Act 3: a new revision serves well, turns bad while it runs, and is caught, clamped, cut off, killed and rolled back.
import type { IncidentDocument } from '../../api/index.ts';
import { openKernelGroup } from './kernel-group.ts';
import { watchKernel } from './kernel-watch.ts';
import type { Stage } from './stage.ts';
import { claimCaught, claimRolledBack, tellTimeline, type Turn } from './turn-claims.ts';
import { visit, Visitor } from './visitor.ts';
import { TURN_PAGE } from './web-image.ts';

const GOOD_WITHIN_MS = 30_000;
const CAUGHT_WITHIN_MS = 30_000;
const WINDOW_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 50;
/** Some visits more, to show that it goes on. */
const SERVED_MS = 1000;
/** Windows of good service before it turns: enough to see that nothing gave it away. */
const GOOD_WINDOWS = 3;

export async function turnBad(stage: Stage, port: number): Promise<void> {
  const { story } = stage;
  story.act('turn', '4 · A new revision turns bad while it runs');
  story.say(
    'Alice signs revision 2, and it replaces revision 1. Trust belongs to code, not to names: the new code starts at medium.',
  );
  await stage.breathe();
  await untilGood(stage);
  const first = await stage.inspect('web');
  await stage.run('web', 'web-2', { port, replace: true });
  const second = await stage.inspect('web');
  const tiers = `${first.grantedTier} → ${second.grantedTier}`;
  story.claim('revision 2 does not inherit what revision 1 has earned', second.grantedTier === 'medium', tiers);
  story.say(
    'It serves as revision 1 did. Then someone asks for a certain page, and it reads credentials, scans ports, forks and burns CPU:',
  );
  using visitor = new Visitor(port);
  await nextWindows(stage, GOOD_WINDOWS);
  const group = openKernelGroup(second.cgroup ?? '');
  using watch = watchKernel(group, `provost_${stage.home.id}`);
  // At the end of a window, so that all of its deeds lie within the next one.
  await nextWindows(stage, 1);
  const usedMs = group.use()?.cpuMs ?? 0;
  const turnedMs = performance.now();
  await visit(port, TURN_PAGE);
  const backMs = await untilBack(stage, second.instance);
  await untilServed(stage, visitor, backMs);
  await stage.pause(SERVED_MS);
  await visitor.finish();
  const incident = await incidentOf(stage);
  const canBeLow = stage.events.of('stranger', 'refused').length === 0;
  const turn: Turn = { canBeLow, first, second, watch, visitor, incident, usedMs, turnedMs, backMs };
  tellTimeline(story, turn);
  claimCaught(story, turn);
  await stage.breathe();
  await claimRolledBack(stage, turn, port);
}

/** A rollback goes back to a revision that has proved itself. */
async function untilGood(stage: Stage): Promise<void> {
  const deadline = performance.now() + GOOD_WITHIN_MS;
  while (!(await stage.inspect('web')).revisions.some(({ good }) => good) && performance.now() < deadline)
    await stage.pause(LOOK_EVERY_MS);
}

/** Waits for the ends of so many windows to come. */
async function nextWindows({ events }: Stage, count: number): Promise<void> {
  const wanted = events.of('web', 'window').length + count;
  await events.until('web', 'window', {
    fits: () => events.of('web', 'window').length >= wanted,
    withinMs: WINDOW_WITHIN_MS,
  });
}

/** When revision 1 started again. */
async function untilBack({ events }: Stage, badInstance: string | null): Promise<number> {
  const isBad = ({ instance }: { readonly instance: string }): boolean => instance === badInstance;
  await events.until('web', 'started', {
    fits: (event) => {
      const all = events.of('web', 'started');
      return event.revision === 1 && all.indexOf(event) > all.findIndex(isBad);
    },
    withinMs: CAUGHT_WITHIN_MS,
  });
  return performance.now();
}

async function untilServed(stage: Stage, visitor: Visitor, fromMs: number): Promise<void> {
  const deadline = performance.now() + CAUGHT_WITHIN_MS;
  const isServed = (): boolean => visitor.visits.some((one) => one.fromMs > fromMs && one.revision === 1);
  while (!isServed() && performance.now() < deadline) await stage.pause(LOOK_EVERY_MS);
}

/** The incident, once all that was done about it is in it. */
async function incidentOf(stage: Stage): Promise<IncidentDocument | null> {
  const deadline = performance.now() + CAUGHT_WITHIN_MS;
  for (;;) {
    const path = '/v1/incidents?workload=web';
    const incidents = await stage.client.call<IncidentDocument[]>({ method: 'GET', path });
    const found = incidents.find(({ actions }) => actions.some(({ kind }) => kind === 'rollback'));
    if (found !== undefined || performance.now() > deadline) return found ?? incidents[0] ?? null;
    await stage.pause(LOOK_EVERY_MS);
  }
}
