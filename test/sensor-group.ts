// A control group of its own for a test of the sensor, and what a test waits for.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../src/base/index.ts';
import { type CallArchitecture, syscallNumbers } from '../src/behaviour/index.ts';
import type { Sensor, SensorReading } from '../src/sandbox/index.ts';

const DEADLINE_MS = 20_000;
const POLL_MS = 20;

const architecture: CallArchitecture = process.arch === 'arm64' ? 'arm64' : 'x64';

/** The number of a call on this host. */
export const number = (name: string): number => syscallNumbers([name], architecture)[0] ?? Number.NaN;

/** A v2 group of this test alone, and what runs in it. */
export class Group {
  readonly dir: string;
  readonly id: bigint;

  constructor() {
    const v2 = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
    this.dir = join(v2, 'provost', `test-sensor-${randomBytes(4).toString('hex')}`);
    mkdirSync(this.dir, { recursive: true });
    this.id = statSync(this.dir, { bigint: true }).ino;
  }

  /** Runs a command in the group and returns when it has ended. */
  run(...command: readonly string[]): void {
    const entering = 'echo $$ > "$0/cgroup.procs"; cd /etc; exec "$@"';
    const { status, stderr } = spawnSync('sh', ['-c', entering, this.dir, ...command], { encoding: 'utf8' });
    if (status === null || status > 125) throw new Error(`${command.join(' ')}: status ${status}: ${stderr}`);
  }

  remove(): void {
    rmdirSync(this.dir);
    try {
      rmdirSync(join(this.dir, '..'));
    } catch (error) {
      // Others are in it; the last one to leave takes it away.
      if (!['EBUSY', 'ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
}

/** Waits for it, and fails when it does not come about. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(POLL_MS);
  }
}

/** Pids of the children of a process by their command's name. */
export function childrenOf(parent: number, name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => new RegExp(`^\\d+ \\(${name}\\) \\S ${parent} `).test(statOf(Number(pid))))
    .map(Number);
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return '';
    throw error;
  }
}

/** True when no process of that id runs. */
export const isGone = (pid: number): boolean => /^$|\) [ZX] /.test(statOf(pid));

/** Everything that was seen of a group, gathered until `isWhole`: events come a little after the counts. */
export async function gather(
  sensor: Sensor,
  id: bigint,
  isWhole: (all: SensorReading) => boolean,
): Promise<SensorReading> {
  let all: SensorReading = { syscalls: new Map(), audit: [], kept: 1 };
  await until('the sensor saw everything', () => {
    const next = sensor.read().get(id);
    if (next === undefined) throw new Error('the group is not watched');
    const syscalls = new Map(all.syscalls);
    for (const [call, count] of next.syscalls) syscalls.set(call, (syscalls.get(call) ?? 0) + count);
    all = { syscalls, audit: [...all.audit, ...next.audit], kept: Math.min(all.kept, next.kept) };
    return isWhole(all);
  });
  return all;
}
