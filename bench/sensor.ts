// Promises: what the sensor costs a loop of system calls, in a workload and beside one, and process starts; exact counts of 10⁸ calls.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../src/base/index.ts';
import { syscallNumbers } from '../src/behaviour/index.ts';
import { Assembler } from '../src/sandbox/bpf/assembler.ts';
import { parseBtf } from '../src/sandbox/bpf/btf.ts';
import { attachProgram } from '../src/sandbox/bpf/kernel.ts';
import { openSensor, type Sensor } from '../src/sandbox/index.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const ROUNDS = 7;
/**
 * Two calls each: about 10 ms bare, within a scheduler's turn, so that the best of some runs is one that nobody disturbed.
 * Under strace a fraction of them takes as long.
 */
const COPIES = 20_000;
const TRACED_COPIES = 500;
const BEST_OF = 9;
/** Started and waited for, one after the other. */
const SPAWNS = 40;
const KNOWN_CALLS = 100_000_000;
const PROCESSES = 4;

const SPAWN_LOOP = 'i=0; while [ $i -lt "$1" ]; do /bin/true; i=$((i + 1)); done';
const COUNT_LOOP =
  'my $n = shift; my @kids = map { my $k = fork; if (!$k) { getppid for 1..$n; exit } $k } 1..shift; waitpid $_, 0 for @kids';

/** Nanoseconds of one copy (a read and a write), or of one process start; one sample a round. */
type Samples = Readonly<Record<(typeof SITUATIONS)[number], number[]>>;

const SITUATIONS = [
  'bare',
  'floor',
  'outside',
  'high',
  'medium',
  'spawnBare',
  'spawnMedium',
  'bpftraceOutside',
  'bpftraceMedium',
  'strace',
  'loadMs',
  'bpftraceLoadMs',
] as const;

/** Measures without a sensor, beside one, watched as at high and at medium trust, by bpftrace, and by strace, in turns. */
export async function run(): Promise<readonly BenchRow[]> {
  const missing = whyNot();
  if (missing !== null) return [notMeasured(missing)];
  const dir = makeGroup();
  const samples = Object.fromEntries(SITUATIONS.map((name) => [name, [] as number[]])) as unknown as Samples;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      samples.bare.push(copyNs(dir, COPIES));
      samples.spawnBare.push(spawnNs(dir));
      measureFloor(dir, samples);
      await measureOwn(dir, samples);
      await measureBpftrace(dir, samples);
      samples.strace.push(copyNs(dir, TRACED_COPIES, ['strace', '-c', '-f', '-o', '/dev/null']));
    }
    return [...rowsOf(samples), await exactRow(dir)];
  } finally {
    rmdirSync(dir);
    removeParent(join(dir, '..'));
  }
}

function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const command of ['strace', 'bpftrace', 'perl']) {
    if (spawnSync(command, ['--version']).status !== 0) return `${command} is not installed`;
  }
  return null;
}

/** What the kernel itself takes for a tracepoint that anybody uses: a program that does nothing. */
function measureFloor(dir: string, samples: Samples): void {
  const tracepointType = parseBtf(readFileSync('/sys/kernel/btf/vmlinux')).typedefId('btf_trace_sys_exit');
  const slots = new Assembler().move('r0', 0).exit().assemble();
  const { program, link } = attachProgram({ name: 'bench_empty', slots, tracepointType });
  try {
    samples.floor.push(copyNs(dir, COPIES));
  } finally {
    link[Symbol.dispose]();
    program[Symbol.dispose]();
  }
}

async function measureOwn(dir: string, samples: Samples): Promise<void> {
  const startMs = performance.now();
  await using sensor = await openReady('bpf');
  samples.loadMs.push(performance.now() - startMs);
  const id = statSync(dir, { bigint: true }).ino;
  samples.outside.push(copyNs(dir, COPIES));
  sensor.watch(id, 'standard');
  samples.high.push(copyNs(dir, COPIES));
  sensor.watch(id, 'detailed');
  samples.medium.push(copyNs(dir, COPIES));
  samples.spawnMedium.push(spawnNs(dir));
  mustHaveSeen(sensor, id, 4 * BEST_OF * COPIES);
}

