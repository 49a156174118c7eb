import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Fault, publisherReputation, type PublisherRecord, type ReputationSettings } from './publisher.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_750_000_000_000;

const settings: ReputationSettings = {
  trustedStart: 0.5,
  unknownStart: 0,
  unknownMax: 0.5,
  cleanHalfMs: 30 * DAY_MS,
  decayHalfMs: 90 * DAY_MS,
  penalties: {
    incident: { low: 0.05, medium: 0.2, high: 0.6, critical: 0.9 },
    vulnerability: { low: 0.02, medium: 0.1, high: 0.3, critical: 0.5 },
    violation: { low: 0.02, medium: 0.1, high: 0.3, critical: 0.6 },
  },
};

const trusted: PublisherRecord = { publisher: 'ed25519:abc', trusted: true, cleanMs: 0, faults: [] };
const scoreOf = (record: PublisherRecord, nowMs = NOW_MS) => publisherReputation(record, nowMs, settings).score;

const anyFault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom('incident', 'vulnerability', 'violation'),
  severity: fc.constantFrom('low', 'medium', 'high', 'critical'),
  atMs: fc.integer({ min: NOW_MS - 1000 * DAY_MS, max: NOW_MS + DAY_MS }),
});
const anyRecord: fc.Arbitrary<PublisherRecord> = fc.record({
  publisher: fc.constant('someone'),
  trusted: fc.boolean(),
  cleanMs: fc.integer({ min: 0, max: 4000 * DAY_MS }),
  faults: fc.array(anyFault, { maxLength: 12 }),
});

describe('publisherReputation', () => {
  it('starts a trusted publisher in the middle and an unknown one at 0', () => {
    expect(scoreOf(trusted)).toBe(0.5);
    expect(scoreOf({ ...trusted, trusted: false })).toBe(0);
    expect(publisherReputation(null, NOW_MS, settings)).toMatchObject({
      check: 'reputation.publisher',
      score: 0,
      reason: 'nothing is known of the publisher',
    });
  });

  it('earns half of what was missing in the half time of clean running', () => {
    expect(scoreOf({ ...trusted, cleanMs: 30 * DAY_MS })).toBe(0.75);
    expect(scoreOf({ ...trusted, cleanMs: 3000 * DAY_MS })).toBeGreaterThan(0.99);
  });

  it('never lets a publisher that nobody trusted pass its bound', () => {
    expect(scoreOf({ ...trusted, trusted: false, cleanMs: 1e15 })).toBeLessThanOrEqual(0.5);
  });

  it('takes more for a worse fault, and less as it ages', () => {
    const after = (fault: Partial<Fault>) =>
      scoreOf({ ...trusted, faults: [{ kind: 'incident', severity: 'high', atMs: NOW_MS, ...fault }] });
    expect(after({})).toBeCloseTo(0.2, 12);
    expect(after({ severity: 'critical' })).toBeCloseTo(0.05, 12);
    expect(after({ kind: 'violation' })).toBeCloseTo(0.35, 12);
    expect(after({ atMs: NOW_MS - 90 * DAY_MS })).toBeCloseTo(0.35, 12);
    expect(after({ atMs: NOW_MS + DAY_MS })).toBe(after({}));
  });

  it('says what it rests on', () => {
    const faults: Fault[] = [{ kind: 'incident', severity: 'low', atMs: NOW_MS }];
    expect(publisherReputation({ ...trusted, cleanMs: 3 * DAY_MS, faults }, NOW_MS, settings)).toMatchObject({
      reason: 'trusted by the operator, 3d of clean running, 1 fault',
      source: 'ed25519:abc',
    });
    expect(publisherReputation({ ...trusted, trusted: false }, NOW_MS, settings).reason).toBe(
      'not trusted by the operator, 0ms of clean running, 0 faults',
    );
  });

  it.each([
    ['clean time', { ...trusted, cleanMs: Number.NaN }],
    ['clean time below 0', { ...trusted, cleanMs: -1 }],
    ['time of a fault', { ...trusted, faults: [{ kind: 'incident', severity: 'low', atMs: Number.NaN }] } as const],
  ])('refuses a record whose %s is no time', (_what, record) => {
    expect(() => scoreOf(record)).toThrow(expect.objectContaining({ code: 'REPUTATION_RECORD' }));
  });

  it('does not rise by one more fault', () => {
    fc.assert(
      fc.property(anyRecord, anyFault, (record, fault) => {
        expect(scoreOf({ ...record, faults: [...record.faults, fault] })).toBeLessThanOrEqual(scoreOf(record));
      }),
    );
  });

  it('does not fall by more clean time, nor by waiting', () => {
    fc.assert(
      fc.property(anyRecord, fc.integer({ min: 0, max: 1000 * DAY_MS }), (record, more) => {
        expect(scoreOf({ ...record, cleanMs: record.cleanMs + more })).toBeGreaterThanOrEqual(scoreOf(record));
        expect(scoreOf(record, NOW_MS + more)).toBeGreaterThanOrEqual(scoreOf(record));
      }),
    );
  });

  it('gives the same bits for the same faults in any order, in 0..1', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const score = scoreOf(record);
        expect(Object.is(scoreOf({ ...record, faults: record.faults.toReversed() }), score)).toBe(true);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
      }),
    );
  });
});
