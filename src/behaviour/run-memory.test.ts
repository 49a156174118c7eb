import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import {
  countGrams,
  createModel,
  judge,
  learn,
  LEARNING_WINDOWS,
  type Model,
  syscallNumbers,
  type Window,
} from './index.ts';
import { quietWindow } from '../../test/quiet-window.ts';

const [read, write, close, mprotect, execve] = syscallNumbers(
  ['read', 'write', 'close', 'mprotect', 'execve'],
  'x64',
) as [number, number, number, number, number];

/** A window of one thread that makes these calls. */
function windowOf(calls: readonly number[]): Window {
  const syscalls = new Map<number, number>();
  for (const call of calls) syscalls.set(call, (syscalls.get(call) ?? 0) + 1);
  return { ...quiet, syscalls, grams: countGrams(calls) };
}

const quiet: Window = { ...quietWindow, cpuMs: 20 };
const options = { active: true, grant: null };
const loop = Array.from({ length: 90 }, (_, at) => [read, write, close][at % 3] ?? 0);
/** Each call of the loop is known, and so are the two others, but never in this order. */
const twisted = [...loop, read, mprotect, execve];

function taught(window: Window, start: Model = createModel()): Model {
  let model = start;
  for (let at = 0; at < 3 * LEARNING_WINDOWS; at += 1) model = learn(model, window);
  return model;
}

const known = taught(windowOf([...loop, mprotect, mprotect, mprotect, execve]));

describe('runs of calls', () => {
  it('that were never seen are unusual though each call is known, and are named', () => {
    const verdict = judge(known, windowOf(twisted), options);
    expect(verdict.anomaly).toBeGreaterThan(0.98);
    expect(verdict.reasons.join('\n')).toContain('runs of calls never seen before: ');
    expect(verdict.reasons.join('\n')).toContain('read → mprotect → execve');
  });

  it('that are known are not unusual, in whatever order they were counted', () => {
    const window = windowOf([...loop, mprotect, mprotect, mprotect, execve]);
    expect(judge(known, window, options).anomaly).toBe(0);
    const turned = { ...window, grams: new Map([...(window.grams ?? [])].toReversed()) };
    expect(canonicalJson(learn(known, turned))).toBe(canonicalJson(learn(known, window)));
    const odd = windowOf(twisted);
    const oddTurned = { ...odd, grams: new Map([...(odd.grams ?? [])].toReversed()) };
    expect(judge(known, oddTurned, options)).toEqual(judge(known, odd, options));
  });

  it('are not asked about before they were counted for long enough, nor where they are not counted', () => {
    const { grams, ...without } = windowOf(loop);
    expect(grams?.size).toBeGreaterThan(0);
    const model = taught({ ...without, syscalls: windowOf(twisted).syscalls });
    expect(judge(model, windowOf(twisted), options).anomaly).toBe(0);
    expect(judge(known, { ...without }, options).anomaly).toBe(0);
  });

  it('that were seen in one window alone still count as rare', () => {
    const many = windowOf([...loop, ...Array.from({ length: 30 }, () => [mprotect, read, execve]).flat()]);
    const once = learn(known, many);
    expect(judge(once, many, options).reasons.join('\n')).toMatch(/of the calls came in runs that are rare/);
    expect(judge(learn(once, many), many, options).reasons).toEqual([]);
  });

  it('of buckets and counts that no sensor gives are left out', () => {
    const grams = new Map([
      [-1, 4],
      [65_536, 4],
      [0.5, 4],
      [7, 0],
    ]);
    expect(judge(known, { ...quiet, grams }, options).reasons).toEqual([]);
    expect(learn(known, { ...quiet, grams }).runs.seen).toBe(known.runs.seen);
  });

  it('whose calls nobody counted are said to be that', () => {
    const verdict = judge(known, { ...quiet, grams: new Map([[12_345, 9]]) }, options);
    expect(verdict.reasons.join('\n')).toContain('a run with a rare call');
  });
});
