// Promises: from the request to the first instruction of a known artifact at most 2.0 times `runc run` of the same bundle, and at most 0.25 times `docker run --rm`.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkloadEvent } from '../src/api/index.ts';
import { type BenchHome, copyBundle, firstByteMs, openBenchHome } from './bench-home.ts';
import { openDocker } from './docker-daemon.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RUNC_TIMES_MAX = 2;
const DOCKER_TIMES_MAX = 0.25;
const ROUNDS = 25;
const DOCKER_ROUNDS = 10;
const WARM_UP_ROUNDS = 3;
const SAYS_SOMETHING = ['/bin/echo', 'first'];

const runcRow = {
  what: 'start of a known artifact → first instruction, against bare runc run of the same bundle',
  target: `≤ ${RUNC_TIMES_MAX.toFixed(1)}×`,
};
const dockerRow = { what: 'the same against docker run --rm of the same image', target: `≤ ${DOCKER_TIMES_MAX}×` };

/** All in turn, so that what else the host does falls on each alike. Every figure ends with the first byte that the program writes. */
export async function run(): Promise<readonly BenchRow[]> {
  if (process.getuid?.() !== 0 || spawnSync('runc', ['--version']).status !== 0) {
    return [runcRow, dockerRow].map((row) => ({
      ...row,
      value: 'not measured',
      ok: null,
      detail: 'needs root and runc',
    }));
  }
  await using home = await openBenchHome();
  const bare = mkdtempSync(join(tmpdir(), 'provost-bare-'));
  try {
    // It holds the mounted root that both start from.
    const holder = await home.engine.run(home.request({ name: 'holder', argv: ['/bin/sleep', '1000'] }), () => {});
    mkdirSync(join(bare, 'state'));
    copyBundle(home.bundleOf(holder), bare, SAYS_SOMETHING);
    const samples = { own: [] as number[], runc: [] as number[], started: [] as number[] };
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      const own = await ownStart(home, round);
      const runc = await firstByteMs('runc', [
        '--root',
        join(bare, 'state'),
        'run',
        '--bundle',
        bare,
        `bare-${process.pid}-${round}`,
      ]);
      if (round < WARM_UP_ROUNDS) continue;
      samples.own.push(own.firstByteMs);
      samples.started.push(own.startMs);
      samples.runc.push(runc);
    }
    return [ratioRow(runcRow, samples, RUNC_TIMES_MAX), await dockerComparison(home)];
  } finally {
    rmSync(bare, { recursive: true, force: true });
  }
}

/** Runs one workload to its end; its first byte is timed by the log that conmon writes. */
async function ownStart(
  home: BenchHome,
  round: number,
): Promise<{ readonly firstByteMs: number; readonly startMs: number }> {
  const name = `own-${round}`;
  const ended = Promise.withResolvers<void>();
  let startMs = Number.NaN;
  const listen = ({ event }: { readonly event: WorkloadEvent }): void => {
    if (event.event === 'started') startMs = event.startMs;
    if (event.event === 'exited' && event.final) ended.resolve();
  };
  using _events = home.engine.subscribe({ workload: name, afterSeq: null }, listen);
  const askedMs = Date.now() - performance.now();
  const fromMs = performance.now();
  await home.engine.run(home.request({ name, argv: SAYS_SOMETHING }), () => {});
  await ended.promise;
  const written = firstLogTimeMs(join(home.dir, 'home/workloads', name, 'output.log')) - askedMs - fromMs;
  await home.engine.remove(name, { force: true });
  return { firstByteMs: written, startMs };
}

/** conmon stamps each line with the time of its arrival, in nanoseconds. */
function firstLogTimeMs(path: string): number {
  const stamp = /^(\S+)\.(\d{9})(\S*) stdout/.exec(readFileSync(path, 'utf8'));
  if (stamp === null) throw new Error(`${path} holds no line`);
  return Date.parse(`${stamp[1]}${stamp[3]}`) + Number(stamp[2]) / 1e6;
}

function ratioRow(
  row: typeof runcRow,
  samples: { own: readonly number[]; runc: readonly number[]; started: readonly number[] },
  max: number,
): BenchRow {
  const [own, runc, started] = [samples.own, samples.runc, samples.started].map((all) => percentile(all, 0.5));
  const ratio = (own ?? 0) / (runc ?? 1);
  const detail = `medians of ${samples.own.length}: ${own?.toFixed(1)} ms (startMs ${started?.toFixed(1)}), runc ${runc?.toFixed(1)} ms`;
  return { ...row, value: `${ratio.toFixed(2)}×`, ok: ratio <= max, detail };
}

async function dockerComparison(home: BenchHome): Promise<BenchRow> {
  await using docker = await openDocker();
  if (docker.reason !== null) return { ...dockerRow, value: 'not measured', ok: null, detail: docker.reason };
  docker.importRoot(home.rootDir, 'bench');
  const samples = { own: [] as number[], docker: [] as number[] };
  for (let round = 0; round < 1 + DOCKER_ROUNDS; round += 1) {
    const own = await ownStart(home, 1000 + round);
    const theirs = await firstByteMs('docker', [...docker.clientArguments, 'run', '--rm', 'bench', ...SAYS_SOMETHING]);
    if (round === 0) continue;
    samples.own.push(own.firstByteMs);
    samples.docker.push(theirs);
  }
  const [own, theirs] = [percentile(samples.own, 0.5), percentile(samples.docker, 0.5)];
  const ratio = own / theirs;
  const detail = `medians of ${DOCKER_ROUNDS}: ${own.toFixed(1)} ms, docker ${theirs.toFixed(1)} ms`;
  return { ...dockerRow, value: `${ratio.toFixed(2)}×`, ok: ratio <= DOCKER_TIMES_MAX, detail };
}

await runAlone(import.meta, run);
