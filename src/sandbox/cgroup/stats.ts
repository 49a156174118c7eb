// Cumulative counters of one group, read from files that stay open; one read when nothing ran since the last time.
import { join } from 'node:path';
import type { SandboxStats } from '../driver.ts';
import { closeAll, type ControlFile, controlFile, controlFileIfAny, keyedNumber } from './control-file.ts';

/** Reads the counters of one group. */
export interface StatsReader extends Disposable {
  /** Answers with the last reading when no CPU time was used since: what did not run did not change anything. */
  read(): SandboxStats;
}

/** Folders of one group in the v1 hierarchies that count. */
export interface V1StatsFolders {
  readonly cpu: string;
  readonly cpuacct: string;
  readonly memory: string;
  readonly blkio: string | null;
  readonly pids: string;
}

const NS_PER_US = 1000;

/**
 * Counters of v1 controllers. Memory is what is charged less file pages that were not used lately: what would have to
 * be freed to end the workload's hold (Kubernetes calls it the working set). Bytes that v1 writes back from the page
 * cache later are charged to the host, so `writeBytes` has only what was written at once; what went to the writable
 * layer its own device counts.
 */
export function statsReaderV1(folders: V1StatsFolders): StatsReader {
  const files = {
    usage: controlFile(join(folders.cpuacct, 'cpuacct.usage')),
    cpu: controlFile(join(folders.cpu, 'cpu.stat')),
    memory: controlFile(join(folders.memory, 'memory.usage_in_bytes')),
    peak: controlFile(join(folders.memory, 'memory.max_usage_in_bytes')),
    detail: controlFile(join(folders.memory, 'memory.stat')),
    hits: controlFile(join(folders.memory, 'memory.failcnt')),
    oom: controlFile(join(folders.memory, 'memory.oom_control')),
    io:
      folders.blkio === null
        ? null
        : controlFileIfAny(join(folders.blkio, 'blkio.throttle.io_service_bytes_recursive')),
    pids: controlFile(join(folders.pids, 'pids.current')),
  };
  const readAll = (cpuUsec: number): SandboxStats => {
    const detail = files.detail.read();
    const majorFaults = keyedNumber(detail, 'total_pgmajfault');
    return {
      cpuUsec,
      throttledUsec: Math.floor(keyedNumber(files.cpu.read(), 'throttled_time') / NS_PER_US),
      memoryBytes: Math.max(0, files.memory.readNumber() - keyedNumber(detail, 'total_inactive_file')),
      memoryPeakBytes: files.peak.readNumber(),
      majorFaults,
      minorFaults: keyedNumber(detail, 'total_pgfault') - majorFaults,
      memoryLimitHits: files.hits.readNumber(),
      oomKills: keyedNumber(files.oom.read(), 'oom_kill'),
      ...ioBytesV1(files.io?.read() ?? ''),
      pids: files.pids.readNumber(),
    };
  };
  return statsReader(Object.values(files), () => Math.floor(files.usage.readNumber() / NS_PER_US), readAll);
}

/** Counters of one folder of a v2 tree that has the controllers. */
export function statsReaderV2(folder: string): StatsReader {
  const files = {
    cpu: controlFile(join(folder, 'cpu.stat')),
    memory: controlFile(join(folder, 'memory.current')),
    // Since Linux 5.19; before, the present use is the best known peak.
    peak: controlFileIfAny(join(folder, 'memory.peak')),
    detail: controlFile(join(folder, 'memory.stat')),
    events: controlFile(join(folder, 'memory.events')),
    io: controlFileIfAny(join(folder, 'io.stat')),
    pids: controlFile(join(folder, 'pids.current')),
  };
  const readAll = (cpuUsec: number): SandboxStats => {
    const detail = files.detail.read();
    const events = files.events.read();
    const charged = files.memory.readNumber();
    const majorFaults = keyedNumber(detail, 'pgmajfault');
    return {
      cpuUsec,
      throttledUsec: keyedNumber(files.cpu.read(), 'throttled_usec'),
      memoryBytes: Math.max(0, charged - keyedNumber(detail, 'inactive_file')),
      memoryPeakBytes: files.peak?.readNumber() ?? charged,
      majorFaults,
      minorFaults: keyedNumber(detail, 'pgfault') - majorFaults,
      memoryLimitHits: keyedNumber(events, 'max'),
      oomKills: keyedNumber(events, 'oom_kill'),
      ...ioBytesV2(files.io?.read() ?? ''),
      pids: files.pids.readNumber(),
    };
  };
  return statsReader(Object.values(files), () => keyedNumber(files.cpu.read(), 'usage_usec'), readAll);
}

function statsReader(
  files: readonly (ControlFile | null)[],
  readCpuUsec: () => number,
  readAll: (cpuUsec: number) => SandboxStats,
): StatsReader {
  let last: SandboxStats | null = null;
  return {
    read: () => {
      const cpuUsec = readCpuUsec();
      if (last === null || last.cpuUsec !== cpuUsec) last = readAll(cpuUsec);
      return last;
    },
    [Symbol.dispose]: () => closeAll(files),
  };
}

interface IoBytes {
  readonly readBytes: number;
  readonly writeBytes: number;
}

/** Lines are `major:minor Read 4096`, with a `Total` at the end; only disks have rules, and so lines. */
function ioBytesV1(text: string): IoBytes {
  return { readBytes: sumOf(text, /^\d+:\d+ Read (\d+)$/gm), writeBytes: sumOf(text, /^\d+:\d+ Write (\d+)$/gm) };
}

/** Lines are `major:minor rbytes=4096 wbytes=0 …`; loop devices (major 7) lie on a disk, which counts the same bytes. */
function ioBytesV2(text: string): IoBytes {
  return {
    readBytes: sumOf(text, /^(?!7:)\d+:\d+ .*?\brbytes=(\d+)/gm),
    writeBytes: sumOf(text, /^(?!7:)\d+:\d+ .*?\bwbytes=(\d+)/gm),
  };
}

function sumOf(text: string, pattern: RegExp): number {
  let sum = 0;
  for (const [, bytes = '0'] of text.matchAll(pattern)) sum += Number.parseInt(bytes, 10);
  return sum;
}
