import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../behaviour/index.ts';
import { WatchedGroup } from './watched-group.ts';

const event = (kind: AuditEvent['kind'], target: string): AuditEvent => ({
  timeMs: 0,
  kind,
  comm: 'a',
  pid: 1,
  target,
});
const counts = (calls: [number, number][], dropped = 0) => ({ calls: new Map(calls), dropped });

describe('a watched cgroup', () => {
  it('gives what was counted since the last read, and nothing that did not change', () => {
    const group = new WatchedGroup('standard', 0, 0);
    expect(
      group.take(
        counts([
          [0, 10],
          [1, 5],
        ]),
        { nowMs: 1000, liveMs: 1000 },
      ),
    ).toEqual({
      syscalls: new Map([
        [0, 10],
        [1, 5],
      ]),
      audit: [],
      kept: 1,
    });
    const next = group.take(
      counts([
        [0, 12],
        [1, 5],
        [2, 1],
      ]),
      { nowMs: 2000, liveMs: 2000 },
    );
    expect(next.syscalls).toEqual(
      new Map([
        [0, 2],
        [2, 1],
      ]),
    );
  });

  it('counts from 0 again after the program was started anew', () => {
    const group = new WatchedGroup('standard', 0, 0);
    group.take(counts([[0, 1000]]), { nowMs: 1000, liveMs: 1000 });
    group.restart();
    expect(group.take(counts([[0, 7]]), { nowMs: 2000, liveMs: 1500 })).toMatchObject({
      syscalls: new Map([[0, 7]]),
      kept: 0.5,
    });
  });

  it('keeps nothing while no program runs, and its count over the gap', () => {
    const group = new WatchedGroup('standard', 0, 0);
    group.take(counts([[0, 5]]), { nowMs: 1000, liveMs: 1000 });
    expect(group.take(undefined, { nowMs: 2000, liveMs: 1000 })).toEqual({ syscalls: new Map(), audit: [], kept: 0 });
    expect(group.take(counts([[0, 6]]), { nowMs: 3000, liveMs: 2000 }).syscalls).toEqual(new Map([[0, 1]]));
  });

  it('keeps less when events were dropped in the kernel, or lost on the way', () => {
    const group = new WatchedGroup('standard', 0, 0);
    group.hear(event('exec', '/bin/a'));
    expect(group.take(counts([], 3), { nowMs: 1000, liveMs: 1000 }).kept).toBe(0.25);
    group.hear(event('exec', '/bin/b'));
    group.lose(1);
    expect(group.take(counts([], 3), { nowMs: 2000, liveMs: 2000 }).kept).toBe(0.5);
    expect(group.take(counts([], 3), { nowMs: 3000, liveMs: 3000 }).kept).toBe(1);
  });

  it('bounds what waits for a read, and counts the rest as lost', () => {
    const group = new WatchedGroup('standard', 0, 0);
    for (let at = 0; at < 8192; at += 1) group.hear(event('exec', `/bin/${at}`));
    const reading = group.take(counts([]), { nowMs: 1000, liveMs: 1000 });
    expect(reading.audit).toHaveLength(4096);
    expect(reading.kept).toBe(0.5);
  });

  it('hears connections and ports only for detailed logs, and an engine’s socket always', () => {
    const heard = (logging: 'standard' | 'detailed'): string[] => {
      const group = new WatchedGroup(logging, 0, 0);
      for (const kind of ['exec', 'open', 'call', 'bind'] as const) group.hear(event(kind, 'x'));
      group.hear(event('connect', '10.0.0.1:80'));
      group.hear(event('connect', 'unix:/run/docker.sock'));
      return group.take(counts([]), { nowMs: 1, liveMs: 1 }).audit.map(({ kind, target }) => `${kind} ${target}`);
    };
    expect(heard('standard')).toEqual(['exec x', 'open x', 'call x', 'connect unix:/run/docker.sock']);
    expect(heard('detailed')).toHaveLength(6);
  });

  it('answers two reads at the same instant', () => {
    const group = new WatchedGroup('standard', 0, 0);
    expect(group.take(counts([]), { nowMs: 0, liveMs: 0 }).kept).toBe(0);
  });
});
