// The start of a revision that the workload has already: judged anew, within the host's room, logged, launched.
import { exitStatus } from '../base/index.ts';
import type { TierState } from '../policy/index.ts';
import { copyGrant } from './allocating.ts';
import { assess } from './assessing.ts';
import type { EngineContext } from './context.ts';
import { decideNow, recordDecision, standingOf, startSubject } from './deciding.ts';
import { EngineError } from './errors.ts';
import { launch } from './launching.ts';
import { makeRoom } from './making-room.ts';
import { publish } from './publishing.ts';
import type { Revision, Running, Standing } from './running.ts';
import { saveWorkload } from './workload-store.ts';

/** What a start will make of a workload, with the room that is kept for it. */
export interface Judged {
  readonly next: Pick<Running, 'revision' | 'standing' | 'findings' | 'publishers'>;
  readonly room: Disposable;
}

/** A revision, and the tier that the workload held; null for other code than that, which takes the tier of its score. */
export interface StartWish {
  readonly revision: Revision;
  readonly tierState: TierState | null;
}

/**
 * Judges a revision for a start, and logs the decision. Nothing that runs is touched but what must make room.
 *
 * @throws EngineError ENGINE_REFUSED, ENGINE_CAPACITY
 */
export async function judgeStart(
  context: EngineContext,
  running: Running,
  { revision, tierState }: StartWish,
): Promise<Judged> {
  const { findings, verification } = await assess(context, revision.artifact, revision.policy);
  const assessed = { findings, publishers: verification.publishers };
  const subject = startSubject(running.name, revision, { ...assessed, override: running.override });
  const decided = decideNow(context, { ...subject, tierState }, null);
  const logIndex = await recordDecision(context, { name: running.name, revision }, decided, { flush: true });
  const standing = standingOf(decided, logIndex);
  if (standing === null) throw refusedBy(decided.outcome.decision.reasons);
  const want = { name: running.name, policy: revision.policy, grant: standing.grant, tier: standing.grantedTier };
  return { next: { revision, standing, ...assessed }, room: await makeRoom(context, want) };
}

/** What a refusal by policy or score says. */
export function refusedBy(reasons: readonly string[]): EngineError {
  return new EngineError('ENGINE_REFUSED', reasons.join('; '), {
    exit: exitStatus.denied,
    hint: 'provost explain says what would raise its score; provost doctor says what this host can enforce.',
    details: { reasons },
  });
}

/** Launches what was judged, and says so. Nothing of the workload may run; call it inside the lane. */
export async function startJudged(
  context: EngineContext,
  running: Running,
  { next }: Judged,
  askedMs: number,
): Promise<void> {
  Object.assign(running, next);
  publish(context, running, admittedEvent(context, next.revision, next.standing));
  await launch(context, running, { askedMs, admitted: Promise.resolve(), announceStreams: null, report: () => {} });
  saveWorkload(context, running);
}

/** The event `admitted` of a revision that is about to start. */
export function admittedEvent(context: EngineContext, revision: Revision, standing: Standing) {
  const { digest, kind, name } = revision.artifact;
  return {
    event: 'admitted' as const,
    artifact: { digest, kind, name },
    score: standing.score.score,
    tier: standing.tier,
    grantedTier: standing.grantedTier,
    grant: copyGrant(standing.grant),
    driver: context.driverNameFor(standing.grant),
    revision: revision.number,
    logIndex: standing.logIndex,
  };
}
