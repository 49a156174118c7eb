// Promise: 200 idle workloads under one loop with windows of a second take at most 10 % of one core and 300 MB of resident memory.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { MIB } from '../src/base/index.ts';
import { openBenchHome } from './bench-home.ts';
import { type BenchRow, runAsProvost } from './row.ts';

const WORKLOADS = 200;
const CORE_RATIO_MAX = 0.1;
const RSS_MB_MAX = 300;
/** Long enough that a second more or less of it changes nothing. */
const MEASURED_MS = 20_000;
const SETTLE_MS = 5000;
/** Two at a time, as many as the host has cores. */
const STARTS_AT_ONCE = 2;

const cpuRow = {
  what: `${WORKLOADS} idle workloads under one loop with 1 s windows, CPU`,
  target: `≤ ${CORE_RATIO_MAX * 100} % of a core`,
};
const memoryRow = { what: `${WORKLOADS} idle workloads, resident memory`, target: `≤ ${RSS_MB_MAX} MB` };

/** Measures this process, which is the supervisor; its sensor is told in the detail. */
export async function run(): Promise<readonly BenchRow[]> {
  if (process.getuid?.() !== 0)
    return [cpuRow, memoryRow].map((row) => ({ ...row, value: 'not measured', ok: null, detail: 'needs root' }));
  await using home = await openBenchHome();
  const names = Array.from({ length: WORKLOADS }, (_, index) => `idle-${index}`);
  const small = {
    argv: ['/bin/sleep', '100000'],
    cpuMillicores: 20,
    memoryBytes: 32 * MIB,
    pids: 8,
    diskBytes: 4 * MIB,
  };
  const startMs = performance.now();
  await startAll(names, async (name) => void (await home.engine.run(home.request({ name, ...small }), () => {})));
  const startedMs = performance.now() - startMs;
  await delay(SETTLE_MS);
  const [cpuBefore, sensorBefore, fromMs] = [process.cpuUsage(), sensorCpuMs(), performance.now()];
  await delay(MEASURED_MS);
  const { user, system } = process.cpuUsage(cpuBefore);
  const elapsedMs = performance.now() - fromMs;
  const ratio = (user + system) / 1000 / elapsedMs;
  const sensorRatio = (sensorCpuMs() - sensorBefore) / elapsedMs;
  const rssMb = process.memoryUsage.rss() / 1e6;
  const active = home.engine.activeCount;
  if (active !== WORKLOADS) throw new Error(`${active} workloads run, not ${WORKLOADS}: something else was measured`);
  const detail = `over ${(elapsedMs / 1000).toFixed(0)} s; the sensor takes ${(sensorRatio * 100).toFixed(1)} % beside it; started in ${(startedMs / 1000).toFixed(0)} s`;
  return [
    { ...cpuRow, value: `${(ratio * 100).toFixed(1)} %`, ok: ratio <= CORE_RATIO_MAX, detail },
    { ...memoryRow, value: `${rssMb.toFixed(0)} MB`, ok: rssMb <= RSS_MB_MAX, detail: 'of the supervisor’s process' },
  ];
}

async function startAll(names: readonly string[], start: (name: string) => Promise<void>): Promise<void> {
  const waiting = [...names];
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await start(name);
  };
  await Promise.all(Array.from({ length: STARTS_AT_ONCE }, worker));
}

/** CPU of bpftrace, our child, in ms. */
function sensorCpuMs(): number {
  const TICK_MS = 10;
  let ticks = 0;
  for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim().split(' ')) {
    if (pid === '') continue;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (!stat.includes('(bpftrace)')) continue;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}

await runAsProvost(import.meta, run);
