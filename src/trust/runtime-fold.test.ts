import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { initialRuntimeState, runtimeEvidence, stepRuntime } from './runtime-fold.ts';
import type { RuntimeSettings, RuntimeState, RuntimeVerdict, Severity, Violation } from './runtime-state.ts';

const settings: RuntimeSettings = {
  startScore: 0.2,
  tauMs: 600_000,
  coverageMin: 0.95,
  alarmAt: 1_000_000,
  calmBelow: 20,
  alarmFactor: 0.25,
  violationFactors: { low: 0.9, medium: 0.6, high: 0.2, critical: 0 },
};

const start = initialRuntimeState(settings);
const calm: RuntimeVerdict = { anomaly: 0, coverage: 1, active: true, durationMs: 1000, violations: [], reasons: [] };

function violationOf(severity: Severity): Violation {
  return { kind: 'k', severity, reason: 'r' };
}

function fold(from: RuntimeState, verdicts: readonly RuntimeVerdict[]) {
  let state = from;
  const alarms: number[] = [];
  for (const [at, verdict] of verdicts.entries()) {
    const step = stepRuntime(state, verdict, settings);
    if (step.alarmed) alarms.push(at);
    state = step.state;
  }
  return { state, alarms };
}

const repeat = (verdict: RuntimeVerdict, count: number) => Array.from({ length: count }, () => verdict);

describe('stepRuntime', () => {
  it('raises by (1 − r)·Δt/τ for an active window that was seen', () => {
    expect(stepRuntime(start, calm, settings).state.score).toBeCloseTo(0.2 + (0.8 * 1000) / 600_000, 12);
  });

  it('raises the same over ten windows of 100 ms as over one of 1 s, within a thousandth', () => {
    const fine = fold(start, repeat({ ...calm, durationMs: 100 }, 10)).state.score;
    expect(fine).toBeCloseTo(stepRuntime(start, calm, settings).state.score, 3);
  });

  it('approaches 1 and never passes it', () => {
    expect(fold(start, repeat({ ...calm, durationMs: 3_600_000 }, 3)).state.score).toBe(1);
  });

  it('raises nothing for an idle window, or one seen less than the policy asks', () => {
    expect(stepRuntime(start, { ...calm, active: false }, settings).state).toEqual({ ...start, windows: 1 });
    expect(stepRuntime(start, { ...calm, coverage: 0.949 }, settings).state.score).toBe(start.score);
    expect(stepRuntime(start, { ...calm, coverage: 0.95 }, settings).state.score).toBeGreaterThan(start.score);
  });

  it('never raises above the share that was seen', () => {
    const seen = { ...calm, coverage: 0.96, durationMs: 600_000 };
    expect(fold(start, repeat(seen, 50)).state.score).toBe(0.96);
    const already = { ...start, score: 0.99 };
    expect(stepRuntime(already, seen, settings).state.score).toBe(0.99);
  });

  it('does not alarm for one odd window, nor earn in it, and forgets it', () => {
    const odd = { ...calm, anomaly: 1 };
    const { state, alarms } = fold(start, [odd, ...repeat({ ...calm, anomaly: 0.5 }, 6)]);
    expect(alarms).toEqual([]);
    expect(state.suspicion).toBe(1);
    expect(stepRuntime(start, odd, settings).state.score).toBe(start.score);
  });

  it('alarms within five windows of the strangest kind, once, and lowers the score at once', () => {
    const earned = fold(start, repeat(calm, 1200)).state;
    const { state, alarms } = fold(earned, repeat({ ...calm, anomaly: 1 }, 5));
    expect(alarms).toEqual([4]);
    expect(state.score).toBeCloseTo(earned.score * 0.25, 12);
    expect(state.cleanMs).toBe(0);
    const later = fold(state, repeat({ ...calm, anomaly: 1 }, 3));
    expect(later.alarms).toEqual([]);
    expect(later.state.score).toBeLessThan(state.score);
  });

  it('earns again once calm windows have worn the suspicion off', () => {
    const alarmed = fold(start, repeat({ ...calm, anomaly: 1 }, 5)).state;
    const { state } = fold(alarmed, repeat({ ...calm, anomaly: 0.5 }, 60));
    expect(state.suspicion).toBe(1);
    expect(state.score).toBeGreaterThan(alarmed.score);
    expect(state.alarms).toBe(1);
  });

  it.each([
    ['low', 0.9],
    ['medium', 0.6],
    ['high', 0.2],
    ['critical', 0],
  ] as const)('lowers the score at once by a violation that is %s', (severity, factor) => {
    const state = { ...start, score: 0.8, cleanMs: 5000 };
    const next = stepRuntime(
      state,
      { ...calm, violations: [violationOf('low'), violationOf(severity)] },
      settings,
    ).state;
    expect(next.score).toBe(0.8 * factor);
    expect(next.cleanMs).toBe(0);
  });

  it('has at most the promised rate of false alarms on calibrated normal windows', () => {
    // 2,000,000 uniform windows at a threshold of 1,000: at most 2,000 alarms are promised on average, by the e-detector's bound.
    const quick = { ...settings, alarmAt: 1000 };
    let seed = 20_260_905;
    let alarms = 0;
    let state = start;
    for (let window = 0; window < 2_000_000; window += 1) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      const step = stepRuntime(state, { ...calm, anomaly: seed / 2 ** 32 }, quick);
      state = step.alarmed ? start : step.state;
      if (step.alarmed) alarms += 1;
    }
    expect(alarms).toBeGreaterThan(0);
    expect(alarms).toBeLessThanOrEqual(2000);
  });

  it.each([
    ['anomaly', { anomaly: Number.NaN }],
    ['anomaly', { anomaly: 1.01 }],
    ['coverage', { coverage: -0.01 }],
    ['duration', { durationMs: Number.POSITIVE_INFINITY }],
    ['duration', { durationMs: -1 }],
  ])('refuses a window whose %s is no measurement', (what, wrong) => {
    expect(() => stepRuntime(start, { ...calm, ...wrong }, settings)).toThrow(
      expect.objectContaining({ code: 'TRUST_EVIDENCE', message: expect.stringContaining(what) }),
    );
  });
});

