import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/seeded-random.ts';
import { TraceDetector } from '../index.ts';

/** A program that opens, reads and closes in loops of its own, with a call of its own kind now and then. */
function normalTrace(random: () => number): number[] {
  const opening = [11, 45, 33, 5, 197, 192, 6];
  const loops = Array.from({ length: 8 + Math.floor(random() * 20) }, () => [
    3,
    random() < 0.5 ? 4 : 140,
    random() < 0.1 ? 20 + Math.floor(random() * 12) : 6,
  ]);
  return [...opening, ...loops.flat(), 252];
}

const random = seededRandom(20_260_917);
const normals = Array.from({ length: 200 }, () => normalTrace(random));
const detector = new TraceDetector(normals);
const takenOver = [5, 6, ...Array.from({ length: 60 }, (_, at) => [102, 63, 162][at % 3] ?? 0)];

describe('the trace detector', () => {
  it('ranks what took over a process above all that is normal', () => {
    const fresh = Array.from({ length: 50 }, () => detector.score(normalTrace(random)).score);
    const { score, pValue } = detector.score(takenOver);
    expect(score).toBeGreaterThan(Math.max(...fresh));
    expect(pValue).toBeLessThanOrEqual(2 / 201);
  });

  it('finds what it has learnt normal', () => {
    expect(detector.score(normals[0] ?? []).pValue).toBeGreaterThan(0.2);
  });

  it('gives the same bits for the same calls, whatever was scored in between', () => {
    const before = detector.score(takenOver);
    detector.score(normals[1] ?? []);
    expect(detector.score(takenOver)).toEqual(before);
  });

  it('gives the same bits in whatever order the normal traces came', () => {
    const backwards = new TraceDetector(normals.toReversed());
    for (const trace of [takenOver, ...normals.slice(0, 20)]) {
      expect(backwards.score(trace)).toEqual(detector.score(trace));
    }
  });

  it('scores any trace with a finite number, an empty one and calls never seen too', () => {
    const calls = fc.array(fc.integer({ min: 0, max: 65_534 }), { maxLength: 60 });
    fc.assert(
      fc.property(calls, (trace) => {
        const { score, pValue } = detector.score(trace);
        expect(Number.isFinite(score)).toBe(true);
        expect(pValue).toBeGreaterThan(0);
        expect(pValue).toBeLessThanOrEqual(1);
      }),
    );
    expect(Number.isFinite(new TraceDetector([]).score([1, 2, 3]).score)).toBe(true);
  });

  it('learns new honest work from a stream, but not what is among the most unusual', () => {
    const adapting = new TraceDetector(normals);
    const honest = (): number[] => [...normalTrace(random), 3, 4];
    const meanOf = (traces: number[][]): number =>
      traces.reduce((sum, trace) => sum + adapting.score(trace).score, 0) / traces.length;
    const later = Array.from({ length: 30 }, honest);
    const [before, attackBefore] = [meanOf(later), adapting.score(takenOver).score];
    for (let at = 0; at < 200; at += 1) {
      adapting.observe(honest());
      adapting.observe(takenOver);
    }
    expect(meanOf(later)).toBeLessThan(before);
    expect(adapting.score(takenOver).score).toBeGreaterThan(0.99 * attackBefore);
  });

  it('forgets the oldest traces once it remembers as many as it may', () => {
    const full = new TraceDetector(Array.from({ length: 2048 + 60 }, (_, at) => [at, at + 1, at, at + 2, at]));
    // The first sixty made room: their calls are as strange as any that never was.
    expect(full.score([5, 6, 5, 7, 5]).score).toBeGreaterThan(full.score([900, 901, 900, 902, 900]).score);
    // Scores are forgotten too: after as many of one kind as are remembered, that kind is as usual as can be.
    const odd = [7, 7, 9, 7, 7, 9];
    for (let at = 0; at < 2048; at += 1) full.observe(odd);
    expect(full.score(odd).pValue).toBe(1);
  });
});