async function measureBpftrace(dir: string, samples: Samples): Promise<void> {
  const startMs = performance.now();
  await using sensor = await openReady('bpftrace');
  samples.bpftraceLoadMs.push(performance.now() - startMs);
  const id = statSync(dir, { bigint: true }).ino;
  samples.bpftraceOutside.push(copyNs(dir, COPIES));
  sensor.watch(id, 'detailed');
  samples.bpftraceMedium.push(copyNs(dir, COPIES));
  mustHaveSeen(sensor, id, 2 * BEST_OF * COPIES);
}

async function openReady(program: 'bpf' | 'bpftrace'): Promise<Sensor> {
  const sensor = await openSensor({ program });
  await sensor.ready;
  if (sensor.kind !== program || sensor.limitation !== null) throw new Error(sensor.limitation ?? 'another sensor');
  return sensor;
}

function mustHaveSeen(sensor: Sensor, id: bigint, calls: number): void {
  let counted = 0;
  for (const count of sensor.read().get(id)?.syscalls.values() ?? []) counted += count;
  if (counted < calls) throw new Error(`the sensor saw ${counted} of ${calls} calls: nothing was measured`);
}

function rowsOf(samples: Samples): BenchRow[] {
  const median = (name: (typeof SITUATIONS)[number]): number => percentile(samples[name], 0.5);
  const slower = (what: string, name: keyof Samples, bare: 'bare' | 'spawnBare', limit: number | null): BenchRow => {
    const ratio = median(name) / median(bare);
    const quietest = Math.min(...samples[name]) / Math.min(...samples[bare]);
    return {
      what,
      value: `×${ratio.toFixed(2)}`,
      target: limit === null ? 'none' : `≤ ×${limit.toFixed(2)}`,
      ok: limit === null || ratio <= limit,
      detail: `medians of ${ROUNDS} rounds, each the best of some: ${median(bare).toFixed(0)} ns bare, ${median(name).toFixed(0)} ns; ×${quietest.toFixed(2)} in the quietest rounds`,
    };
  };
  const loop = 'a loop of system calls (dd bs=1)';
  return [
    slower(`${loop}, watched as at medium trust, 3-grams and all`, 'medium', 'bare', 1.4),
    slower(`${loop}, beside the sensor, in no workload`, 'outside', 'bare', 1.25),
    slower(`${loop}, watched as at high trust`, 'high', 'bare', 1.25),
    slower(`${loop}, beside a program that does nothing at the same tracepoint`, 'floor', 'bare', null),
    slower('process starts, watched as at medium trust', 'spawnMedium', 'spawnBare', 1.04),
    slower(`${loop}, watched by bpftrace`, 'bpftraceMedium', 'bare', null),
    slower(`${loop}, beside bpftrace, in no workload`, 'bpftraceOutside', 'bare', null),
    slower(`${loop}, under strace -c -f`, 'strace', 'bare', null),
    {
      what: 'from opening the sensor to its first count',
      value: `${median('loadMs').toFixed(0)} ms`,
      target: 'none',
      ok: true,
      detail: `bpftrace ${median('bpftraceLoadMs').toFixed(0)} ms; medians of ${ROUNDS}, quietest ${Math.min(...samples.loadMs).toFixed(0)} and ${Math.min(...samples.bpftraceLoadMs).toFixed(0)} ms`,
    },
  ];
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

function makeGroup(): string {
  const v2 = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
  if (v2 === undefined) throw new Error('no cgroup v2 tree is mounted');
  const dir = join(v2, 'provost', `bench-sensor-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  return dir;
}

function removeParent(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    // Workloads of a home are in it.
    if (!['EBUSY', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error;
  }
}

function notMeasured(why: string): BenchRow {
  return { what: 'the cost of the sensor', value: 'not measured', target: '≤ ×1.40', ok: null, detail: why };
}

await runAlone(import.meta, run);
