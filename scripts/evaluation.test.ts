// The trace detector reaches on ADFA-LD what docs/promises.md says, and a file that is none of traces is refused.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { figuresOf, scoreFewCalls, trainStide } from './detection-figures.ts';
import { evaluate } from './evaluation.ts';
import { parseTraces, TraceFileError } from './traces.ts';

const bytes = readFileSync(new URL('../../shared/data/adfa-ld/dev.jsonl.gz', import.meta.url));

describe('the figures of a detector', () => {
  it('count pairs, ties as half, and detection above the allowed false positives', () => {
    expect(figuresOf([1, 2, 3, 4], [2, 5]).auc).toBe(5.5 / 8);
    const normals = Array.from({ length: 100 }, (_, at) => at);
    expect(figuresOf(normals, [94, 94.5, 99, 100]).detection).toEqual({ 0.01: 0.5, 0.05: 0.75 });
  });

  it('know the simple detectors', () => {
    expect(scoreFewCalls([3, 3, 4])).toBe(-2);
    const stide = trainStide([[1, 2, 3, 4, 5, 6, 7]]);
    expect(stide([1, 2, 3, 4, 5, 6, 7])).toBe(0);
    expect(stide([1, 2, 3, 4, 5, 6, 8])).toBe(0.5);
    expect(stide([1])).toBe(0);
  });
});

describe('the trace detector on ADFA-LD', { timeout: 120_000 }, () => {
  const traces = parseTraces(bytes);
  const evaluation = evaluate(traces);

  it('tells attacks from normal traces, learnt from training normals alone', () => {
    expect(traces).toHaveLength(833 + 2191 + 333);
    expect(evaluation.auc).toBeGreaterThan(0.88);
    expect(evaluation.detection['0.05']).toBeGreaterThan(0.42);
    expect(evaluation.detection['0.01']).toBeGreaterThan(0.22);
  });

  it('does better than the simple detectors', () => {
    const { stide, fewDistinctCalls } = evaluation.baselines;
    expect(evaluation.auc).toBeGreaterThan(stide.auc);
    expect(evaluation.auc).toBeGreaterThan(fewDistinctCalls.auc);
    expect(evaluation.detection['0.05']).toBeGreaterThan(1.8 * (fewDistinctCalls.detection['0.05'] ?? 1));
  });

  it('does better with the first half of the validation normals streamed, and not worse with every other one', () => {
    expect(evaluation.streamed.firstHalf.auc).toBeGreaterThan(0.94);
    expect(evaluation.streamed.firstHalf.detection['0.05']).toBeGreaterThan(0.6);
    expect(evaluation.streamed.everyOther.auc).toBeGreaterThan(0.9);
    expect(evaluation.streamed.everyOther.detection['0.05']).toBeGreaterThan(0.42);
  });

  it('keeps its promise of false alarms over the stream', () => {
    for (const { promised, seen, blocks } of evaluation.calibration) {
      expect(seen / promised).toBeGreaterThan(0.7);
      expect(seen / promised).toBeLessThan(1.3);
      const [low, high] = promised === 0.01 ? [1, 10] : [16, 35];
      expect(blocks.length).toBeGreaterThanOrEqual(3);
      expect(blocks.filter((count) => count < low || count > high)).toEqual([]);
    }
  });

  it('loses at most three points to a stream of which a tenth is attacks', () => {
    const { clean, poisoned } = evaluation.poisoning;
    for (const rate of ['0.01', '0.05']) {
      expect((clean.detection[rate] ?? 0) - (poisoned.detection[rate] ?? 0)).toBeLessThanOrEqual(0.03);
    }
  });

  it('gives the same bits again', () => {
    expect(JSON.stringify(evaluate(traces))).toBe(JSON.stringify(evaluation));
  });
});

describe('a file of traces', () => {
  const line = (changes: object): string =>
    JSON.stringify({ set: 'train', label: 'normal', id: 'a', calls: [1, 2], ...changes });
  const sets = ['train', 'validation', 'attack'].map((set) => line({ set })).join('\n');
  const parse = (text: string): unknown => parseTraces(new TextEncoder().encode(text));

  it('is read with or without an end of the last line', () => {
    expect(parse(sets)).toEqual(parse(`${sets}\n`));
  });

  it.each([
    ['an empty line', `${sets}\n\n${sets}`, /line 4: not JSON/],
    ['a list', `${sets}\n[]`, /line 4: not an object/],
    ['an unknown set', `${sets}\n${line({ set: 'test' })}`, /line 4: 'set'/],
    ['a label that is no text', `${sets}\n${line({ label: 1 })}`, /line 4: 'label'/],
    ['an id beyond its length', `${sets}\n${line({ id: 'x'.repeat(201) })}`, /line 4: 'id'/],
    ['a call below 0', `${sets}\n${line({ calls: [-1] })}`, /line 4: 'calls'/],
    ['half a call', `${sets}\n${line({ calls: [1.5] })}`, /line 4: 'calls'/],
    ['no attacks', line({}), /no trace of the set 'validation'/],
    ['nothing', '', /no trace of the set 'train'/],
  ])('is refused for %s', (_why, text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(TraceFileError);
  });

  it('is refused when it is neither text nor gzip of it', () => {
    expect(() => parseTraces(Uint8Array.of(0xff, 0xfe, 0x00))).toThrow(TraceFileError);
    expect(() => parseTraces(bytes.subarray(0, 1000))).toThrow(TraceFileError);
  });
});
