import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/seeded-random.ts';
import { canonicalJson } from '../base/index.ts';
import {
  type AuditEvent,
  createModel,
  judge,
  learn,
  LEARNING_WINDOWS,
  type Model,
  modelDigest,
  parseModel,
  type Window,
} from './index.ts';

const quiet: Window = {
  startMs: 0,
  durationMs: 1000,
  cpuMs: 20,
  throttledMs: 0,
  memoryBytes: 30_000_000,
  memoryPeakBytes: 30_000_000,
  majorFaults: 0,
  minorFaults: 40,
  memoryLimitHits: 0,
  oomKills: 0,
  readBytes: 0,
  writeBytes: 4096,
  pids: 3,
  rxBytes: 20_000,
  txBytes: 40_000,
  rxPackets: 100,
  txPackets: 120,
  droppedPackets: 0,
  newDestinations: [],
  syscalls: new Map([
    [0, 300],
    [1, 300],
    [232, 200],
  ]),
  audit: [],
  coverage: 1,
};

const noCode = { writableExecutableBytes: 0, processes: [], touchedWithinMs: 7, isWhole: true };
const options = { active: true, grant: null };

/** A program with ups and downs: heavy tails of bytes and calls, now and then a new peer, a new program, a rare call. */
function busyWindow(random: () => number): Window {
  const heavy = 1 / (random() + 0.002);
  const calls = 200 + Math.floor(random() * 2000 * heavy);
  const rare = Math.floor(random() * random() * 200);
  const peers = random() < 0.3 ? Math.floor(random() * 6) : 0;
  const audit: AuditEvent[] =
    random() < 0.05
      ? [{ timeMs: 0, kind: 'exec', comm: 'x', pid: 1, target: `/bin/${Math.floor(random() * 400)}` }]
      : [];
  return {
    ...quiet,
    cpuMs: 10 + 900 * random() * random(),
    rxBytes: Math.floor(30_000 * heavy),
    txPackets: Math.floor(90 * heavy),
    newDestinations: Array.from({ length: peers }, () => `10.0.${Math.floor(random() * 200)}.1:443/tcp`),
    syscalls: new Map([
      [0, calls],
      [1, Math.floor(calls * random())],
      [rare, 1 + Math.floor(3 * random())],
    ]),
    audit,
  };
}

function learnt(windows: number, next: (at: number) => Window): Model {
  let model = createModel();
  for (let at = 0; at < windows; at += 1) model = learn(model, next(at));
  return model;
}

const steady = learnt(200, (at) => ({ ...quiet, cpuMs: 15 + (at % 10) }));

describe('judge', () => {
  it('calls what it has always seen normal', () => {
    expect(judge(steady, quiet, options)).toEqual({
      anomaly: 0,
      coverage: 1,
      active: true,
      durationMs: 1000,
      violations: [],
      reasons: [],
    });
  });

  it('ranks what it has never seen above everything that it learnt, and says why', () => {
    const odd: Window = { ...quiet, cpuMs: 990, syscalls: new Map([...quiet.syscalls, [41, 50]]), txBytes: 90_000_000 };
    const verdict = judge(steady, odd, options);
    expect(verdict.anomaly).toBeGreaterThan(0.99);
    expect(verdict.reasons.join('\n')).toMatch(/990 ms of CPU a second, where 24 was normal/);
    expect(verdict.reasons.join('\n')).toMatch(/system calls never seen before: socket/);
  });

  it('gives at most five reasons, the strongest first', () => {
    const everything: Window = {
      ...quiet,
      cpuMs: 1000,
      minorFaults: 1e6,
      majorFaults: 1e5,
      readBytes: 1e9,
      writeBytes: 1e9,
      rxBytes: 1e9,
      txBytes: 1e9,
      pids: 500,
      newDestinations: ['10.0.0.1:1/tcp'],
    };
    const { reasons } = judge(steady, everything, options);
    expect(reasons).toHaveLength(5);
    expect(reasons[0]).toContain('a second');
  });

  it('finds no anomaly while it learns, but holds the rules', () => {
    const young = learnt(LEARNING_WINDOWS - 1, () => quiet);
    const shadow: AuditEvent = { timeMs: 0, kind: 'open', comm: 'cat', pid: 7, target: '…/etc/shadow' };
    const verdict = judge(young, { ...quiet, cpuMs: 1e6, audit: [shadow] }, options);
    expect(verdict.anomaly).toBe(0);
    expect(verdict.violations).toHaveLength(1);
    expect(verdict.reasons).toEqual([`learning: 29 of ${LEARNING_WINDOWS} windows`]);
  });

  it('takes three times as much as ever for the ups and downs of a program, and more for news', () => {
    const model = learnt(200, () => ({ ...quiet, cpuMs: 200 }));
    expect(judge(model, { ...quiet, cpuMs: 599 }, options).anomaly).toBe(0);
    expect(judge(model, { ...quiet, cpuMs: 601 }, options).anomaly).toBeGreaterThan(0.99);
  });

  it('lets one window set no measure, and two set it', () => {
    const once = learn(steady, { ...quiet, cpuMs: 900 });
    expect(judge(once, { ...quiet, cpuMs: 900 }, options).anomaly).toBeGreaterThan(0.98);
    expect(judge(learn(once, { ...quiet, cpuMs: 900 }), { ...quiet, cpuMs: 900 }, options).anomaly).toBe(0);
  });

  it('asks nothing of a window in which nothing happened', () => {
    expect(judge(steady, { ...quiet, syscalls: new Map([[400, 1]]) }, { ...options, active: false }).anomaly).toBe(0);
  });

  it('judges an idle window that started a program', () => {
    const event: AuditEvent = { timeMs: 0, kind: 'exec', comm: 'x', pid: 9, target: '/tmp/dropper' };
    const verdict = judge(steady, { ...quiet, audit: [event] }, { ...options, active: false });
    expect(verdict.anomaly).toBeGreaterThan(0.99);
    expect(verdict.reasons).toEqual(['programs never seen before: /tmp/dropper']);
  });
});

