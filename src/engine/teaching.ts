// `baseline learn` as a use case: a phase that a person vouches for, in the ledger before it counts and with what it came to.
import type { LearningDocument, LearningProgress, LearnRequest } from '../api/index.ts';
import { modelDigest } from '../behaviour/index.ts';
import { exitStatus } from '../base/index.ts';
import { findSubject, type FoundSubject } from './baseline-subject.ts';
import { withPhase } from './code-memory.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { LearningPhase, type PhaseEnd } from './learning-phase.ts';
import { documentTypes } from './recording.ts';
import type { Running } from './running.ts';
import { recordPersonal } from './signing-entries.ts';

/** How often time and workloads are looked at. */
const POLL_MS = 100;
/** A workload between two instances is not gone before it was missed so often: a relaunch takes its time. */
const MISSED_MAX = 50;

/** What beside the request a phase is given. */
export interface Teaching {
  readonly report: (progress: LearningProgress) => void;
  /** Ends the phase; what it has learnt stays. */
  readonly signal: AbortSignal;
}

/**
 * Runs a learning phase to its end.
 *
 * @throws EngineError ENGINE_LEARNING when nothing of it runs, or a phase is under way; ProvenanceError as `recordPersonal`
 */
export async function learnBaseline(
  context: EngineContext,
  request: LearnRequest,
  { report, signal }: Teaching,
): Promise<LearningDocument> {
  const about = await findSubject(context, request);
  refuseUnlessRunning(context, about);
  if (context.phases.has(about.digest)) throw phaseUnderWay(about);
  const startedMs = context.clock.nowMs();
  const untilMs = startedMs + request.forMs;
  const scope = { artifactDigest: about.digest, workload: about.workload, startedMs, untilMs };
  const phase = new LearningPhase({ ...scope, windowsMax: request.windowsMax }, (counts) =>
    report({ event: 'learning', ...counts, elapsedMs: context.clock.nowMs() - startedMs }),
  );
  // Nobody else starts one while the entry is written; it begins to teach with the first window after that.
  const placeholder = new LearningPhase({ ...scope, untilMs: startedMs, windowsMax: 1 }, () => {});
  context.phases.set(about.digest, placeholder);
  // By the time that its end is recorded, another may have begun.
  const release = (): void => {
    const held = context.phases.get(about.digest);
    if (held === placeholder || held === phase) context.phases.delete(about.digest);
  };
  try {
    const logIndex = await recordStart(context, about, request, scope);
    context.phases.set(about.digest, phase);
    watch(context, phase, about);
    signal.addEventListener('abort', () => phase.end('interrupted'), { once: true });
    if (signal.aborted) phase.end('interrupted');
    const ended = await phase.ended;
    const concluded = conclude(context, { about, phase, ended, request, logIndex });
    release();
    await recordEnd(context, about, concluded);
    return concluded;
  } finally {
    release();
  }
}

function refuseUnlessRunning(context: EngineContext, about: FoundSubject): void {
  if (runsOf(context, about).some(({ instance }) => instance !== null)) return;
  throw new EngineError(
    'ENGINE_LEARNING',
    `nothing that can be learnt from runs of ${about.workload ?? about.digest}`,
    {
      exit: exitStatus.usage,
      hint: 'Start it first, let it do its usual work, and learn then; provost ps shows what runs.',
    },
  );
}

/** The error that says that an artifact is being learnt already. */
export function phaseUnderWay({ digest }: FoundSubject): EngineError {
  return new EngineError('ENGINE_LEARNING', `a learning phase of ${digest} is under way`, {
    exit: exitStatus.usage,
    hint: 'Wait until it has ended.',
  });
}

function runsOf({ workloads }: EngineContext, { digest, workload }: FoundSubject): Running[] {
  return [...workloads.values()].filter(
    ({ name, revision }) => revision.artifact.digest === digest && (workload === null || name === workload),
  );
}

/** Ends it when its time is over, or what it watches has gone. */
function watch(context: EngineContext, phase: LearningPhase, about: FoundSubject): void {
  let missed = 0;
  const look = async (): Promise<void> => {
    const { startedMs, untilMs } = phase.scope;
    const nowMs = context.clock.nowMs();
    if (nowMs >= untilMs || nowMs < startedMs) phase.end('time');
    missed = runsOf(context, about).some(({ instance }) => instance !== null) ? 0 : missed + 1;
    if (missed > MISSED_MAX) phase.end('stopped');
    if (context.phases.get(about.digest) === phase) context.later(POLL_MS, look);
  };
  context.later(POLL_MS, look);
}

function recordStart(
  context: EngineContext,
  { digest, name, workload }: FoundSubject,
  { reason, windowsMax, key = null }: LearnRequest,
  { untilMs }: { readonly untilMs: number },
): Promise<number> {
  const entry = {
    kind: 'override',
    type: documentTypes.learning,
    document: { learning: { artifact: digest, workload, untilMs, windowsMax, reason } },
    subjects: [digest],
    parents: [],
    flush: true,
  } as const;
  return recordPersonal(context, entry, { key, artifactName: name });
}

interface Conclusion {
  readonly about: FoundSubject;
  readonly phase: LearningPhase;
  readonly ended: PhaseEnd;
  readonly request: LearnRequest;
  readonly logIndex: number;
}

/** Keeps what was learnt, or takes it back; at once, so that no window comes between. */
function conclude(context: EngineContext, { about, phase, ended, request, logIndex }: Conclusion): LearningDocument {
  const { memory, clock } = context;
  const endedMs = clock.nowMs();
  const { startedMs } = phase.scope;
  for (const [driver, before] of phase.before) {
    const taught = memory.baselineOf(about.digest, driver);
    const windows = taught.model.windows - before.model.windows;
    const record = { startedMs, endedMs, windows, reason: request.reason, logIndex };
    memory.putBaseline(
      about.digest,
      driver,
      ended === 'alarm' ? before : { ...taught, origin: withPhase(taught.origin, record) },
    );
  }
  memory.save(endedMs, { now: true });
  const baselines = [...phase.before.keys()].map((driver) => {
    const { model } = memory.baselineOf(about.digest, driver);
    return { driver, windows: model.windows, modelDigest: modelDigest(model) };
  });
  const { digest, name, workload } = about;
  const tookMs = endedMs - startedMs;
  return { artifact: { digest, name }, workload, ended, ...phase.counts, baselines, tookMs, logIndex };
}

/** What a phase came to, said by the home. */
async function recordEnd(
  context: EngineContext,
  { digest, name }: FoundSubject,
  learnt: LearningDocument,
): Promise<void> {
  const entry = {
    kind: 'override',
    type: documentTypes.learning,
    document: { learnt },
    subjects: [digest],
    parents: [learnt.logIndex],
    flush: false,
  } as const;
  await recordPersonal(context, entry, { key: null, artifactName: name });
}