const severities: readonly Severity[] = ['low', 'medium', 'high', 'critical'];
const anyRatio = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.79, 0.95, 0.99, 1));
const anyVerdict: fc.Arbitrary<RuntimeVerdict> = fc.record({
  anomaly: anyRatio,
  coverage: fc.oneof(fc.constantFrom(0.94, 0.95, 0.96, 1), anyRatio),
  active: fc.boolean(),
  durationMs: fc.constantFrom(100, 333, 1000, 60_000, 900_000),
  violations: fc.oneof(
    { weight: 8, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(...severities).map(violationOf), { maxLength: 2 }) },
  ),
  reasons: fc.constant([]),
});

/** A window and one that is more anomalous: stranger, more violations, or seen less. */
const anyWorsening = fc
  .record({
    verdict: anyVerdict,
    toward: anyRatio,
    more: fc.array(fc.constantFrom(...severities), { maxLength: 1 }),
    seen: anyRatio,
  })
  .map(({ verdict, toward, more, seen }) => ({
    verdict,
    worse: {
      ...verdict,
      anomaly: Math.max(verdict.anomaly, toward),
      coverage: Math.min(verdict.coverage, seen < 0.5 ? 1 : seen),
      violations: [...verdict.violations, ...more.map(violationOf)],
    },
  }));

describe('the laws of the fold', () => {
  it('never gives a higher score for a more anomalous window, now or after any continuation', () => {
    // Runs of strange windows bring the test to its threshold, where a reset would show.
    const strange = anyVerdict.map((verdict) => ({ ...verdict, anomaly: 1, violations: [] }));
    const anyHistory = fc
      .tuple(fc.array(anyVerdict, { maxLength: 30 }), fc.array(strange, { maxLength: 8 }), fc.boolean())
      .map(([usual, run, strangeFirst]) => (strangeFirst ? [...run, ...usual] : [...usual, ...run]));
    fc.assert(
      fc.property(anyHistory, anyWorsening, anyHistory, (history, { verdict, worse }, rest) => {
        const before = fold(start, history).state;
        let state = stepRuntime(before, verdict, settings).state;
        let worseState = stepRuntime(before, worse, settings).state;
        for (const next of [null, ...rest]) {
          if (next !== null) {
            state = stepRuntime(state, next, settings).state;
            worseState = stepRuntime(worseState, next, settings).state;
          }
          expect(worseState.score).toBeLessThanOrEqual(state.score);
          expect(worseState.suspicion).toBeGreaterThanOrEqual(state.suspicion);
          expect(worseState.cleanMs).toBeLessThanOrEqual(state.cleanMs);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps the score in 0..1 and the suspicion between 1 and the threshold', () => {
    fc.assert(
      fc.property(fc.array(anyVerdict, { maxLength: 60 }), (verdicts) => {
        const { state } = fold(start, verdicts);
        expect(state.score).toBeGreaterThanOrEqual(0);
        expect(state.score).toBeLessThanOrEqual(1);
        expect(state.suspicion).toBeGreaterThanOrEqual(1);
        expect(state.suspicion).toBeLessThanOrEqual(settings.alarmAt);
      }),
    );
  });

  it('gives the same bits after a trip through its stored form', () => {
    fc.assert(
      fc.property(fc.array(anyVerdict, { maxLength: 20 }), anyVerdict, (verdicts, next) => {
        const { state } = fold(start, verdicts);
        const stored = JSON.parse(canonicalJson(state)) as RuntimeState;
        expect(canonicalJson(stepRuntime(stored, next, settings))).toBe(
          canonicalJson(stepRuntime(state, next, settings)),
        );
      }),
    );
  });
});

describe('runtimeEvidence', () => {
  it('says that nothing was seen yet', () => {
    expect(runtimeEvidence(start, 'runtime')).toMatchObject({
      check: 'runtime.behaviour',
      score: 0.2,
      reason: 'never seen running here',
    });
  });

  it('says how much clean activity earned the score', () => {
    const { state } = fold(start, repeat(calm, 90));
    expect(runtimeEvidence(state, 'runtime').reason).toBe(
      '90 s of clean activity since the last alarm, 90 windows, 0 alarms',
    );
  });
});
