import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHeld, coveringPages, cpuQuotaOf, millicoresOf, PAGE_BYTES, wholePages } from './limits.ts';

const asked = { cpuMillicores: 500, memoryBytes: 1_000_000, pids: 10 };
const held = { cpuMillicores: 500, memoryBytes: wholePages(1_000_000), pids: 10, pending: {} };
const BEFORE = 8_000_000;

describe('a CPU quota', () => {
  it('gives exactly the millicores that were asked, within what the kernel takes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (cpuMillicores) => {
        const quota = cpuQuotaOf({ cpuMillicores });
        expect(millicoresOf(quota)).toBe(cpuMillicores);
        expect(quota.quotaUs).toBeGreaterThanOrEqual(1000);
        expect(Number.isInteger(quota.quotaUs)).toBe(true);
        expect(quota.periodUs).toBeLessThanOrEqual(1_000_000);
      }),
    );
  });

  it('refuses no CPU at all and parts of a millicore', () => {
    expect(() => cpuQuotaOf({ cpuMillicores: 0 })).toThrow(/whole number of millicores/);
    expect(() => cpuQuotaOf({ cpuMillicores: 0.5 })).toThrow(/whole number of millicores/);
  });
});

describe('pages', () => {
  it('never give more than was asked, and never hold less than is used', () => {
    fc.assert(
      fc.property(fc.integer({ min: PAGE_BYTES, max: 2 ** 45 }), (bytes) => {
        expect(wholePages(bytes)).toBeLessThanOrEqual(bytes);
        expect(coveringPages(bytes)).toBeGreaterThanOrEqual(bytes);
        expect(coveringPages(bytes) - wholePages(bytes)).toBeLessThanOrEqual(PAGE_BYTES);
      }),
    );
  });

  it('refuse a grant below one page', () => {
    expect(() => wholePages(PAGE_BYTES - 1)).toThrow(/at least a page/);
  });
});

describe('what the kernel holds', () => {
  it('passes when it is what was asked', () => {
    expect(() => checkHeld(asked, held, BEFORE)).not.toThrow();
  });

  it('passes with memory still in use, when it is named as pending and is no more than before', () => {
    const pending = { ...held, memoryBytes: BEFORE, pending: { memoryBytes: asked.memoryBytes } };
    expect(() => checkHeld(asked, pending, BEFORE)).not.toThrow();
  });

  it.each([
    ['CPU', { ...held, cpuMillicores: 501 }],
    ['less CPU, which is not what was asked either', { ...held, cpuMillicores: 499 }],
    ['pids', { ...held, pids: 11 }],
    ['memory', { ...held, memoryBytes: held.memoryBytes + PAGE_BYTES }],
    ['pending memory that grew', { ...held, memoryBytes: BEFORE + PAGE_BYTES, pending: { memoryBytes: 1 } }],
    ['a value that is no number', { ...held, pids: Number.NaN }],
  ])('is refused when it differs: %s', (_, wrong) => {
    expect(() => checkHeld(asked, wrong, BEFORE)).toThrow(expect.objectContaining({ code: 'SANDBOX_LIMIT_NOT_HELD' }));
  });
});
