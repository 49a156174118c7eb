// Promise: POST /add of a served log takes at least as many entries a second as Tessera's own POSIX server, under Tessera's unmodified load generator.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { tesseraTool } from '../test/go-tools.ts';
import { findCommand } from '../test/needs.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RATIO_MIN = 1;
const ROUNDS = Number(process.env['PROVOST_BENCH_ROUNDS'] ?? 2);
const ENTRIES = Number(process.env['PROVOST_BENCH_ENTRIES'] ?? 150_000);
const ENTRY_BYTES = 1024;
const WRITERS = 512;
/** hammer waits for its turn in steps of this: high enough that only the servers hold it back. */
const WRITES_A_SECOND_MAX = 30_000;
const ROUND_SECONDS_MAX = 50;
const POLL_MS = 50;
const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const PROVOST = join(import.meta.dirname, '../bin/provost');
const WHAT = 'entries that POST /add takes, against Tessera';
const TARGET = `≥ ${RATIO_MIN.toFixed(1)}×`;

/** A key that Tessera publishes for tests. @source tessera/testdata/build_log.sh */
const TESSERA_KEYS = {
  secret: 'PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg',
  public: 'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx',
};

interface Server {
  readonly url: string;
  /** Its log's public key. */
  readonly key: string;
  readonly process: ChildProcess;
}

/** Entries under a checkpoint, at a time. */
interface Growth {
  readonly ms: number;
  readonly size: number;
}

/** Starts a server on a fresh folder, on a port that is free. */
type Start = (dir: string, port: number) => Promise<Server>;

/** Measures by turns, so that all meet the same neighbours; each on a fresh folder on a disk. */
export async function run(): Promise<readonly BenchRow[]> {
  if (findCommand('go') === null) return [notMeasured('no go here')];
  const hammer = await tesseraTool('internal/hammer');
  const posix = await tesseraTool('cmd/conformance/posix');
  const [ours, theirs, unique]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await rateOf(hammer, startOurs));
    theirs.push(await rateOf(hammer, (dir, port) => startTessera(posix, dir, port, [])));
    unique.push(await rateOf(hammer, (dir, port) => startTessera(posix, dir, port, ['--antispam'])));
  }
  return [rowOf(percentile(ours, 0.5), percentile(theirs, 0.5), percentile(unique, 0.5))];
}

function rowOf(us: number, them: number, uniquely: number): BenchRow {
  const text = (rate: number): string => Math.round(rate).toLocaleString('en');
  return {
    what: WHAT,
    value: `${(us / them).toFixed(2)}×`,
    target: TARGET,
    ok: us / them >= RATIO_MIN,
    detail: `${ENTRIES} entries of ${ENTRY_BYTES} bytes by hammer with ${WRITERS} writers on the same cores, median of ${ROUNDS} rounds: ${text(us)} a second, each entry once, against ${text(them)}; ${(us / uniquely).toFixed(2)}× the ${text(uniquely)} of Tessera with --antispam, which has each once too`,
  };
}

function notMeasured(detail: string): BenchRow {
  return { what: WHAT, value: 'not measured', target: TARGET, ok: null, detail };
}

/** Entries a second under checkpoints, from the first one to the last. */
async function rateOf(hammer: string, start: Start): Promise<number> {
  // On a disk, where the folder for temporary files may be memory.
  const dir = mkdtempSync('/var/tmp/provost-log-server-');
  let server: Server | null = null;
  try {
    server = await start(join(dir, 'log'), await freePort());
    const load = spawn(hammer, hammerArguments(server), { stdio: 'ignore' });
    try {
      return await growthOf(server.url);
    } finally {
      await end(load);
    }
  } finally {
    if (server !== null) await end(server.process);
    rmSync(dir, { recursive: true, force: true });
  }
}

function hammerArguments({ url, key }: Server): string[] {
  const flags = {
    log_url: `${url}/`,
    write_log_url: `${url}/`,
    log_public_key: key,
    show_ui: false,
    num_writers: WRITERS,
    max_write_ops: WRITES_A_SECOND_MAX,
    leaf_min_size: ENTRY_BYTES,
    // It stops on its own count; what it has asked for beyond is not waited for.
    leaf_write_goal: ENTRIES + WRITERS,
    num_readers_full: 0,
    num_readers_random: 0,
    dup_chance: 0,
    max_runtime: `${2 * ROUND_SECONDS_MAX}s`,
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** Where a round is too short for all entries, the rate is that of those which got in. */
async function growthOf(url: string): Promise<number> {
  const deadlineMs = performance.now() + ROUND_SECONDS_MAX * 1000;
  let first: Growth | null = null;
  let last: Growth | null = null;
  while (performance.now() < deadlineMs && (last?.size ?? 0) < ENTRIES) {
    const size = await publishedSize(url);
    last = { ms: performance.now(), size };
    if (size > 0) first ??= last;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  if (first === null || last === null || first === last) throw new Error(`${url} took nothing in`);
  return ((last.size - first.size) / (last.ms - first.ms)) * 1000;
}

/** 0 before there is a checkpoint. */
async function publishedSize(url: string): Promise<number> {
  const answer = await fetch(`${url}/checkpoint`);
  const text = await answer.text();
  return answer.ok ? Number(text.split('\n')[1]) : 0;
}

async function startOurs(dir: string, port: number): Promise<Server> {
  const init = ['log', 'init', dir, '--origin', 'example.com/log', '--format', 'raw', '--json'];
  const text = execFileSync(PROVOST, init, { encoding: 'utf8', stdio: 'pipe' });
  const { key } = JSON.parse(text) as { readonly key: string };
  return await started(spawn(PROVOST, ['log', 'serve', dir, '--listen', `127.0.0.1:${port}`], SILENT), { port, key });
}

async function startTessera(posix: string, dir: string, port: number, flags: readonly string[]): Promise<Server> {
  const args = [`--storage_dir=${dir}`, `--listen=127.0.0.1:${port}`, ...flags];
  const env = { ...process.env, LOG_PRIVATE_KEY: TESSERA_KEYS.secret };
  return await started(spawn(posix, args, { ...SILENT, env }), { port, key: TESSERA_KEYS.public });
}

const SILENT = { stdio: 'ignore' } as const;

/** Waits until it serves. */
async function started(
  child: ChildProcess,
  { port, key }: { readonly port: number; readonly key: string },
): Promise<Server> {
  const url = `http://127.0.0.1:${port}`;
  const deadlineMs = performance.now() + START_MS_MAX;
  while (performance.now() < deadlineMs && child.exitCode === null) {
    const isServing = await fetch(`${url}/checkpoint`).then(
      async (answer) => (await answer.text()) !== '',
      // It does not listen yet.
      () => false,
    );
    if (isServing) return { url, key, process: child };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await end(child);
  throw new Error(`${child.spawnfile} did not serve within ${START_MS_MAX / 1000} s`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(deadline);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

await runAlone(import.meta, run);
