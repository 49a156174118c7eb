// Promise: a full live grant (CPU, memory, pids) applied with read-back, at least 50 times faster than `runc update`, p99 at most 0.5 ms.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../src/base/index.ts';
import { removeParents } from '../src/sandbox/cgroup/group-folders.ts';
import { type CgroupGroup, makeGroup } from '../src/sandbox/cgroup/group.ts';
import { findCgroupLayout } from '../src/sandbox/cgroup/layout.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RATIO_MIN = 50;
const P99_MS_MAX = 0.5;
const GRANTS = 5000;
const WARM_UP_GRANTS = 500;
const UPDATES = 40;

/** Neither is what the group has before, so that every write changes something. */
const SMALL = { cpuMillicores: 100, memoryBytes: 256 * MIB, pids: 64 };
const LARGE = { cpuMillicores: 500, memoryBytes: 512 * MIB, pids: 128 };

/** Grants in turn to one group that holds a running container, by us and by `runc update`. */
export async function run(): Promise<readonly BenchRow[]> {
  if (process.getuid?.() !== 0 || spawnSync('runc', ['--version']).status !== 0) {
    return rows(null, 'needs root and runc');
  }
  const layout = findCgroupLayout();
  const homeId = `bench-${randomBytes(4).toString('hex')}`;
  const dir = mkdtempSync(join(tmpdir(), 'provost-bench-'));
  const group = makeGroup(layout, { homeId, id: 'one' });
  const container = `${homeId}-one`;
  const runc = (...args: string[]): void => void execFileSync('runc', ['--root', join(dir, 'state'), ...args]);
  try {
    writeBundle(dir, group.path);
    execFileSync('runc', ['--root', join(dir, 'state'), 'run', '-d', '-b', dir, container], { stdio: 'ignore' });
    const own = timed(WARM_UP_GRANTS, GRANTS, (grant) => group.apply(grant));
    const theirs = timed(1, UPDATES, (grant) => runc('update', ...updateFlags(grant), container));
    checkLast(group);
    return rows({ own, theirs }, '');
  } finally {
    await group.kill();
    spawnSync('runc', ['--root', join(dir, 'state'), 'delete', '--force', container]);
    await group.remove();
    removeParents(layout, homeId);
    rmSync(dir, { recursive: true });
  }
}

/** Milliseconds of each of `count` grants, after some that warm up. */
function timed(warmUp: number, count: number, apply: (grant: typeof SMALL) => void): number[] {
  const samples: number[] = [];
  for (let n = 0; n < warmUp + count; n += 1) {
    const startMs = performance.now();
    apply(n % 2 === 0 ? SMALL : LARGE);
    if (n >= warmUp) samples.push(performance.now() - startMs);
  }
  return samples;
}

function updateFlags({ cpuMillicores, memoryBytes, pids }: typeof SMALL): readonly string[] {
  const flags = ['--cpu-period', '100000', '--cpu-quota', String(cpuMillicores * 100)];
  return [...flags, '--memory', String(memoryBytes), '--pids-limit', String(pids)];
}

/** Both must have changed the same group, or the comparison means nothing. */
function checkLast(group: CgroupGroup): void {
  const { cpuMillicores } = group.effective();
  const expected = (UPDATES + 1) % 2 === 1 ? SMALL.cpuMillicores : LARGE.cpuMillicores;
  if (cpuMillicores !== expected) throw new Error(`runc update left ${cpuMillicores} millicores, not ${expected}`);
}

function writeBundle(dir: string, cgroupsPath: string): void {
  mkdirSync(join(dir, 'rootfs'));
  const root = ['bin', 'lib', 'lib64', 'usr'].map((name) => ({
    destination: `/${name}`,
    source: `/${name}`,
    type: 'none',
    options: ['rbind', 'ro'],
  }));
  const config = {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/sleep', '1000'], env: ['PATH=/bin'], cwd: '/' },
    root: { path: 'rootfs' },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, ...root],
    linux: { cgroupsPath, namespaces: [{ type: 'pid' }, { type: 'mount' }] },
  };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
}

function rows(
  samples: { readonly own: readonly number[]; readonly theirs: readonly number[] } | null,
  why: string,
): readonly BenchRow[] {
  const ratioRow = { what: 'a full live grant with read-back, against runc update', target: `≥ ${RATIO_MIN}× faster` };
  const p99Row = { what: 'a full live grant with read-back, p99', target: `≤ ${P99_MS_MAX} ms` };
  if (samples === null) {
    return [ratioRow, p99Row].map((row) => ({ ...row, value: 'not measured', ok: null, detail: why }));
  }
  const own = percentile(samples.own, 0.5);
  const theirs = percentile(samples.theirs, 0.5);
  const p99 = percentile(samples.own, 0.99);
  const detail = `median ${(own * 1000).toFixed(0)} µs of ${GRANTS}, runc update ${theirs.toFixed(1)} ms of ${UPDATES}`;
  return [
    { ...ratioRow, value: `${(theirs / own).toFixed(0)}× faster`, ok: theirs / own >= RATIO_MIN, detail },
    {
      ...p99Row,
      value: `${p99.toFixed(3)} ms`,
      ok: p99 <= P99_MS_MAX,
      detail: `slowest ${percentile(samples.own, 1).toFixed(2)} ms`,
    },
  ];
}

await runAlone(import.meta, run);
