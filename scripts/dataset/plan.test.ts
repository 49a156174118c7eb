// The plan of the data set: enough of everything, split by run, and nothing that is kept out among what may be looked at.
import { describe, expect, it } from 'vitest';
import { behaviours } from './behaviours.ts';
import { countsOf, parseManifest, splitBreaches } from './manifest.ts';
import { planRuns, workloads } from './plan.ts';
import { labelOf, plannedPart, type RecordedRun } from './recorded-run.ts';
import { recordingPolicy } from './recorder.ts';
import { parsePolicy } from '../../src/policy/index.ts';

const plan = planRuns({ seed: 7, quick: false });
const WINDOW_MS = 100;

describe('the plan', () => {
  it('has at least eight workloads and 24 behaviours, each with its technique', () => {
    expect(workloads.length).toBeGreaterThanOrEqual(8);
    expect(new Set(behaviours.map(({ id }) => id)).size).toBeGreaterThanOrEqual(24);
    expect(behaviours.filter(({ technique }) => !/^T\d{4}(\.\d{3})?$/.test(technique))).toEqual([]);
    for (const manner of ['plain', 'slow', 'mimicry']) expect(behaviours.map((one) => one.manner)).toContain(manner);
  });

  it('gives at least 2,000 normal and 500 attack windows of 100 ms', () => {
    const normal = plan.filter(({ behaviour }) => behaviour === null);
    const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
    expect(sum(normal.map(({ calmMs }) => calmMs)) / WINDOW_MS).toBeGreaterThan(2000);
    expect(sum(plan.map(({ behaviour }) => behaviour?.actsMs ?? 0)) / WINDOW_MS).toBeGreaterThan(500);
  });

  it('has every workload in every split, and every behaviour in two workloads', () => {
    for (const split of ['train', 'validation', 'test'] as const) {
      const own = plan.filter((run) => run.split === split && run.behaviour === null);
      expect(new Set(own.map(({ workload }) => workload))).toEqual(new Set(workloads));
    }
    for (const { id } of behaviours) {
      const hosts = plan.filter(({ behaviour }) => behaviour?.id === id).map(({ workload }) => workload);
      expect(new Set(hosts).size, id).toBe(2);
    }
  });

  it('keeps a quarter of the behaviours out, of each manner that is not plain one', () => {
    const keptOut = behaviours.filter((one) => one.keptOut);
    expect(keptOut.length).toBeGreaterThanOrEqual(behaviours.length / 5);
    expect(new Set(keptOut.map(({ manner }) => manner))).toEqual(new Set(['plain', 'slow', 'mimicry']));
  });

  it.each([true, false])('splits by run, and never learns or tunes to what is kept out (quick: %s)', (quick) => {
    const runs = planRuns({ seed: 7, quick }).map(plannedPart);
    expect(splitBreaches(runs)).toEqual([]);
    expect(runs.some(({ keptOut }) => keptOut)).toBe(true);
    expect(new Set(runs.map(({ split }) => split))).toEqual(new Set(['train', 'validation', 'test']));
  });

  it('is the same for the same seed, and its loads others for another', () => {
    expect(planRuns({ seed: 7, quick: false })).toEqual(plan);
    const others = planRuns({ seed: 8, quick: false });
    expect(others.map(({ id }) => id)).toEqual(plan.map(({ id }) => id));
    expect(others.filter(({ seed }, at) => seed === plan[at]?.seed)).toEqual([]);
    expect(new Set(plan.map(({ seed }) => seed)).size).toBe(plan.length);
  });

  it('names runs as workloads may be named', () => {
    expect(plan.filter(({ id }) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/.test(id))).toEqual([]);
  });

  it('runs under a policy that watches all and does nothing, without a network', () => {
    const policy = parsePolicy(recordingPolicy(), 'dataset.yaml');
    expect(policy.mode).toBe('observe');
    expect(policy.windows).toMatchObject({ standardMs: WINDOW_MS, detailedMs: WINDOW_MS });
    expect(policy.grants.medium).toMatchObject({ network: 'isolated', logging: 'detailed' });
  });
});

