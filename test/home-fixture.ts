// A PROVOST_HOME of a test's own, with the commands run in it for real, and a look at what of it is left on the host.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkloadDocument, WorkloadEvent } from '../src/api/index.ts';
import { PROJECT_FOLDER } from './source/source-file.ts';
import { commandLine, namesIn } from './host-traces.ts';

/** Longer than gVisor under 100 millicores on a loaded host with two cores needs for anything. */
export const DEADLINE_MS = 30_000;
const POLL_MS = 20;
/** A process that was killed is gone within this also where two cores are shared by many. */
const LEAVING_MS = 3000;

/** What a command said and left with. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** One home; disposing ends its supervisor with all workloads, and checks that nothing is left on the host. */
export interface TestHome extends AsyncDisposable {
  readonly dir: string;
  /** Runs `provost ARGS` to its end. */
  provost(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** As `provost`, but throws unless it exits 0, and answers what it wrote on stdout. */
  ok(...args: string[]): Promise<string>;
  inspect(name: string): Promise<WorkloadDocument>;
  /** Kept events of a workload, oldest first. */
  events(workload: string): Promise<WorkloadEvent[]>;
  supervisorPid(): number;
  guardPid(): number;
  /** Everything on the host that names this home. */
  traces(): string[];
}

export function openTestHome(): TestHome {
  const dir = mkdtempSync(join(tmpdir(), 'provost-home-'));
  const provost = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> =>
    runProvost(dir, args, options);
  const ok = async (...args: string[]): Promise<string> => {
    const result = await provost(args);
    if (result.code !== 0)
      throw new Error(`provost ${args.join(' ')} exited ${result.code}: ${result.stderr}${logOf(dir)}`);
    return result.stdout;
  };
  return {
    dir,
    provost,
    ok,
    inspect: async (name) => JSON.parse(await ok('inspect', name, '--json')) as WorkloadDocument,
    events: async (workload) => keptEvents(dir, workload),
    supervisorPid: () => pidIn(join(dir, 'provost.pid')),
    guardPid: () => pidIn(join(dir, 'guard.pid')),
    traces: () => tracesOf(dir),
    async [Symbol.asyncDispose]() {
      await provost(['shutdown', '--stop-workloads']);
      await until(
        'the supervisor has left',
        () => !existsSync(join(dir, 'guard.pid')) && !existsSync(join(dir, 'provost.pid')),
      );
      // What has just been told to end may still be ending.
      await until('nothing of it is left', () => tracesOf(dir).length === 0, LEAVING_MS).catch(() => undefined);
      const left = tracesOf(dir);
      rmSync(dir, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left on the host: ${left.join(', ')}`);
    },
  };
}

/** A port of this host's loopback that nobody has at this moment. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Resolves once `condition` holds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  patienceMs: number = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function runProvost(
  home: string,
  args: readonly string[],
  { env = {}, input = '' }: CommandOptions,
): Promise<CommandResult> {
  const child = spawn(join(PROJECT_FOLDER, 'bin/provost'), args, {
    env: { ...process.env, PROVOST_HOME: home, NO_COLOR: '1', ...env },
    stdio: 'pipe',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A command that does not read its input may have ended before it was written.
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Through the socket: a command that follows would never end. */
async function keptEvents(dir: string, workload: string): Promise<WorkloadEvent[]> {
  const { Client } = await import('../src/cli/client.ts');
  const client = new Client(join(dir, 'provost.sock'));
  const ending = new AbortController();
  const found: WorkloadEvent[] = [];
  const sentinel = setTimeout(() => ending.abort(), EVENTS_SETTLE_MS);
  try {
    for await (const { value } of client.events(`/v1/events?workload=${workload}&after=0`, ending.signal)) {
      // Windows go on for as long as it runs: the pause is one without anything that is kept.
      if ((value as WorkloadEvent).event === 'window') continue;
      found.push(value as WorkloadEvent);
      sentinel.refresh();
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  } finally {
    clearTimeout(sentinel);
  }
  return found;
}

/** Kept events come at once; what comes after a pause of this length is new. */
const EVENTS_SETTLE_MS = 150;

function logOf(dir: string): string {
  const path = join(dir, 'supervisor.log');
  return existsSync(path) ? `\nsupervisor: ${readFileSync(path, 'utf8').slice(-2000)}` : '';
}

function pidIn(path: string): number {
  return Number(readFileSync(path, 'utf8').trim());
}

/** Empty where no home was made yet. */
function idIn(dir: string): string {
  const file = join(dir, 'id');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

/** Groups, mounts, loop devices, links, stages and processes that name the home or its folder. */
export function tracesOf(dir: string, id = idIn(dir)): string[] {
  if (id === '') return [];
  const loops = readdirSync('/sys/block')
    .map((name) => `/sys/block/${name}/loop/backing_file`)
    .filter((path) => existsSync(path));
  return [
    ...readdirSync('/sys/fs/cgroup')
      .flatMap((name) => namesIn(`/sys/fs/cgroup/${name}/provost`))
      .filter((path) => path.includes(id)),
    ...namesIn('/sys/fs/cgroup/provost').filter((path) => path.includes(id)),
    ...namesIn('/run/provost').filter((path) => path.includes(`/${id}-`)),
    ...readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir) || line.includes(`/${id}-`)),
    ...loops.map(textIfThere).filter((path) => path.includes(dir)),
    ...readdirSync('/sys/class/net').filter((name) => name.startsWith(`pv${id}`) || name.startsWith(`pi${id}`)),
    ...readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(dir))
      .map((pid) => `${pid} ${commandLine(pid)}`),
  ];
}

function textIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A device that was let go since the listing.
    return '';
  }
}
