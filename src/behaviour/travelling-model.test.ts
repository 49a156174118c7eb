import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/seeded-random.ts';
import { canonicalJson } from '../base/index.ts';
import {
  type AuditEvent,
  createModel,
  describeModel,
  learn,
  LEARNING_WINDOWS,
  type Model,
  modelDigest,
  type Window,
} from './index.ts';
import { parseTravellingModel } from './travelling-model.ts';

const AUDIT: AuditEvent = { timeMs: 0, kind: 'exec', comm: 'cat', pid: 1, target: '/bin/cat' };

function window(random: () => number): Window {
  const amount = (): number => Math.floor(random() * 1000);
  return {
    startMs: 0,
    durationMs: 1000,
    cpuMs: amount(),
    throttledMs: 0,
    memoryBytes: 30_000_000 + amount(),
    memoryPeakBytes: 31_000_000,
    majorFaults: 0,
    minorFaults: amount(),
    memoryLimitHits: 0,
    oomKills: 0,
    readBytes: amount(),
    writeBytes: amount(),
    pids: 3,
    rxBytes: amount(),
    txBytes: amount(),
    rxPackets: 1,
    txPackets: 1,
    droppedPackets: 0,
    newDestinations: ['203.0.113.9:443'],
    syscalls: new Map([
      [0, 300 + amount()],
      [59, 1],
    ]),
    grams: new Map([[amount(), 2]]),
    audit: [AUDIT],
    coverage: 1,
  };
}

function taught(windows: number): Model {
  const random = seededRandom(7);
  let model = createModel('x64');
  for (let at = 0; at < windows; at += 1) model = learn(model, window(random));
  return model;
}

const LONG = 700;
const learnt = taught(LONG);
const wire = JSON.parse(canonicalJson(learnt)) as Model;

describe('a model that travels', () => {
  it.each([LEARNING_WINDOWS + 1, 255, 256, 257, LEARNING_WINDOWS + 256, LONG])(
    'is read as it was after %i windows',
    (windows) => {
      const one = taught(windows);
      expect(modelDigest(parseTravellingModel(JSON.parse(canonicalJson(one))))).toBe(modelDigest(one));
    },
  );

  it('is read when it began as one of version 1', () => {
    const young = { ...taught(LEARNING_WINDOWS), ...createModel('x64'), windows: LEARNING_WINDOWS };
    const taken = learn({ ...young, peaks: learnt.peaks }, window(seededRandom(1)));
    expect(parseTravellingModel(taken).windows).toBe(LEARNING_WINDOWS + 1);
  });

  const half = { before: wire.forest.before.slice().fill(0, 0, 32), now: wire.forest.now };
  it.each<[string, unknown]>([
    ['nothing', null],
    ['a list', []],
    ['version 1', { ...wire, version: 1 }],
    ['version 2', { ...wire, version: 2 }],
    ['a version to come', { ...wire, version: 4 }],
    ['too few windows to judge', taught(LEARNING_WINDOWS)],
    ['no scores, which finds everything normal', { ...wire, scores: [] }],
    ['fewer scores than its windows leave', { ...wire, scores: wire.scores.slice(1) }],
    ['more windows than any counter', { ...wire, windows: 2 ** 53 }],
    ['a number below 0', { ...wire, scores: wire.scores.map(() => -1) }],
    ['what is no number', { ...wire, scores: wire.scores.map(() => Number.NaN) }],
    ['an endless number', { ...wire, peaks: wire.peaks.map(() => [Number.POSITIVE_INFINITY, 0]) }],
    ['a missing amount', { ...wire, peaks: wire.peaks.slice(1) }],
    ['a second amount above the largest', { ...wire, peaks: wire.peaks.map(() => [1, 2]) }],
    ['a measure of more windows than it learnt', { ...wire, measures: [[LONG + 1, 2, 1]] }],
    ['a second measure above the largest', { ...wire, measures: [[9, 1, 2]] }],
    ['a missing share', { ...wire, shares: [[0, 1]] }],
    ['runs of more windows than it learnt', { ...wire, runs: { ...wire.runs, windows: LONG + 1 } }],
    ['windows with runs but no runs', { ...wire, runs: { windows: 9, seen: '', again: '' } }],
    ['a forest that lost a tree', { ...wire, forest: half }],
    ['a forest of more windows than it learnt', { ...wire, windows: 31, scores: wire.scores.slice(0, 1) }],
    ['names beyond their bounds', { ...wire, programs: Array.from({ length: 65 }, (_, at) => `/p${at}`) }],
  ])('is refused for %s', (_why, document) => {
    expect(() => parseTravellingModel(document)).toThrow(expect.objectContaining({ code: 'BEHAVIOUR_MODEL', exit: 4 }));
  });

  it('is refused when its numbers are longer than any that was learnt', () => {
    const files = Array.from({ length: 48 }, (_, at) => `${at}${'\u0001'.repeat(78)}`);
    const more = {
      files,
      programs: files.slice(0, 40),
      destinations: files,
      scores: wire.scores.map((_, at) => 1 / (at + 3)),
    };
    const document = {
      ...wire,
      ...more,
      destinations: Array.from({ length: 128 }, (_, at) => `${at}${'\u0001'.repeat(77)}`),
    };
    expect(canonicalJson(document).length).toBeGreaterThan(96 * 1024);
    expect(() => parseTravellingModel(document)).toThrow(expect.objectContaining({ code: 'BEHAVIOUR_MODEL' }));
  });
});

describe('a model in words', () => {
  it('names what was seen', () => {
    const told = describeModel(learnt);
    expect(told).toMatchObject({
      windows: LONG,
      isJudging: true,
      calls: ['read', 'execve'],
      programs: ['/bin/cat'],
      destinations: ['203.0.113.9:443'],
      files: [],
      ranked: 256,
      runs: { windows: LONG },
    });
    expect(told.runs.seen).toBeGreaterThan(told.runs.again);
    expect(told.runs.again).toBeGreaterThan(0);
    expect(told.forest.mixtures).toBeGreaterThan(0);
    expect(told.forest.windows).toBe(256 + (LONG % 256));
    expect(told.amounts.map(({ name }) => name)).toContain('ms of CPU a second');
    expect(told.amounts.every(({ normal, largest }) => normal <= largest)).toBe(true);
    expect(told.shares.find(({ name }) => name === 'file calls')?.high).toBeLessThanOrEqual(1);
  });

  it('says that nothing was', () => {
    const none = { windows: 0, isJudging: false, calls: [], amounts: [], shares: [], ranked: 0 };
    expect(describeModel(createModel('arm64'))).toMatchObject({ ...none, runs: { windows: 0, seen: 0, again: 0 } });
  });
});
