import { describe, expect, it } from 'vitest';
import type { SandboxStats } from '../driver.ts';
import { LookQueue, MemoryWatch } from './memory-watch.ts';

const stats: SandboxStats = {
  cpuUsec: 1000,
  throttledUsec: 0,
  memoryBytes: 1000,
  memoryPeakBytes: 1000,
  majorFaults: 0,
  minorFaults: 0,
  memoryLimitHits: 0,
  oomKills: 0,
  readBytes: 0,
  writeBytes: 0,
  pids: 1,
};

/** Settles once every look that was asked for has been made. */
async function drained(queue: LookQueue): Promise<void> {
  await new Promise<void>((resolve) => queue.add(async () => resolve()));
}

describe('looks at memory', () => {
  it('are made one at a time, in the order in which they were asked for, each followed by a rest of nineteen times its length', async () => {
    const queue = new LookQueue();
    const told: string[] = [];
    const times: number[] = [];
    const look = (name: string) => async (): Promise<void> => {
      times.push(performance.now());
      told.push(`${name} begins`);
      const until = performance.now() + 5;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      told.push(`${name} ends`);
    };
    for (const name of ['a', 'b', 'c']) queue.add(look(name));
    await drained(queue);
    expect(told).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    // A timer may come a millisecond early.
    for (const at of [1, 2]) expect((times[at] ?? 0) - (times[at - 1] ?? 0)).toBeGreaterThanOrEqual(5 * 20 - 2);
  });

  it('are asked for at the pace of the logging, and only while CPU is used', async () => {
    const queue = new LookQueue();
    const asked: number[] = [];
    let nowMs = 0;
    const watch = new MemoryWatch(queue, () => {
      asked.push(nowMs);
      return [];
    });
    const logging = {
      0: 'standard',
      9_999: 'standard',
      10_000: 'standard',
      12_000: 'detailed',
      12_500: 'realtime',
    } as const;
    for (const [at, level] of Object.entries(logging)) {
      nowMs = Number(at);
      watch.take({ nowMs, logging: level, stats: { ...stats, cpuUsec: nowMs } });
      await drained(queue);
    }
    nowMs = 90_000;
    watch.take({ nowMs, logging: 'realtime', stats: { ...stats, cpuUsec: 12_500 } });
    await drained(queue);
    expect(asked).toEqual([0, 10_000, 12_000, 12_500]);
  });

  it('go on when the clock was set back', async () => {
    const queue = new LookQueue();
    let count = 0;
    const watch = new MemoryWatch(queue, () => {
      count += 1;
      return [];
    });
    for (const nowMs of [1_000_000, 5]) {
      watch.take({ nowMs, logging: 'standard', stats: { ...stats, cpuUsec: nowMs } });
      await drained(queue);
    }
    expect(count).toBe(2);
  });

  it('are handed out once, and a group that has ended gives none', async () => {
    const queue = new LookQueue();
    const occasion = { nowMs: 1, logging: 'standard', stats } as const;
    const watch = new MemoryWatch(queue, () => []);
    expect(watch.take(occasion)).toBeNull();
    await drained(queue);
    expect(watch.take(occasion)).toMatchObject({ processes: [], isWhole: true });
    expect(watch.take(occasion)).toBeNull();
    const gone = new MemoryWatch(queue, () => {
      throw new Error('the group is no more');
    });
    gone.take(occasion);
    await drained(queue);
    expect(gone.take({ ...occasion, nowMs: 2 })).toBeNull();
  });
});
