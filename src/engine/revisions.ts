// Revisions of a workload: which one is good, and the way back to it.
import { exitStatus, messageOf } from '../base/index.ts';
import type { EngineContext } from './context.ts';
import { end } from './ending.ts';
import { EngineError } from './errors.ts';
import { contain, launchOrContain } from './relaunching.ts';
import type { Running } from './running.ts';
import { type Judged, judgeStart, startJudged } from './starting.ts';
import { loadRevision } from './workload-store.ts';

/** Number of the last revision before the present one that was good and is other code, or null. */
export function lastGoodRevision(context: EngineContext, running: Running): number | null {
  return lastGood(context, running, { isSameCodeGood: false });
}

function lastGood(
  context: EngineContext,
  { name, revision }: Running,
  { isSameCodeGood }: { readonly isSameCodeGood: boolean },
): number | null {
  const { digest } = revision.artifact;
  const good = context.store.revisions
    .list({ workload: name })
    .filter(
      (row) =>
        row.number < revision.number && row.goodSinceMs !== null && (isSameCodeGood || row.artifactDigest !== digest),
    );
  return good.at(-1)?.number ?? null;
}

/** Marks the present revision as good once it ran clean for as long as its policy asks. What is frozen proves nothing. */
export function markGood(context: EngineContext, running: Running, nowMs: number): void {
  const { revision, cleanSinceMs, name } = running;
  if (running.state === 'frozen') return;
  if (cleanSinceMs === null || nowMs - cleanSinceMs < revision.policy.tiers.goodAfterMs) return;
  running.cleanSinceMs = null;
  const row = context.store.revisions.get({ workload: name, number: revision.number });
  if (row !== null && row.goodSinceMs === null) context.store.revisions.put({ ...row, goodSinceMs: nowMs });
}

/** A revision that did grave harm is none to come back to, however long it was clean before. */
export function unmarkGood(context: EngineContext, { name, revision }: Running): void {
  const row = context.store.revisions.get({ workload: name, number: revision.number });
  if (row !== null && row.goodSinceMs !== null) context.store.revisions.put({ ...row, goodSinceMs: null });
}

/** Who asked for a rollback: a person, who may also go back to another request for the same code, or a response to an incident. */
export type RollbackBy = 'person' | 'response';

/**
 * Ends what runs and starts the last good revision, judged anew, with a fresh writable layer. Call it inside the lane. What ran
 * comes back when a person asked and the good one cannot be launched; after an incident nothing does.
 *
 * @throws EngineError ENGINE_NO_REVISION when no earlier revision was good, ENGINE_REFUSED and ENGINE_CAPACITY when it may no longer run
 */
export async function rollBack(context: EngineContext, running: Running, by: RollbackBy): Promise<void> {
  const askedMs = context.clock.monotonicMs();
  const judged = await judgeLastGood(context, running, by);
  using _room = judged.room;
  const { revision, standing, findings, publishers, instance } = running;
  await end(context, running, { reason: 'rollback', graceMs: 0, final: false });
  try {
    await startJudged(context, running, judged, askedMs);
  } catch (error) {
    if (by === 'response') contain(context, running, `it could not be rolled back: ${messageOf(error)}`);
    else await comeBack(context, running, { revision, standing, findings, publishers, wasRunning: instance !== null });
    throw error;
  }
}

async function judgeLastGood(context: EngineContext, running: Running, by: RollbackBy): Promise<Judged> {
  try {
    const number = lastGood(context, running, { isSameCodeGood: by === 'person' });
    if (number === null) throw noGoodRevision(running);
    return await judgeStart(context, running, {
      revision: await loadRevision(context, running.name, number),
      tierState: null,
    });
  } catch (error) {
    // What ran was ended by the response, or must be: nothing is there to go back to.
    if (by === 'response') await endForGood(context, running, messageOf(error));
    throw error;
  }
}

async function endForGood(context: EngineContext, running: Running, why: string): Promise<void> {
  await end(context, running, { reason: 'terminated', graceMs: 0, final: false });
  contain(context, running, `it could not be rolled back: ${why}`);
}

/** What ran before a deployment that failed. */
export type Before = Pick<Running, 'revision' | 'standing' | 'findings' | 'publishers'> & {
  readonly wasRunning: boolean;
};

/** Puts back what a failed deployment took the place of, and launches it when it ran. */
export async function comeBack(
  context: EngineContext,
  running: Running,
  { wasRunning, ...before }: Before,
): Promise<void> {
  Object.assign(running, before);
  if (!wasRunning) return;
  try {
    await launchOrContain(context, running, context.clock.monotonicMs());
  } catch (error) {
    // The caller throws why the deployment failed; that this failed too is in the workload's state.
    context.log.error(
      { workload: running.name, error: messageOf(error) },
      'the revision before could not be started again either',
    );
  }
}

function noGoodRevision({ name }: Running): EngineError {
  return new EngineError('ENGINE_NO_REVISION', `${name} has no earlier good revision`, {
    exit: exitStatus.usage,
    hint: 'A revision is good after it ran clean for as long as the policy asks; provost inspect shows which are.',
  });
}