const run = (part: Partial<RecordedRun>): RecordedRun => ({
  id: 'a',
  workload: 'web',
  split: 'test',
  label: 'normal',
  behaviour: null,
  technique: null,
  manner: null,
  keptOut: false,
  seed: 1,
  attack: null,
  grant: { pids: 64, cpu: { millicores: 500 } },
  windows: 1,
  ...part,
});

describe('splits', () => {
  const attack = { label: 'attack', behaviour: 'miner' } as const;

  it.each([
    ['a run in two of them', [run({}), run({ split: 'train' })], /stands twice/],
    ['an attack that is learnt', [run({ ...attack, split: 'train' })], /in the train split/],
    ['a kept-out one that is tuned to', [run({ ...attack, keptOut: true, split: 'validation' })], /kept-out/],
    [
      'one that another run keeps out',
      [run({ ...attack, keptOut: true }), run({ ...attack, id: 'b', split: 'validation' })],
      /kept-out b/,
    ],
    ['an attack without a behaviour', [run({ label: 'attack' })], /labelled attack/],
  ])('refuse %s', (_name, runs, why) => {
    expect(splitBreaches(runs).join()).toMatch(why);
    expect(() => parseManifest(JSON.stringify(manifestOf(runs)))).toThrow(why);
  });
});

function manifestOf(runs: readonly RecordedRun[]): object {
  const digest = '0'.repeat(64);
  const host = { kernel: '6', architecture: 'x64', processors: 2, node: 'v24', runc: '1', python: '3' };
  const counts = countsOf(runs, new Map([['a', { normal: 3, attack: 2 }]]));
  return { version: 1, seed: 7, quick: false, recorded: 'now', host, plan: digest, windows: digest, counts, runs };
}

describe('the manifest', () => {
  it('counts windows by split and label, kept-out behaviours apart', () => {
    const keptOut = run({ id: 'b', label: 'attack', behaviour: 'miner', keptOut: true });
    const labels = new Map([
      ['a', { normal: 3, attack: 0 }],
      ['b', { normal: 1, attack: 2 }],
    ]);
    expect(countsOf([run({}), keptOut], labels)).toEqual({
      train: { runs: 0, normalWindows: 0, attackWindows: 0 },
      validation: { runs: 0, normalWindows: 0, attackWindows: 0 },
      test: { runs: 1, normalWindows: 3, attackWindows: 0 },
      keptOut: { runs: 1, normalWindows: 1, attackWindows: 2 },
    });
  });

  it('is read back whole, and refused when anything in it is not as it must be', () => {
    const good = manifestOf([run({})]);
    expect(parseManifest(JSON.stringify(good))).toEqual(good);
    expect(() => parseManifest('{')).toThrow(/not JSON/);
    for (const bad of [
      { ...good, version: 2 },
      { ...good, runs: [] },
      { ...good, more: 1 },
      { ...good, windows: 'x' },
    ])
      expect(() => parseManifest(JSON.stringify(bad))).toThrow(/^manifest.json/);
  });
});

describe('a window', () => {
  const at = (startMs: number): Parameters<typeof labelOf>[0] =>
    ({ startMs, durationMs: 100 }) as Parameters<typeof labelOf>[0];

  it.each([
    [0, 'normal'],
    [900, 'normal'],
    [901, 'attack'],
    [1500, 'attack'],
    [1999, 'attack'],
    [2000, 'normal'],
  ])('from %i ms of an attack from 1,000 to 2,000 ms is %s', (startMs, label) => {
    expect(labelOf(at(startMs), { fromMs: 1000, toMs: 2000 })).toBe(label);
    expect(labelOf(at(startMs), null)).toBe('normal');
  });
});
