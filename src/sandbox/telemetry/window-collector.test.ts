import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NetworkStats, SandboxStats } from '../driver.ts';
import { collectWindow, isActive, type WindowSources } from './window-collector.ts';

const stats: SandboxStats = {
  cpuUsec: 5_000_000,
  throttledUsec: 40_000,
  memoryBytes: 1000,
  memoryPeakBytes: 2000,
  majorFaults: 3,
  minorFaults: 400,
  memoryLimitHits: 1,
  oomKills: 0,
  readBytes: 10,
  writeBytes: 20,
  pids: 4,
};
const network: NetworkStats = {
  rxBytes: 100,
  txBytes: 200,
  rxPackets: 1,
  txPackets: 2,
  droppedPackets: 0,
  destinations: ['10.0.0.1:80/tcp'],
};
const sources: WindowSources = {
  startMs: 1000,
  endMs: 2000,
  before: { stats, network },
  after: { stats, network },
  reading: { syscalls: new Map([[0, 7]]), audit: [], kept: 1 },
  driver: 'runc',
};

describe('collectWindow', () => {
  it('gives what was counted between two readings, and gauges at the end', () => {
    const after = {
      stats: {
        ...stats,
        cpuUsec: 5_250_000,
        throttledUsec: 50_000,
        memoryBytes: 500,
        minorFaults: 410,
        oomKills: 1,
        pids: 9,
      },
      network: { ...network, txBytes: 260, txPackets: 3, destinations: [...network.destinations, '10.0.0.2:443/tcp'] },
    };
    expect(collectWindow({ ...sources, after })).toEqual({
      startMs: 1000,
      durationMs: 1000,
      cpuMs: 250,
      throttledMs: 10,
      memoryBytes: 500,
      memoryPeakBytes: 2000,
      majorFaults: 0,
      minorFaults: 10,
      memoryLimitHits: 0,
      oomKills: 1,
      readBytes: 0,
      writeBytes: 0,
      pids: 9,
      rxBytes: 0,
      txBytes: 60,
      rxPackets: 0,
      txPackets: 1,
      droppedPackets: 0,
      newDestinations: ['10.0.0.2:443/tcp'],
      syscalls: new Map([[0, 7]]),
      audit: [{ timeMs: 2000, kind: 'destination', comm: '', pid: 0, target: '10.0.0.2:443/tcp' }],
      coverage: 1,
    });
  });

  it('takes a counter that went back for one that was started anew', () => {
    const after = { stats: { ...stats, cpuUsec: 70_000 }, network: { ...network, rxBytes: 30 } };
    expect(collectWindow({ ...sources, after })).toMatchObject({ cpuMs: 70, rxBytes: 30 });
  });

  it('takes a link that has just come for one that counted from 0, and one that is gone for silence', () => {
    const before = { stats, network: null };
    expect(collectWindow({ ...sources, before })).toMatchObject({
      rxBytes: 100,
      newDestinations: network.destinations,
    });
    expect(collectWindow({ ...sources, after: before })).toMatchObject({
      rxBytes: 0,
      txPackets: 0,
      newDestinations: [],
    });
  });

  it.each([
    ['all of it', { kept: 1 }, 'runc', 1],
    ['most of it', { kept: 0.75 }, 'runc', 0.75],
    ['nothing but cgroup figures', { kept: 0 }, 'runc', 0.5],
    ['the calls of gVisor’s own kernel', { kept: 1 }, 'gvisor', 0.5],
  ] as const)('covers what was seen: %s', (_what, { kept }, driver, coverage) => {
    const reading = { syscalls: new Map([[101, 1]]), audit: [], kept };
    const window = collectWindow({ ...sources, reading, driver });
    expect(window.coverage).toBe(coverage);
    expect(window.syscalls.size).toBe(driver === 'gvisor' ? 0 : 1);
  });

  it('covers half when the sensor was not asked', () => {
    expect(collectWindow({ ...sources, reading: null }).coverage).toBe(0.5);
  });

  it('never gives a negative count', () => {
    const counters = fc.record({ cpuUsec: fc.nat(), minorFaults: fc.nat(), readBytes: fc.nat(), oomKills: fc.nat() });
    fc.assert(
      fc.property(counters, counters, fc.nat(), (from, to, endMs) => {
        const window = collectWindow({
          ...sources,
          endMs,
          before: { stats: { ...stats, ...from }, network },
          after: { stats: { ...stats, ...to }, network },
        });
        const numbers = Object.values(window).filter((value) => typeof value === 'number');
        expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('bounds the destinations that a window carries', () => {
    const destinations = Array.from({ length: 8192 }, (_, n) => `10.0.0.1:${n}/tcp`);
    const window = collectWindow({ ...sources, after: { stats, network: { ...network, destinations } } });
    expect(window.newDestinations).toHaveLength(1024);
    expect(window.audit).toHaveLength(64);
  });
});

describe('isActive', () => {
  const idle = collectWindow(sources);

  it('is false when nothing but a timer ran', () => {
    expect(isActive(idle)).toBe(false);
    expect(isActive({ ...idle, cpuMs: 9.99 })).toBe(false);
  });

  it.each([{ cpuMs: 10 }, { rxPackets: 1 }, { txPackets: 1 }, { readBytes: 1 }, { writeBytes: 512 }])(
    'is true with %o',
    (done) => {
      expect(isActive({ ...idle, ...done })).toBe(true);
    },
  );
});
