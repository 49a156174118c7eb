// Promises: what the sensor costs a loop of system calls, in a workload and beside one, and process starts; exact counts of 10⁸ calls.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../src/base/index.ts';
import { syscallNumbers } from '../src/behaviour/index.ts';
import { Assembler } from '../src/sandbox/bpf/assembler.ts';
import { parseBtf } from '../src/sandbox/bpf/btf.ts';
import { attachProgram } from '../src/sandbox/bpf/kernel.ts';
import { openSensor, type Sensor } from '../src/sandbox/index.ts';
import { makeBareGroup, removeBareGroup } from './bare-group.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

/** Runs that count, and how many are tried: one beside which the bare loop changed says nothing. */
const RUNS = 7;
const TRIES_MAX = 25;
const DRIFT_MAX = 1.1;
/** Others who trace system calls slow every loop of the host; so long is waited for them to end. */
const TRACERS: ReadonlySet<string> = new Set(['bpftrace', 'strace', 'perf']);
const TRACERS_MS_MAX = 5000;
/**
 * Two calls each: about 3 ms bare, within a scheduler's turn, so that the best of some runs is one that nobody disturbed.
 * Under strace a fraction of them takes as long.
 */
const COPIES = 5000;
const TRACED_COPIES = 500;
const BEST_OF = 15;
/** Started and waited for, one after the other. */
const SPAWNS = 20;
const KNOWN_CALLS = 100_000_000;
const PROCESSES = 4;

const SPAWN_LOOP = 'i=0; while [ $i -lt "$1" ]; do /bin/true; i=$((i + 1)); done';
const COUNT_LOOP =
  'my $n = shift; my @kids = map { my $k = fork; if (!$k) { getppid for 1..$n; exit } $k } 1..shift; waitpid $_, 0 for @kids';

/** One thing to measure against the bare loop. */
interface Situation {
  readonly what: string;
  /** How much slower it may be; null for a figure that is only shown. */
  readonly limit: number | null;
  /** Nanoseconds of one copy (a read and a write) or of one process start. */
  readonly sampleNs: (dir: string) => number;
  /** What is there during the run; null for the bare host. */
  readonly open: (cgroupId: bigint) => Promise<AsyncDisposable | null>;
  /** In place of `sampleNs` during the run. */
  readonly tracedNs?: (dir: string) => number;
}

const LOOP = 'a loop of system calls (dd bs=1)';
const copies = (dir: string): number => copyNs(dir, COPIES);

const situations: readonly Situation[] = [
  {
    what: `${LOOP}, watched as at medium trust, 3-grams and all`,
    limit: 1.4,
    sampleNs: copies,
    open: (id) => watching('bpf', id, 'detailed'),
  },
  { what: `${LOOP}, beside the sensor, in no workload`, limit: 1.25, sampleNs: copies, open: () => openReady('bpf') },
  {
    what: `${LOOP}, watched as at high trust`,
    limit: 1.25,
    sampleNs: copies,
    open: (id) => watching('bpf', id, 'standard'),
  },
  {
    what: 'process starts, watched as at medium trust',
    limit: 1.04,
    sampleNs: spawnNs,
    open: (id) => watching('bpf', id, 'detailed'),
  },
  {
    what: `${LOOP}, beside a program that does nothing at the same tracepoint`,
    limit: null,
    sampleNs: copies,
    open: openEmptyProgram,
  },
  {
    what: `${LOOP}, watched by bpftrace`,
    limit: null,
    sampleNs: copies,
    open: (id) => watching('bpftrace', id, 'detailed'),
  },
  {
    what: `${LOOP}, beside bpftrace, in no workload`,
    limit: null,
    sampleNs: copies,
    open: () => openReady('bpftrace'),
  },
  {
    what: `${LOOP}, under strace -c -f`,
    limit: null,
    sampleNs: copies,
    open: async () => null,
    tracedNs: (dir) => copyNs(dir, TRACED_COPIES, ['strace', '-c', '-f', '-o', '/dev/null']),
  },
];

/** Measures each situation between two bare runs, then how long a start takes, then an exact count. */
export async function run(): Promise<readonly BenchRow[]> {
  const missing = whyNot();
  if (missing !== null) return [notMeasured('the cost of the sensor', missing)];
  const dir = makeBareGroup('bench-sensor');
  try {
    const rows: BenchRow[] = [];
    for (const situation of situations) rows.push(await rowOf(situation, dir));
    return [...rows, await startRow(), await exactRow(dir)];
  } finally {
    removeBareGroup(dir);
  }
}

async function rowOf(situation: Situation, dir: string): Promise<BenchRow> {
  const { what, limit, sampleNs, open, tracedNs } = situation;
  const id = statSync(dir, { bigint: true }).ino;
  const [ratios, bare, slowed]: [number[], number[], number[]] = [[], [], []];
  for (let attempt = 0; attempt < TRIES_MAX; attempt += 1) {
    if (ratios.length === RUNS) break;
    if (!(await othersAreQuiet())) continue;
    const before = sampleNs(dir);
    const opened = await open(id);
    const during = (tracedNs ?? sampleNs)(dir);
    await opened?.[Symbol.asyncDispose]();
    const after = sampleNs(dir);
    if (Math.max(before, after) > DRIFT_MAX * Math.min(before, after)) continue;
    ratios.push((2 * during) / (before + after));
    bare.push((before + after) / 2);
    slowed.push(during);
  }
  if (ratios.length < RUNS) return notMeasured(what, 'the host was too noisy');
  const ratio = percentile(ratios, 0.5);
  return {
    what,
    value: `×${ratio.toFixed(2)}`,
    target: limit === null ? 'none' : `≤ ×${limit.toFixed(2)}`,
    ok: limit === null || ratio <= limit,
    detail: `median of ${RUNS} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}): ${percentile(bare, 0.5).toFixed(0)} ns bare, ${percentile(slowed, 0.5).toFixed(0)} ns`,
  };
}

