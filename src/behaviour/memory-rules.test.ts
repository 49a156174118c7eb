import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { createModel, judge, learn, type MemoryLook, type Model, parseModel, type Window } from './index.ts';
import { quietWindow } from '../../test/quiet-window.ts';

const clean: MemoryLook = {
  anonymousExecutableBytes: 0,
  writableExecutableBytes: 0,
  changedCodePages: 0,
  processes: [],
  isWhole: true,
};

const calm: Window = { ...quietWindow, cpuMs: 50, syscalls: new Map([[0, 10]]) };

const asking: Window = {
  ...calm,
  begunFlows: 2,
  rebuffedFlows: 0,
  dnsQuestions: 1,
  dnsMissed: 0,
  dnsNames: ['db.corp.test'],
};

function learnt(window: Window, model: Model = createModel()): Model {
  let known = model;
  for (let at = 0; at < 40; at += 1) known = learn(known, window);
  return known;
}

const inNoFile = { ...clean, anonymousExecutableBytes: 8192, writableExecutableBytes: 4096, processes: ['nginx'] };
const patched = { ...clean, changedCodePages: 1, processes: ['sshd'] };

function violations(model: Model, window: Partial<Window>): string[] {
  const verdict = judge(model, { ...calm, ...window }, { active: true, grant: null });
  return verdict.violations.map(({ kind, severity, reason }) => `${kind} ${severity}: ${reason}`);
}

function reasons(model: Model, window: Partial<Window>): readonly string[] {
  return judge(model, { ...calm, ...window }, { active: true, grant: null }).reasons;
}

describe('code in memory', () => {
  const known = learnt({ ...calm, memoryLook: clean });

  it('that is in no file is injected, where there was none', () => {
    expect(violations(known, { memoryLook: inNoFile })).toEqual([
      "injected-code high: 8 KiB of code that is in no file, some of it writable, in 'nginx', which had none before",
    ]);
  });

  it('that was changed is told, where none was', () => {
    expect(violations(known, { memoryLook: patched })).toEqual([
      "changed-code high: a page of program code changed in memory, in 'sshd', where none was before",
    ]);
  });

  it('is nothing where it always was, for code that is not known, and where nobody looked', () => {
    expect(
      violations(learnt({ ...calm, memoryLook: { ...inNoFile, changedCodePages: 2 } }), { memoryLook: inNoFile }),
    ).toEqual([]);
    expect(violations(createModel(), { memoryLook: inNoFile })).toEqual([]);
    expect(violations(learnt(calm), { memoryLook: inNoFile })).toEqual([]);
    expect(violations(known, {})).toEqual([]);
    expect(violations(known, { memoryLook: clean })).toEqual([]);
  });

  it('that one look alone has found makes it no custom', () => {
    const once = learn(known, { ...calm, memoryLook: inNoFile });
    expect(violations(once, { memoryLook: inNoFile })).toHaveLength(1);
    expect(violations(learn(once, { ...calm, memoryLook: inNoFile }), { memoryLook: inNoFile })).toEqual([]);
  });
});

describe('connections that are refused', () => {
  it.each([
    [16, 100, 1],
    [15, 100, 0],
    [32, 1000, 1],
    [31, 1000, 0],
    [63, 2000, 0],
  ])('%d within %d ms: %d violations', (rebuffedFlows, durationMs, count) => {
    expect(violations(createModel(), { rebuffedFlows, durationMs })).toHaveLength(count);
  });

  it('are told in words', () => {
    expect(violations(createModel(), { rebuffedFlows: 40 })).toEqual([
      'refused-burst medium: 40 connections were refused to it within 1000 ms',
    ]);
  });
});

describe('a tunnel through the DNS', () => {
  const names = (count: number, characters: number, zone = 'evil.test'): string[] =>
    Array.from({ length: count }, (_, n) => `${String(n).padStart(characters - 1, 'x')}.${zone}`);

  it.each<[string, string[], number]>([
    ['long names of one zone', names(12, 40), 1],
    ['one less', names(11, 40), 0],
    ['shorter ones', names(12, 39), 0],
    ['the same name again and again', Array.from({ length: 50 }, () => names(1, 60)[0] ?? ''), 0],
    ['long names of many zones', Array.from({ length: 20 }, (_, n) => names(1, 60, `z${n}.test`)[0] ?? ''), 0],
    [
      'names below a registry that countries share',
      Array.from({ length: 20 }, (_, n) => names(1, 60, `z${n}.co.uk`)[0] ?? ''),
      0,
    ],
    ['long names of a zone below one', names(20, 60, 'evil.co.uk'), 1],
  ])('is seen in its shape: %s', (_what, dnsNames, count) => {
    expect(violations(createModel(), { dnsNames })).toHaveLength(count);
  });

  it('is told with its zone', () => {
    expect(violations(createModel(), { dnsNames: names(12, 40) })).toEqual([
      'dns-tunnel high: 12 names of the DNS zone evil.test in one window, each with 40 characters before it: the shape of a tunnel',
    ]);
  });
});

describe('what is asked of the network', () => {
  const known = learnt(asking);

  it('is unusual beyond three times of what was normal, with a reason in words', () => {
    const told = reasons(known, { ...asking, begunFlows: 300, rebuffedFlows: 12 });
    expect(told).toContain('300 connections begun a second, where 2 was normal');
    expect(told).toContain('12 connections refused to it a second, where 0 was normal');
    expect(reasons(known, asking)).toEqual([]);
  });

  it('is unusual when it is a zone that was never asked', () => {
    expect(reasons(known, { ...asking, dnsNames: ['a.corp.test', 'c2.evil.test'] })).toEqual([
      'DNS zones never seen before: evil.test',
    ]);
  });

  it('is not asked about before it was learnt: a model from windows without it finds nothing', () => {
    const old = parseModel(JSON.parse(canonicalJson(learnt(calm))));
    expect(
      reasons(old, { ...asking, begunFlows: 300, memoryLook: { ...clean, touchedBytes: 1e9, touchedWithinMs: 1000 } }),
    ).toEqual([]);
    const after = learnt({ ...calm, ...asking, begunFlows: 1 }, old);
    expect(reasons(after, { ...asking, begunFlows: 300 })).toContain(
      '300 connections begun a second, where 1 was normal',
    );
  });

  it('and memory that is touched are told in words', () => {
    const look = { ...clean, touchedBytes: 2 ** 20, touchedWithinMs: 2000 };
    const told = reasons(learnt({ ...calm, memoryLook: look }), { memoryLook: { ...look, touchedBytes: 2 ** 30 } });
    expect(told).toEqual([
      expect.stringMatching(/^536870912 bytes of memory touched a second, where 5241\d\d was normal$/),
    ]);
  });
});
