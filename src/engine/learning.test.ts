import { describe, expect, it } from 'vitest';
import { createModel, judge, LEARNING_WINDOWS, type Window } from '../behaviour/index.ts';
import { initialRuntimeState, type RuntimeSettings, type RuntimeState, stepRuntime } from '../trust/index.ts';
import { type Baseline, learntHere } from './code-memory.ts';
import { learnWhenCalm } from './learning.ts';
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

function window(cpuMs: number): Window {
  const memory = { memoryBytes: 1e6, memoryPeakBytes: 1e6 };
  return { ...quietWindow, ...memory, cpuMs, syscalls: new Map([[1, 100]]) };
}

interface Learner {
  baseline: Baseline;
  state: RuntimeState;
  alarms: number;
}

function openLearner(): Learner {
  return {
    baseline: { model: createModel('x64'), origin: learntHere, waiting: [] },
    state: initialRuntimeState(settings),
    alarms: 0,
  };
}

function watch(learner: Learner, cpuMs: number): void {
  const one = window(cpuMs);
  const verdict = judge(learner.baseline.model, one, { active: true, grant: null });
  const step = stepRuntime(learner.state, verdict, settings);
  learner.baseline = learnWhenCalm(learner.baseline, { window: one, verdict, step, alarmAt: settings.alarmAt });
  learner.state = step.state;
  if (step.alarmed) learner.alarms += 1;
}

describe('learning', () => {
  const NORMAL = LEARNING_WINDOWS + 60;

  it('takes no window of an attack for normal, however long it lasts', () => {
    const learner = openLearner();
    for (let at = 0; at < NORMAL; at += 1) watch(learner, 50);
    const { windows } = learner.baseline.model;
    for (let at = 0; at < 30; at += 1) watch(learner, 900);
    expect(learner.alarms).toBe(1);
    expect(learner.baseline.model.windows).toBe(windows);
    expect(learner.baseline.waiting).toEqual([]);
  });

  it('learns a single odd window once calm has returned', () => {
    const learner = openLearner();
    for (let at = 0; at < NORMAL; at += 1) watch(learner, 50);
    const { windows } = learner.baseline.model;
    watch(learner, 900);
    expect(learner.baseline.model.windows).toBe(windows);
    for (let at = 0; at < 10; at += 1) watch(learner, 50);
    expect(learner.alarms).toBe(0);
    expect(learner.baseline.model.windows).toBe(windows + 11);
  });
});
