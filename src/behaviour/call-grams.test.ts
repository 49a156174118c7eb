import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countGrams, gramBucket } from './index.ts';

const symbol = fc.integer({ min: 0, max: 1023 });

describe('3-grams of calls', () => {
  it('hash to 16 bits, by a product modulo 2³²', () => {
    fc.assert(
      fc.property(symbol, symbol, symbol, (first, second, third) => {
        const gram = (BigInt(first) << 20n) | (BigInt(second) << 10n) | BigInt(third);
        expect(gramBucket(first, second, third)).toBe(Number(((gram * 0x9e3779b1n) & 0xffffffffn) >> 16n));
      }),
    );
    expect(gramBucket(110, 110, 110)).toBe(
      Number(((((110n << 20n) | (110n << 10n) | 110n) * 0x9e3779b1n) >> 16n) & 0xffffn),
    );
  });

  it('are as many as calls, from the first on', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(700)), (calls) => {
        const total = [...countGrams(calls).values()].reduce((sum, count) => sum + count, 0);
        expect(total).toBe(calls.length);
      }),
    );
    expect(countGrams([1, 2, 3])).toEqual(
      new Map([
        [gramBucket(1023, 1023, 1), 1],
        [gramBucket(1023, 1, 2), 1],
        [gramBucket(1, 2, 3), 1],
      ]),
    );
    expect(countGrams([600])).toEqual(new Map([[gramBucket(1023, 1023, 511), 1]]));
  });

  it('seldom share a bucket: all pairs of 40 calls after one call stay apart', () => {
    const buckets = new Set<number>();
    for (let second = 0; second < 40; second += 1) {
      for (let third = 0; third < 40; third += 1) buckets.add(gramBucket(0, second, third));
    }
    expect(buckets.size).toBeGreaterThan(1500);
  });
});