/** Waits a little for others' tracers to end; false when one still runs. */
async function othersAreQuiet(): Promise<boolean> {
  const deadline = performance.now() + TRACERS_MS_MAX;
  const isTracer = (pid: string): boolean => {
    try {
      return TRACERS.has(readFileSync(`/proc/${pid}/comm`, 'latin1').trim());
    } catch (error) {
      if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
  };
  while (readdirSync('/proc').some((name) => /^\d+$/.test(name) && isTracer(name))) {
    if (performance.now() > deadline) return false;
    await delay(50);
  }
  return true;
}

/** What the kernel itself takes for a tracepoint that anybody uses. */
async function openEmptyProgram(): Promise<AsyncDisposable> {
  const tracepointType = parseBtf(readFileSync('/sys/kernel/btf/vmlinux')).typedefId('btf_trace_sys_exit');
  const slots = new Assembler().move('r0', 0).exit().assemble();
  const { program, link } = attachProgram({ name: 'bench_empty', slots, tracepointType });
  return {
    [Symbol.asyncDispose]: async () => {
      link[Symbol.dispose]();
      program[Symbol.dispose]();
    },
  };
}

async function watching(program: 'bpf' | 'bpftrace', id: bigint, logging: 'standard' | 'detailed'): Promise<Sensor> {
  const sensor = await openReady(program);
  sensor.watch(id, logging);
  return sensor;
}

async function startRow(): Promise<BenchRow> {
  const [own, bpftrace]: [number[], number[]] = [[], []];
  for (let round = 0; round < RUNS; round += 1) {
    for (const [program, ms] of [['bpf', own] as const, ['bpftrace', bpftrace] as const]) {
      const startMs = performance.now();
      await using sensor = await openReady(program);
      ms.push(performance.now() - startMs);
      sensor.unwatch(0n);
    }
  }
  return {
    what: 'from opening the sensor to its first count',
    value: `${percentile(own, 0.5).toFixed(0)} ms`,
    target: 'none',
    ok: true,
    detail: `median of ${RUNS}, from ${Math.min(...own).toFixed(0)} ms; bpftrace ${percentile(bpftrace, 0.5).toFixed(0)}, from ${Math.min(...bpftrace).toFixed(0)} ms`,
  };
}

function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const command of ['strace', 'bpftrace', 'perl']) {
    if (spawnSync(command, ['--version']).status !== 0) return `${command} is not installed`;
  }
  return null;
}

async function openReady(program: 'bpf' | 'bpftrace'): Promise<Sensor> {
  const sensor = await openSensor({ program });
  await sensor.ready;
  if (sensor.kind !== program || sensor.limitation !== null) throw new Error(sensor.limitation ?? 'another sensor');
  return sensor;
}

/** Counts a known number of calls of several processes at once. */
async function exactRow(dir: string): Promise<BenchRow> {
  await using sensor = await openReady('bpf');
  const id = statSync(dir, { bigint: true }).ino;
  sensor.watch(id, 'detailed');
  enter(dir, ['perl', '-e', COUNT_LOOP, `${KNOWN_CALLS / PROCESSES}`, `${PROCESSES}`]);
  const reading = sensor.read().get(id);
  const call = syscallNumbers(['getppid'], process.arch === 'arm64' ? 'arm64' : 'x64')[0] ?? -1;
  const counted = reading?.syscalls.get(call) ?? 0;
  return {
    what: `calls counted of ${KNOWN_CALLS.toLocaleString('en')} by ${PROCESSES} processes`,
    value: counted.toLocaleString('en'),
    target: 'exact',
    ok: counted === KNOWN_CALLS,
    detail: `kept ${reading?.kept ?? 0}; with 3-grams`,
  };
}

/** What dd itself says that it took, at best; starting it is not measured. */
function copyNs(dir: string, copies: number, tracer: readonly string[] = []): number {
  const command = [...tracer, 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', `count=${copies}`];
  const runs = Array.from({ length: BEST_OF }, () => {
    const stderr = enter(dir, command);
    const seconds = /copied, ([\d.e-]+) s/.exec(stderr)?.[1];
    if (seconds === undefined) throw new Error(`dd failed: ${stderr}`);
    return (Number(seconds) * 1e9) / copies;
  });
  return Math.min(...runs);
}

function spawnNs(dir: string): number {
  const runs = Array.from({ length: BEST_OF }, () => {
    const startMs = performance.now();
    enter(dir, ['sh', '-c', SPAWN_LOOP, 'sh', `${SPAWNS}`]);
    return ((performance.now() - startMs) * 1e6) / SPAWNS;
  });
  return Math.min(...runs);
}

function enter(dir: string, command: readonly string[]): string {
  const { status, stderr } = spawnSync('sh', ['-c', 'echo $$ > "$0/cgroup.procs"; exec "$@"', dir, ...command], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  return stderr;
}

function notMeasured(what: string, why: string): BenchRow {
  return { what, value: 'not measured', target: 'a ratio', ok: null, detail: why };
}

await runAlone(import.meta, run);
