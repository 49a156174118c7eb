// Promise: a program that does nothing but system calls is slowed at most a tenth as much by full telemetry as by `strace -c -f`.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { openSensor, type Sensor } from '../src/sandbox/index.ts';
import { makeBareGroup, removeBareGroup } from './bare-group.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const TARGET_TIMES = 10;
/** Two calls each: about 0.1 s bare. Under strace a fraction of them takes as long. */
const COPIES = 400_000;
const TRACED_COPIES = 5000;
const ROUNDS = 5;

const what = 'telemetry’s slowdown of a syscall-heavy program, against strace -c -f';
const target = `≥ ${TARGET_TIMES}× less`;

/** Nanoseconds of one copy (a read and a write), one sample a round. */
interface Samples {
  /** On a host without a sensor. */
  readonly bare: number[];
  /** Beside a sensor that watches others. */
  readonly unwatched: number[];
  readonly watched: number[];
  readonly traced: number[];
}

/**
 * Measures `dd bs=1` without a sensor, beside one, watched with the most that a grant can ask for, and traced without a
 * sensor. A sensor is opened anew in each round: one that is attached slows every process, so there is no bare run beside it.
 */
export async function run(): Promise<readonly BenchRow[]> {
  if (process.getuid?.() !== 0) return [notMeasured('it needs root')];
  if (spawnSync('strace', ['--version']).status !== 0) return [notMeasured('strace is not installed')];
  const dir = makeBareGroup('bench-telemetry');
  try {
    const samples: Samples = { bare: [], unwatched: [], watched: [], traced: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      samples.bare.push(copyNs(dir, COPIES));
      await using sensor = await openSensor();
      await sensor.ready;
      if (sensor.limitation !== null) return [notMeasured(sensor.limitation)];
      measureSensor(sensor, dir, samples);
      await sensor[Symbol.asyncDispose]();
      samples.traced.push(copyNs(dir, TRACED_COPIES, ['strace', '-c', '-f', '-o', '/dev/null']));
    }
    return rowsOf(samples);
  } finally {
    removeBareGroup(dir);
  }
}

function measureSensor(sensor: Sensor, dir: string, samples: Samples): void {
  const id = statSync(dir, { bigint: true }).ino;
  samples.unwatched.push(copyNs(dir, COPIES));
  sensor.watch(id, 'realtime');
  samples.watched.push(copyNs(dir, COPIES));
  let counted = 0;
  for (const count of sensor.read().get(id)?.syscalls.values() ?? []) counted += count;
  if (counted < 2 * COPIES) throw new Error(`the sensor saw ${counted} of ${2 * COPIES} calls: nothing was measured`);
}

function rowsOf(samples: Samples): BenchRow[] {
  const ns = (all: readonly number[]): number => percentile(all, 0.5);
  const [bare, unwatched, watched, traced] = [samples.bare, samples.unwatched, samples.watched, samples.traced].map(ns);
  if (bare === undefined || unwatched === undefined || watched === undefined || traced === undefined)
    throw new Error('nothing was measured');
  // Nothing is faster for being watched: then the host was too noisy to say anything.
  if (watched <= bare) return [notMeasured(`watched ${watched.toFixed(0)} ns, bare ${bare.toFixed(0)} ns: noise`)];
  const ratio = (traced - bare) / (watched - bare);
  const times = (value: number): string => `${(value / bare).toFixed(1)}×`;
  const range = `${Math.min(...samples.watched).toFixed(0)} to ${Math.max(...samples.watched).toFixed(0)} ns`;
  const detail = `median of ${ROUNDS}, a read and a write: ${bare.toFixed(0)} ns bare, ${watched.toFixed(0)} watched (${range}), ${traced.toFixed(0)} traced (from ${Math.min(...samples.traced).toFixed(0)})`;
  return [
    { what, value: `${ratio.toFixed(0)}× less`, target, ok: ratio >= TARGET_TIMES, detail },
    { what: 'the same program watched', value: `${times(watched)} bare`, target: 'none', ok: true, detail: range },
    {
      what: 'the same program beside the sensor, unwatched',
      value: `${times(unwatched)} bare`,
      target: 'none',
      ok: true,
      detail: `${unwatched.toFixed(0)} ns`,
    },
  ];
}

/** What dd itself says that it took; starting it is not measured. */
function copyNs(dir: string, copies: number, tracer: readonly string[] = []): number {
  const command = [...tracer, 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', `count=${copies}`];
  const entering = 'echo $$ > "$0/cgroup.procs"; exec "$@"';
  const { status, stderr } = spawnSync('sh', ['-c', entering, dir, ...command], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const seconds = /copied, ([\d.]+) s/.exec(stderr)?.[1];
  if (status !== 0 || seconds === undefined) throw new Error(`dd failed: ${stderr}`);
  return (Number(seconds) * 1e9) / copies;
}

function notMeasured(why: string): BenchRow {
  return { what, value: 'not measured', target, ok: null, detail: why };
}

await runAlone(import.meta, run);
