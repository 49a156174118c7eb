// Promise: from the drop to low until the first instruction under gVisor at most 1.5 times bare `runsc run` of the same bundle, which nothing throttles.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseRuntime, ProbeMemory, type Runtime } from '../src/sandbox/runtime/runtimes.ts';
import { type BenchHome, copyBundle, firstByteMs, openBenchHome } from './bench-home.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const TIMES_MAX = 1.5;
const ROUNDS = 15;
const SAYS_SOMETHING = ['/bin/sh', '-c', 'echo first; exec sleep 1000'];
const POLL_MS = 1;
/** What a start still writes to the disk is not part of what follows; the same rest for both. */
const REST_MS = 250;
const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, REST_MS));
const row = {
  what: 'drop to low → first instruction under gVisor, against bare runsc run of the same bundle',
  target: `≤ ${TIMES_MAX}×`,
};

/** A workload of medium trust is lowered by a person; the clock runs from that word until its first byte comes out of gVisor. */
export async function run(): Promise<readonly BenchRow[]> {
  const { runtime } = await chooseRuntime('gvisor', new ProbeMemory(null));
  if (runtime === null) return [{ ...row, value: 'not measured', ok: null, detail: 'no gVisor works on this host' }];
  await using home = await openBenchHome();
  const samples = { own: [] as number[], bare: [] as number[], frozen: [] as number[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    const name = `falls-${round}`;
    await home.engine.run(home.request({ name, argv: SAYS_SOMETHING }), () => {});
    await lines(home, name, 1);
    await rest();
    const fromMs = Date.now();
    await home.engine.override(name, { tier: 'low', forMs: 600_000, reason: 'the bench lowers it' });
    const [, second] = await lines(home, name, 2);
    const bare = await bareStart(home, runtime, name);
    // The first round warms caches of the host for both.
    if (round > 0) {
      samples.own.push((second ?? Number.NaN) - fromMs);
      samples.bare.push(bare);
    }
    await home.engine.remove(name, { force: true });
  }
  const [own, bare] = [percentile(samples.own, 0.5), percentile(samples.bare, 0.5)];
  const detail = `medians of ${ROUNDS}: ${own.toFixed(0)} ms, runsc run ${bare.toFixed(0)} ms (${runtime.detail})`;
  return [{ ...row, value: `${(own / bare).toFixed(2)}×`, ok: own / bare <= TIMES_MAX, detail }];
}

/** Times at which the first `count` lines arrived, Unix ms. */
async function lines(home: BenchHome, name: string, count: number): Promise<number[]> {
  const path = join(home.dir, 'home/workloads', name, 'output.log');
  for (;;) {
    const stamps = [...readFileSync(path, 'utf8').matchAll(/^(\S+)\.(\d{9})(\S*) stdout/gm)];
    if (stamps.length >= count)
      return stamps.map(([, second, ns, zone]) => Date.parse(`${second}${zone}`) + Number(ns) / 1e6);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function bareStart(home: BenchHome, runtime: Runtime, name: string): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'provost-bare-'));
  try {
    mkdirSync(join(dir, 'state'));
    while (home.engine.inspect(name).driver !== 'gvisor') await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    copyBundle(home.bundleOf(home.engine.inspect(name)), dir, ['/bin/echo', 'first']);
    await rest();
    const flags = [`--root=${join(dir, 'state')}`, ...runtime.arguments];
    return await firstByteMs(runtime.path, [...flags, 'run', '--bundle', dir, `bare-${process.pid}-${name}`]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

await runAlone(import.meta, run);
