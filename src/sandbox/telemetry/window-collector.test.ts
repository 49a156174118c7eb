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
  begunFlows: 10,
  rebuffedFlows: 2,
  questions: 5,
  questionsRead: 4,
  questionsMissed: 1,
  recentNames: ['one.test', 'two.test', 'three.test', 'four.test'],
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
      memoryGrownBytes: 0,
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
      begunFlows: 0,
      rebuffedFlows: 0,
      dnsQuestions: 0,
      dnsMissed: 0,
      dnsNames: [],
      syscalls: new Map([[0, 7]]),
      audit: [{ timeMs: 2000, kind: 'destination', comm: '', pid: 0, target: '10.0.0.2:443/tcp' }],
      coverage: 1,
    });
  });

  it('gives by how much memory grew', () => {
    const after = { stats: { ...stats, memoryBytes: 5000 }, network };
    expect(collectWindow({ ...sources, after }).memoryGrownBytes).toBe(4000);
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

  it('gives what was asked of others, each name once and none of the window before', () => {
    const later = {
      ...network,
      begunFlows: 14,
      rebuffedFlows: 5,
      questions: 9,
      questionsRead: 7,
      questionsMissed: 2,
      recentNames: ['three.test', 'four.test', 'new.test', 'one.test', 'new.test'],
    };
    expect(collectWindow({ ...sources, after: { stats, network: later } })).toMatchObject({
      begunFlows: 4,
      rebuffedFlows: 3,
      dnsQuestions: 4,
      dnsMissed: 1,
      dnsNames: ['new.test', 'one.test'],
      audit: [
        { kind: 'question', target: 'new.test' },
        { kind: 'question', target: 'one.test' },
      ],
    });
  });

  it('says nothing of what was asked where there is no link, which is not the same as nothing', () => {
    const window = collectWindow({ ...sources, after: { stats, network: null } });
    expect(window.begunFlows).toBeUndefined();
    expect(window.dnsNames).toBeUndefined();
  });

  it('bounds the names that a window carries', () => {
    const recentNames = Array.from({ length: 1024 }, (_, n) => `n${n}.test`);
    const after = { stats, network: { ...network, questionsRead: 2000, recentNames } };
    const window = collectWindow({ ...sources, after });
    expect(window.dnsNames).toHaveLength(256);
    expect(window.audit).toHaveLength(64);
  });

  it('carries a look at memory only where somebody looked', () => {
    const memory = {
      anonymousExecutableBytes: 4096,
      writableExecutableBytes: 0,
      changedCodePages: 0,
      processes: ['x'],
      isWhole: true,
    };
    expect(collectWindow({ ...sources, memory }).memoryLook).toBe(memory);
    expect(collectWindow({ ...sources, memory: null })).not.toHaveProperty('memoryLook');
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
