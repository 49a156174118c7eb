// The protocol by which the window detectors are judged on a recording: as the engine runs them, learnt from the normal training runs alone.
import { createModel, judge } from '../src/behaviour/index.ts';
import { type Baseline, learntHere } from '../src/engine/code-memory.ts';
import { learnWhenCalm } from '../src/engine/learning.ts';
import { isActive } from '../src/sandbox/index.ts';
import { initialRuntimeState, type RuntimeSettings, type RuntimeState, stepRuntime } from '../src/trust/index.ts';
import type { Manifest } from './dataset/manifest.ts';
import type { LabelledWindow, Recorded } from './dataset/recording-folder.ts';

type Run = Manifest['runs'][number];

/** From these on the default policy acts by itself: it cuts the network and restricts. Lesser ones alert. */
const ACTED_ON: ReadonlySet<string> = new Set(['high', 'critical']);
const MS_PER_MINUTE = 60_000;
/** With no event seen, a rate above this many over the time is ruled out at 95 %. @source the rule of three */
const RULE_OF_THREE = 3;

/** What the engine would have opened an incident for: once for each kind and severity of an instance. */
export interface Finding {
  readonly kind: string;
  readonly severity: string;
  /** From the start of its window, before or after the behaviour was told to begin; null in a normal run. */
  readonly afterMs: number | null;
  readonly reason: string;
}

/** What became of one run. */
export interface RunOutcome {
  readonly id: string;
  readonly workload: string;
  readonly split: Run['split'];
  readonly behaviour: string | null;
  readonly keptOut: boolean;
  /** Of an attack: an incident from its beginning on; and one that the policy acts on by itself. */
  readonly caught: boolean;
  readonly actedOn: boolean;
  /** From the beginning of the attack to the end of the window that told; null when none did. */
  readonly caughtAfterMs: number | null;
  /** Largest anomaly of the attack's windows. */
  readonly anomaly: number;
  readonly findings: readonly Finding[];
}

export interface Share {
  readonly caught: number;
  readonly actedOn: number;
  readonly runs: number;
}

/** Benign time, and what was found in it all the same. */
export interface FalseFindings {
  readonly containerMinutes: number;
  readonly alerts: number;
  readonly actions: number;
  /** Per 1,000 container-minutes. */
  readonly actionsPerThousand: number;
  /** What 95 % of such recordings would stay below, where none was seen; else null. */
  readonly boundPerThousand: number | null;
}

export interface BehaviourOutcome extends Share {
  readonly behaviour: string;
  readonly technique: string;
  readonly manner: string;
  readonly keptOut: boolean;
  /** What told, first what told first. */
  readonly kinds: readonly string[];
}

/** What `npm run evaluate -- --windows FOLDER --json` prints. */
export interface WindowEvaluation {
  readonly counts: Manifest['counts'];
  /** Behaviours that may be tuned to, those runs of them that may not be, and behaviours that may not be at all. */
  readonly attacks: { readonly validation: Share; readonly test: Share; readonly open: Share; readonly keptOut: Share };
  readonly falseFindings: FalseFindings;
  readonly behaviours: readonly BehaviourOutcome[];
  readonly runs: readonly RunOutcome[];
}

/** Evaluates a recording; the settings are the policy's. The same recording gives the same outcome. */
export function evaluateWindows({ manifest, windows }: Recorded, settings: RuntimeSettings): WindowEvaluation {
  const learnt = new Map<string, Watch>();
  const outcomes: RunOutcome[] = [];
  let benignMs = 0;
  const trained = manifest.runs.filter(({ split }) => split === 'train');
  for (const run of trained) {
    const watch = learnt.get(run.workload) ?? firstWatch(settings);
    learnt.set(run.workload, follow({ watch, settings }, run, windows.get(run.id) ?? []).watch);
  }
  for (const run of manifest.runs.filter(({ split }) => split !== 'train')) {
    const watch = learnt.get(run.workload) ?? firstWatch(settings);
    const own = windows.get(run.id) ?? [];
    outcomes.push(outcomeOf(run, follow({ watch, settings }, run, own)));
    benignMs += benignTime(run, own);
  }
  const attacks = outcomes.filter(({ behaviour }) => behaviour !== null);
  const open = attacks.filter(({ keptOut }) => !keptOut);
  return {
    counts: manifest.counts,
    attacks: {
      validation: shareOf(open.filter(({ split }) => split === 'validation')),
      test: shareOf(open.filter(({ split }) => split === 'test')),
      open: shareOf(open),
      keptOut: shareOf(attacks.filter(({ keptOut }) => keptOut)),
    },
    falseFindings: falseFindingsOf(outcomes, benignMs / MS_PER_MINUTE),
    behaviours: byBehaviour(manifest.runs, attacks),
    runs: outcomes,
  };
}

