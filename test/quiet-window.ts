// A window in which next to nothing happened: what the tests of windows change a part of.
import type { Window } from '../src/behaviour/index.ts';

export const quietWindow: Window = {
  startMs: 0,
  durationMs: 1000,
  cpuMs: 5,
  throttledMs: 0,
  memoryBytes: 1e7,
  memoryPeakBytes: 1e7,
  majorFaults: 0,
  minorFaults: 0,
  memoryLimitHits: 0,
  oomKills: 0,
  readBytes: 0,
  writeBytes: 0,
  pids: 2,
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  droppedPackets: 0,
  newDestinations: [],
  syscalls: new Map(),
  audit: [],
  coverage: 1,
};
