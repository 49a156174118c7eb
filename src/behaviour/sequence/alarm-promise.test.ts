import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/seeded-random.ts';
import { AlarmPromise } from '../index.ts';

const RATES = [0.01, 0.05];
const LENGTH = 20_000;

/** Alarms over a stream whose p-values are `shift` times too small after the first half: what was learnt no longer holds. */
function alarmsUnderDrift(rate: number, shift: number): boolean[] {
  const random = seededRandom(77);
  const promise = new AlarmPromise(rate);
  return Array.from({ length: LENGTH }, (_, at) => promise.isAlarm(random() / (at < LENGTH / 2 ? 1 : shift)));
}

describe('the promise of false alarms', () => {
  it.each(RATES.flatMap((rate) => [1, 3, 8].map((shift) => [rate, shift] as const)))(
    'is kept at %d when p-values become %d times too small',
    (rate, shift) => {
      const alarms = alarmsUnderDrift(rate, shift);
      const settled = alarms.slice(500, LENGTH / 2).concat(alarms.slice(LENGTH / 2 + 500));
      const seen = settled.filter(Boolean).length / settled.length;
      expect(seen / rate).toBeGreaterThan(0.7);
      expect(seen / rate).toBeLessThan(1.3);
    },
  );

  it.each(RATES)('at %d holds in nine of ten blocks of 500, within the 95 %% binomial interval', (rate) => {
    const alarms = alarmsUnderDrift(rate, 3).slice(LENGTH / 2 + 500);
    const [low, high] = rate === 0.01 ? [1, 10] : [16, 35];
    const blocks = Array.from(
      { length: Math.floor(alarms.length / 500) },
      (_, at) => alarms.slice(at * 500, at * 500 + 500).filter(Boolean).length,
    );
    const held = blocks.filter((count) => count >= low && count <= high).length;
    expect(blocks.length).toBeGreaterThan(10);
    expect(held / blocks.length).toBeGreaterThanOrEqual(0.9);
  });

  it('cannot be silenced by a flood of alarms', () => {
    const promise = new AlarmPromise(0.05);
    for (let at = 0; at < 10_000; at += 1) promise.isAlarm(0.0005);
    expect(promise.isAlarm(0.0005)).toBe(true);
  });

  it('does not move for confirmed attacks', () => {
    const [moved, still] = [new AlarmPromise(0.05), new AlarmPromise(0.05)];
    for (let at = 0; at < 20; at += 1) {
      moved.isAlarm(0.001);
      still.isAlarm(0.001, { isConfirmedAttack: true });
    }
    expect(moved.isAlarm(0.049)).toBe(false);
    expect(still.isAlarm(0.049)).toBe(true);
  });
});