describe('calibration', () => {
  const seeds = [1, 2, 3, 4, 5];
  const windows = 3000;

  it.each(seeds)('promises P(anomaly ≥ 1 − p) ≤ p on windows like those that it learnt (seed %i)', (seed) => {
    const random = seededRandom(seed);
    let model = learnt(LEARNING_WINDOWS + 100, () => busyWindow(random));
    const anomalies: number[] = [];
    for (let at = 0; at < windows; at += 1) {
      const window = busyWindow(random);
      anomalies.push(judge(model, window, options).anomaly);
      model = learn(model, window);
    }
    for (const p of [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]) {
      const seen = anomalies.filter((anomaly) => anomaly >= 1 - p).length / windows;
      const deviation = Math.sqrt((p * (1 - p)) / windows);
      expect(seen, `p = ${p}`).toBeLessThanOrEqual(p + 3 * deviation);
    }
    // A detector that never speaks would keep the promise too.
    const loud = anomalies.filter((anomaly) => anomaly >= 0.8).length / windows;
    expect(loud).toBeGreaterThan(0.05);
  });
});

const windowOf = fc.record({
  cpuMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  txBytes: fc.nat(),
  pids: fc.nat(1000),
  newDestinations: fc.array(fc.string({ maxLength: 300 }), { maxLength: 20 }),
  calls: fc.array(fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 1e6 })), { maxLength: 20 }),
  targets: fc.array(fc.string({ unit: 'binary', maxLength: 256 }), { maxLength: 10 }),
});

function hostile(parts: { calls: [number, number][]; targets: string[] } & Partial<Window>): Window {
  const { calls, targets, ...rest } = parts;
  const audit = targets.flatMap((target): AuditEvent[] => [
    { timeMs: 0, kind: 'exec', comm: 'x', pid: 1, target },
    { timeMs: 0, kind: 'open', comm: 'x', pid: 1, target },
  ]);
  return { ...quiet, ...rest, syscalls: new Map(calls), audit };
}

describe('the model', () => {
  it('gives the same bits for the same windows, in whatever order their calls were counted', () => {
    fc.assert(
      fc.property(fc.array(windowOf, { minLength: 1, maxLength: 60 }), windowOf, (history, last) => {
        const run = (turn: (calls: [number, number][]) => [number, number][]): string => {
          let model = createModel();
          for (const parts of history)
            model = learn(model, hostile({ ...parts, calls: turn([...new Map(parts.calls)]) }));
          const window = hostile({ ...last, calls: turn([...new Map(last.calls)]) });
          return modelDigest(model) + canonicalJson(judge(model, window, options));
        };
        expect(run((calls) => calls)).toBe(run((calls) => calls.toReversed()));
      }),
      { numRuns: 30 },
    );
  });

  it('survives its own JSON', () => {
    const stored = JSON.parse(canonicalJson(steady)) as Model;
    expect(modelDigest(stored)).toBe(modelDigest(steady));
    expect(judge(stored, quiet, options)).toEqual(judge(steady, quiet, options));
  });

  it('stays within 96 KiB, whatever it is taught', () => {
    let model = createModel();
    for (let at = 0; at < 400; at += 1) {
      const name = (n: number): string => `${at}.${n}`.padEnd(256, '語');
      model = learn(model, {
        ...hostile({
          calls: Array.from({ length: 600 }, (_, n) => [n, 1]),
          targets: Array.from({ length: 9 }, (_, n) => name(n)),
        }),
        cpuMs: at / 3,
        newDestinations: Array.from({ length: 9 }, (_, n) => name(n)),
        dnsNames: Array.from({ length: 9 }, (_, n) => (n === 0 ? name(n) : `x.${'\\\\'.repeat(40)}${at}-${n}`)),
        begunFlows: at / 3,
        memoryLook: { ...noCode, changedCodePages: at / 3, anonymousExecutableBytes: at / 3, touchedBytes: at / 3 },
        grams: new Map(Array.from({ length: 2000 }, (_, n) => [(at * 997 + n * 33) % 65_536, 1])),
      });
    }
    expect(Buffer.byteLength(canonicalJson(model))).toBeLessThanOrEqual(96 * 1024);
    expect(model.calls.at(-1)).toBe(511);
    expect(model.zones).toHaveLength(48);
    expect(parseModel(JSON.parse(canonicalJson(model)))).toEqual(model);
  });

  it('leaves the model that it was given as it was', () => {
    const before = modelDigest(steady);
    learn(steady, { ...quiet, cpuMs: 5000, newDestinations: ['10.9.9.9:1/tcp'] });
    expect(modelDigest(steady)).toBe(before);
  });
});
