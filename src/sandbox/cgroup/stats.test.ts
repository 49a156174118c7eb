import { describe, expect, it } from 'vitest';
import { openFakeTree } from '../../../test/cgroup-fixture.ts';
import { statsReaderV1, statsReaderV2 } from './stats.ts';

const V2_FILES = {
  'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_throttled 2\nthrottled_usec 300\n',
  'memory.current': '10000\n',
  'memory.peak': '12000\n',
  'memory.stat': 'anon 4000\ninactive_file 6000\npgfault 50\npgmajfault 5\n',
  'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n',
  'io.stat':
    '254:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:0 rbytes=1 wbytes=2 rios=1 wios=1\n7:0 rbytes=77 wbytes=77 rios=1 wios=1\n',
  'pids.current': '4\n',
};

const V1_FILES = {
  'cpuacct.usage': '1500999\n',
  'cpu.stat': 'nr_periods 1\nnr_throttled 2\nthrottled_time 300000\n',
  'memory.usage_in_bytes': '10000\n',
  'memory.max_usage_in_bytes': '12000\n',
  'memory.stat': 'pgfault 1\ntotal_inactive_file 6000\ntotal_pgfault 50\ntotal_pgmajfault 5\n',
  'memory.failcnt': '3\n',
  'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
  'blkio.throttle.io_service_bytes_recursive':
    '254:0 Read 4096\n254:0 Write 8192\n254:0 Total 12288\n8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 12291\n',
  'pids.current': '4\n',
};

const COUNTERS = {
  cpuUsec: 1500,
  throttledUsec: 300,
  memoryBytes: 4000,
  memoryPeakBytes: 12_000,
  majorFaults: 5,
  minorFaults: 45,
  memoryLimitHits: 3,
  oomKills: 1,
  readBytes: 4097,
  writeBytes: 8194,
  pids: 4,
};

describe('counters of a group (files that stand for the kernel)', () => {
  it('are read from a v2 group', () => {
    using tree = openFakeTree(V2_FILES);
    using reader = statsReaderV2(tree.root);
    expect(reader.read()).toEqual(COUNTERS);
  });

  it('are read from a v2 group whose kernel has no peak and no I/O controller', () => {
    const { 'memory.peak': _peak, 'io.stat': _io, ...files } = V2_FILES;
    using tree = openFakeTree(files);
    using reader = statsReaderV2(tree.root);
    expect(reader.read()).toEqual({ ...COUNTERS, memoryPeakBytes: 10_000, readBytes: 0, writeBytes: 0 });
  });

  it('are the same from v1 groups', () => {
    using tree = openFakeTree(V1_FILES);
    const { root } = tree;
    using reader = statsReaderV1({ cpu: root, cpuacct: root, memory: root, blkio: root, pids: root });
    expect(reader.read()).toEqual(COUNTERS);
  });

  it('count no I/O where v1 has no blkio controller', () => {
    using tree = openFakeTree(V1_FILES);
    const { root } = tree;
    using reader = statsReaderV1({ cpu: root, cpuacct: root, memory: root, blkio: null, pids: root });
    expect(reader.read()).toEqual({ ...COUNTERS, readBytes: 0, writeBytes: 0 });
  });

  it('are not read again while nothing ran, and are when something did', () => {
    using tree = openFakeTree(V2_FILES);
    using reader = statsReaderV2(tree.root);
    const first = reader.read();
    tree.write('pids.current', '5\n');
    expect(reader.read()).toBe(first);
    tree.write('cpu.stat', 'usage_usec 1501\n');
    expect(reader.read()).toEqual({ ...COUNTERS, cpuUsec: 1501, throttledUsec: 0, pids: 5 });
  });

  it('take a file whose first line is the wanted one for what it is', () => {
    using tree = openFakeTree({ ...V2_FILES, 'memory.events': 'max 9\noom_kill 2\n' });
    using reader = statsReaderV2(tree.root);
    expect(reader.read()).toMatchObject({ memoryLimitHits: 9, oomKills: 2 });
  });
});
