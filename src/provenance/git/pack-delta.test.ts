import { expect, it } from 'vitest';

import { applyDelta } from './pack-delta.ts';

const base = Buffer.from('0123456789');
const apply = (...bytes: readonly number[]): string => applyDelta(base, Buffer.from(bytes), 100_000).toString();

it('copies out of the base and puts in what is new', () => {
  expect(apply(10, 5, 0x91, 2, 3, 2, 0x61, 0x62)).toBe('234ab');
});

it('takes a count of 0 for 64 KiB', () => {
  const large = Buffer.alloc(0x10000, 'x');
  expect(applyDelta(large, Buffer.from([0x80, 0x80, 4, 0x80, 0x80, 4, 0x80]), 100_000)).toEqual(large);
});

it.each([
  ['of another base', [9, 1, 1, 0x61]],
  ['whose result is too large', [10, 0xff, 0xff, 0xff, 0x7f]],
  ['of a size without end', [10, ...Array.from({ length: 8 }, () => 0xff)]],
  ['that ends within a size', [10, 0x80]],
  ['that ends within a copy', [10, 1, 0x91, 2]],
  ['that ends within what is new', [10, 3, 3, 0x61]],
  ['that copies past the base', [10, 5, 0x91, 8, 5]],
  ['that makes more than it says', [10, 1, 2, 0x61, 0x62]],
  ['that makes less than it says', [10, 3, 2, 0x61, 0x62]],
  ['with an instruction that is reserved', [10, 1, 0, 1, 0x61]],
])('refuses a delta %s', (_, bytes) => {
  expect(() => apply(...bytes)).toThrow(expect.objectContaining({ code: 'PROVENANCE_REPOSITORY' }));
});
