import { describe, expect, it } from 'vitest';
import { createModel, judge, LEARNING_WINDOWS, type Window } from '../behaviour/index.ts';
import { initialRuntimeState, type RuntimeSettings, type RuntimeState, stepRuntime } from '../trust/index.ts';
import { type Baseline, learntHere } from './code-memory.ts';
import { learnWhenCalm } from './learning.ts';
import { LearningPhase, type PhaseCounts } from './learning-phase.ts';
import { quietWindow } from '../../test/quiet-window.ts';

const settings: RuntimeSettings = {
  startScore: 0.2,
  tauMs: 600_000,
  coverageMin: 0.95,
  alarmAt: 1000,
  calmBelow: 20,
  alarmFactor: 0.25,
  violationFactors: { low: 0.9, medium: 0.6, high: 0.2, critical: 0 },
};

const still = { ...quietWindow, memoryBytes: 1e6, memoryPeakBytes: 1e6 };

function window(cpuMs: number, call = 1): Window {
  return { ...still, cpuMs, syscalls: new Map([[call, 100]]) };
}

interface Watched {
  baseline: Baseline;
  state: RuntimeState;
  alarms: number;
}

/** As the loop does it: judged, folded without earning, and then the phase's to take. */
function watch(watched: Watched, phase: LearningPhase | null, one: Window, isViolating = false): void {
  const judged = judge(watched.baseline.model, one, { active: one.cpuMs > 10, grant: null });
  const violations = isViolating
    ? [{ kind: 'credential-access', severity: 'high', reason: 'it read a secret' } as const]
    : [];
  const verdict = { ...judged, violations };
  const step = stepRuntime(watched.state, phase === null ? verdict : { ...verdict, active: false }, settings);
  const judgement = { window: one, verdict, step, alarmAt: settings.alarmAt };
  watched.baseline =
    phase === null
      ? learnWhenCalm(watched.baseline, judgement)
      : phase.take(watched.baseline, { ...judgement, driver: 'runc' });
  watched.state = step.state;
  if (step.alarmed) watched.alarms += 1;
}

function known(): Watched {
  const baseline = { model: createModel('x64'), origin: learntHere, waiting: [] };
  const watched: Watched = { baseline, state: initialRuntimeState(settings), alarms: 0 };
  for (let at = 0; at < LEARNING_WINDOWS + 60; at += 1) watch(watched, null, window(50));
  return watched;
}

function open(windowsMax = 100, counts: PhaseCounts[] = []): LearningPhase {
  const scope = { artifactDigest: 'sha256:a', workload: 'web', startedMs: 1000, untilMs: 2000, windowsMax };
  return new LearningPhase(scope, (now) => counts.push(now));
}

describe('a learning phase', () => {
  it('learns at once a change that would alarm if it were learnt in passing', () => {
    const passing = known();
    for (let at = 0; at < 10; at += 1) watch(passing, null, window(900));
    const vouched = known();
    const counts: PhaseCounts[] = [];
    const phase = open(100, counts);
    for (let at = 0; at < 10; at += 1) watch(vouched, phase, window(900));
    expect([passing.alarms, vouched.alarms]).toEqual([1, 0]);
    expect(vouched.baseline.model.windows).toBe(LEARNING_WINDOWS + 70);
    expect(counts.at(-1)).toEqual({ learnt: 10, unusual: expect.any(Number) as number, violating: 0, idle: 0 });
    expect(counts.at(-1)?.unusual).toBeGreaterThan(0);
    expect(judge(vouched.baseline.model, window(900), { active: true, grant: null }).anomaly).toBeLessThan(0.95);
  });

  it('raises no trust, and lowers it as ever', () => {
    const watched = known();
    const { score, cleanMs } = watched.state;
    const phase = open();
    for (let at = 0; at < 10; at += 1) watch(watched, phase, window(50));
    expect([watched.state.score, watched.state.cleanMs]).toEqual([score, cleanMs]);
    watch(watched, phase, window(50), true);
    expect(watched.state.score).toBeCloseTo(score * 0.2);
  });

  it('never learns what breaks a rule, nor what is idle', () => {
    const watched = known();
    const { model } = watched.baseline;
    const phase = open();
    watch(watched, phase, window(900, 101), true);
    watch(watched, phase, window(0));
    expect(watched.baseline.model).toBe(model);
    expect(phase.counts).toEqual({ learnt: 0, unusual: 0, violating: 1, idle: 1 });
  });

  it('is ended by an alarm, and then nothing of it is kept', async () => {
    const watched = known();
    const { model } = watched.baseline;
    const phase = open();
    watch(watched, phase, window(50));
    expect(watched.baseline.model).not.toBe(model);
    // Each window does what none did before it: no one vouched for that.
    for (let at = 0; watched.alarms === 0 && at < 20; at += 1) watch(watched, phase, window(900 * 4 ** at, 200 + at));
    expect(watched.alarms).toBe(1);
    expect(await phase.ended).toBe('alarm');
    expect(watched.baseline.model).toBe(model);
    expect(phase.counts.learnt).toBe(0);
    expect(phase.covers('sha256:a', 'web', 1500)).toBe(false);
  });

  it('does not begin under suspicion that has alarmed', async () => {
    const watched = known();
    for (let at = 0; at < 5; at += 1) watch(watched, null, window(900));
    expect(watched.alarms).toBe(1);
    const { model } = watched.baseline;
    const phase = open();
    watch(watched, phase, window(900));
    expect(await phase.ended).toBe('alarm');
    expect(watched.baseline.model).toBe(model);
  });

  it('forgets what waited for calm before it: nobody vouched for that', () => {
    const watched = known();
    watch(watched, null, window(900, 101));
    expect(watched.baseline.waiting).toHaveLength(1);
    watch(watched, open(), window(50));
    expect(watched.baseline.waiting).toEqual([]);
    expect(watched.baseline.model.calls).not.toContain(101);
  });

  it('is bounded in windows', async () => {
    const watched = known();
    const phase = open(3);
    for (let at = 0; at < 3; at += 1) watch(watched, phase, window(50));
    expect(await phase.ended).toBe('windows');
    expect(phase.covers('sha256:a', 'web', 1500)).toBe(false);
  });

  it.each<[string, readonly [digest: string, name: string, nowMs: number], boolean]>([
    ['its workload', ['sha256:a', 'web', 1000], true],
    ['another workload', ['sha256:a', 'db', 1500], false],
    ['another artifact', ['sha256:b', 'web', 1500], false],
    ['its last millisecond', ['sha256:a', 'web', 1999], true],
    ['what comes after it', ['sha256:a', 'web', 2000], false],
    ['a clock that was set back', ['sha256:a', 'web', 999], false],
  ])('is asked about %s', (_what, window, isCovered) => {
    expect(open().covers(...window)).toBe(isCovered);
  });

  it('ends once', async () => {
    const phase = open();
    phase.end('interrupted');
    phase.end('time');
    expect(await phase.ended).toBe('interrupted');
  });
});
