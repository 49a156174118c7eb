import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logarithm, squareRoot } from './real-functions.ts';

describe('functions of + − × ÷ alone', () => {
  it('agree with the engine to 14 digits', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
        expect(Math.abs(logarithm(x) - Math.log(x))).toBeLessThanOrEqual(1e-14 * (1 + Math.abs(Math.log(x))));
      }),
    );
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e15, noNaN: true }), (x) => {
        expect(Math.abs(squareRoot(x) - Math.sqrt(x))).toBeLessThanOrEqual(1e-14 * Math.sqrt(x));
      }),
    );
  });

  it('are exact where it matters: ln 1 is 0 and the root of a square its side', () => {
    expect(logarithm(1)).toBe(0);
    expect([1, 4, 49, 144].map(squareRoot)).toEqual([1, 2, 7, 12]);
  });

  it.each([0, -1, Number.NaN, Infinity])('refuse %d', (x) => {
    expect(() => logarithm(x)).toThrow(RangeError);
    expect(() => squareRoot(x)).toThrow(RangeError);
  });
});
