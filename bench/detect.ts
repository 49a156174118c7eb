// Promise: the trace detector scores at least 2,000,000 system calls a second on one core, and 50 learnt workloads fit in 150 MB.
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseTraces, type Trace } from '../scripts/traces.ts';
import { TraceDetector } from '../src/behaviour/index.ts';
import { trainStide } from '../scripts/detection-figures.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const TARGET_PER_SECOND = 2_000_000;
const TARGET_BYTES = 150e6;
const WORKLOADS = 50;
const ROUNDS = 9;
const ROUND_TRACES = 1000;

/** Measures on the ADFA-LD traces beside the project, by the processor's time; STIDE, by text windows, is shown beside. */
export async function run(): Promise<readonly BenchRow[]> {
  const traces = parseTraces(readFileSync(new URL('../../shared/data/adfa-ld/dev.jsonl.gz', import.meta.url)));
  const normals = traces.flatMap(({ set, calls }) => (set === 'train' ? [calls] : []));
  const others = traces.filter(({ set }) => set !== 'train');
  const detector = new TraceDetector(normals);
  const stide = trainStide(normals);
  const [own, peer]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    own.push(callsPerSecond(others, round, (calls) => detector.score(calls).score));
    peer.push(callsPerSecond(others, round, stide));
  }
  const perSecond = percentile(own, 0.5);
  const bytes = bytesOfWorkloads(normals);
  return [
    {
      what: 'system calls scored, on one core',
      value: `${(perSecond / 1e6).toFixed(1)} million a second`,
      target: '≥ 2 million a second',
      ok: perSecond >= TARGET_PER_SECOND,
      detail: `median of ${ROUNDS} rounds of ${ROUND_TRACES} traces against ${normals.length} learnt ones; STIDE by text ${(percentile(peer, 0.5) / 1e6).toFixed(1)} million`,
    },
    {
      what: `memory of ${WORKLOADS} learnt workloads`,
      value: `${Math.round(bytes / 1e6)} MB`,
      target: '≤ 150 MB',
      ok: bytes <= TARGET_BYTES,
      detail: `growth of the process while ${WORKLOADS} detectors learnt ${normals.length} traces each`,
    },
  ];
}

function callsPerSecond(traces: readonly Trace[], round: number, score: (calls: readonly number[]) => number): number {
  let [calls, sum] = [0, 0];
  const start = process.cpuUsage();
  for (let at = 0; at < ROUND_TRACES; at += 1) {
    const trace = traces[(round * ROUND_TRACES + at) % traces.length];
    sum += score(trace?.calls ?? []);
    calls += trace?.calls.length ?? 0;
  }
  const { user, system } = process.cpuUsage(start);
  if (!Number.isFinite(sum)) throw new Error('a score is not a number: the bench measured nothing');
  return (calls * 1e6) / (user + system);
}

function bytesOfWorkloads(normals: readonly (readonly number[])[]): number {
  collectGarbage();
  const before = process.memoryUsage();
  const detectors = Array.from({ length: WORKLOADS }, () => new TraceDetector(normals));
  collectGarbage();
  const after = process.memoryUsage();
  if (detectors.some((detector) => detector.score([1]).score === 0)) throw new Error('a detector learnt nothing');
  return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
}

/** Twice: what the first round frees holds buffers that only the second sees. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
}

await runAlone(import.meta, run);