/** What the engine remembers of one artifact. */
interface Watch {
  readonly baseline: Baseline;
  readonly state: RuntimeState;
}

function firstWatch(settings: RuntimeSettings): Watch {
  const model = createModel(process.arch === 'arm64' ? 'arm64' : 'x64');
  return { baseline: { model, waiting: [], origin: learntHere }, state: initialRuntimeState(settings) };
}

interface Followed {
  readonly watch: Watch;
  readonly findings: readonly Finding[];
  readonly anomaly: number;
}

/** Judges, folds and learns each window of a run, as the engine does; what was learnt before is not changed. */
function follow(
  { watch, settings }: { readonly watch: Watch; readonly settings: RuntimeSettings },
  run: Run,
  windows: readonly LabelledWindow[],
): Followed {
  let { baseline, state } = watch;
  const findings: Finding[] = [];
  let anomaly = 0;
  for (const { window, label } of windows) {
    const verdict = judge(baseline.model, window, { active: isActive(window), grant: run.grant });
    const step = stepRuntime(state, verdict, settings);
    state = step.state;
    if (label === 'attack') anomaly = Math.max(anomaly, verdict.anomaly);
    const afterMs = run.attack === null ? null : window.startMs + window.durationMs - run.attack.fromMs;
    const found: Omit<Finding, 'afterMs'>[] = [...verdict.violations];
    if (step.alarmed) found.push({ kind: 'alarm', severity: 'high', reason: verdict.reasons[0] ?? '' });
    for (const { kind, severity, reason } of found) findings.push({ kind, severity, reason, afterMs });
    baseline = learnWhenCalm(baseline, { verdict, window, step, alarmAt: settings.alarmAt });
  }
  return { watch: { baseline, state }, findings: eachOnce(findings), anomaly };
}

/** Before and after the beginning of an attack apart, as what came before is a mistake and no merit. */
function eachOnce(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter((one) => {
    const key = `${one.kind}/${one.severity}/${isOfAttack(one)}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** In a window that ended after the behaviour was told to begin. */
function isOfAttack({ afterMs }: Finding): boolean {
  return afterMs !== null && afterMs > 0;
}

function outcomeOf(run: Run, { findings, anomaly }: Followed): RunOutcome {
  const { id, workload, split, behaviour, keptOut } = run;
  const ofAttack = findings.filter(isOfAttack);
  return {
    id,
    workload,
    split,
    behaviour,
    keptOut,
    caught: ofAttack.length > 0,
    actedOn: ofAttack.some(({ severity }) => ACTED_ON.has(severity)),
    caughtAfterMs: ofAttack[0]?.afterMs ?? null,
    anomaly,
    findings,
  };
}

function benignTime(run: Run, windows: readonly LabelledWindow[]): number {
  const { attack } = run;
  return windows
    .filter(({ window }) => attack === null || window.startMs + window.durationMs <= attack.fromMs)
    .reduce((sum, { window }) => sum + window.durationMs, 0);
}

function falseFindingsOf(outcomes: readonly RunOutcome[], containerMinutes: number): FalseFindings {
  const found = outcomes.flatMap(({ findings }) => findings.filter((one) => !isOfAttack(one)));
  const actions = found.filter(({ severity }) => ACTED_ON.has(severity)).length;
  const perThousand = (count: number): number => (containerMinutes === 0 ? 0 : (count * 1000) / containerMinutes);
  return {
    containerMinutes,
    alerts: found.length - actions,
    actions,
    actionsPerThousand: perThousand(actions),
    boundPerThousand: actions === 0 ? perThousand(RULE_OF_THREE) : null,
  };
}

function shareOf(outcomes: readonly RunOutcome[]): Share {
  return {
    caught: outcomes.filter(({ caught }) => caught).length,
    actedOn: outcomes.filter(({ actedOn }) => actedOn).length,
    runs: outcomes.length,
  };
}

function byBehaviour(runs: readonly Run[], attacks: readonly RunOutcome[]): BehaviourOutcome[] {
  const first = new Map(runs.flatMap((run): [string, Run][] => (run.behaviour === null ? [] : [[run.behaviour, run]])));
  return [...first].map(([behaviour, { technique, manner, keptOut }]) => {
    const own = attacks.filter((one) => one.behaviour === behaviour);
    const kinds = own.flatMap(({ findings }) => findings.filter(isOfAttack).map(({ kind }) => kind));
    return {
      behaviour,
      technique: technique ?? '',
      manner: manner ?? '',
      keptOut,
      kinds: [...new Set(kinds)],
      ...shareOf(own),
    };
  });
}
