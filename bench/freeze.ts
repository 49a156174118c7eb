// Promise: from the decision until the kernel says that every process has stopped, p99 at most 5 ms.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { removeParents } from '../src/sandbox/cgroup/group-folders.ts';
import { type CgroupGroup, makeGroup } from '../src/sandbox/cgroup/group.ts';
import { findCgroupLayout } from '../src/sandbox/cgroup/layout.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const P99_MS_MAX = 5;
const FREEZES = 1000;

/** What a workload does while it is stopped: computes, calls the kernel all the time, forks all the time, waits. */
const WORK = [
  'while :; do :; done',
  'exec dd if=/dev/zero of=/dev/null bs=1 count=1000000000 status=none',
  'while :; do /bin/true; done',
  'exec sleep 1000',
];

/** Freezes and thaws a group of four busy programs, on purpose more than a small host has cores. */
export async function run(): Promise<readonly BenchRow[]> {
  const row = { what: 'decision to confirmed frozen, p99', target: `≤ ${P99_MS_MAX} ms` };
  if (process.getuid?.() !== 0) return [{ ...row, value: 'not measured', ok: null, detail: 'needs root' }];
  const layout = findCgroupLayout();
  const homeId = `bench-${randomBytes(4).toString('hex')}`;
  const group = makeGroup(layout, { homeId, id: 'one' });
  try {
    const children = WORK.map((script) => startWithin(group, script));
    const samples = await freezeTimes(group);
    const survived = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null).length;
    if (survived !== WORK.length)
      throw new Error(`${WORK.length - survived} programs ended: nothing was there to freeze`);
    const p99 = percentile(samples, 0.99);
    const detail = `${FREEZES} times, ${WORK.length} programs; median ${percentile(samples, 0.5).toFixed(3)} ms, slowest ${percentile(samples, 1).toFixed(2)} ms`;
    return [{ ...row, value: `${p99.toFixed(2)} ms`, ok: p99 <= P99_MS_MAX, detail }];
  } finally {
    await group.kill();
    await group.remove();
    removeParents(layout, homeId);
  }
}

function startWithin(group: CgroupGroup, script: string): ChildProcess {
  const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'inherit'] });
  group.admit(child.pid ?? 0);
  child.stdin?.write('go\n');
  return child;
}

async function freezeTimes(group: CgroupGroup): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let n = 0; n < FREEZES; n += 1) {
    // Let the programs run between two freezes: what is still stopped is quickly stopped.
    const ran = group.stats().cpuUsec;
    while (group.stats().cpuUsec === ran) await nextTurn();
    const startMs = performance.now();
    await group.freeze();
    samples.push(performance.now() - startMs);
    if (!group.isFrozen()) throw new Error('it was said to be frozen and is not');
    await group.thaw();
  }
  return samples;
}

await runAlone(import.meta, run);
