// conmon, the monitor of one sandbox: it holds the workload's standard streams, log limit and exit status, and outlives the supervisor.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { errnoOf, exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

export interface MonitorOptions {
  readonly conmonPath: string;
  readonly id: string;
  /** Folder of one sandbox, with `config.json` in its `bundle`. */
  readonly runDir: string;
  readonly runtimePath: string;
  /** Global arguments of the runtime, before its command. */
  readonly runtimeArguments: readonly string[];
  readonly terminal: boolean;
  readonly stdinOpen: boolean;
  readonly logPath: string;
  readonly logBytesMax: number;
  /** Called with the monitor's pid while it waits, before it has any child: what must be true when the runtime begins. */
  readonly prepare: (pid: number) => Promise<void>;
  /** Called once the monitor goes on: what can be done while the runtime works. */
  readonly begun: () => void;
  /** Files into which the monitor writes 0 before it begins: the groups that it joins. */
  readonly joins: readonly string[];
}

export interface Monitor {
  readonly pid: number;
  /** The container's first process on the host. */
  readonly workloadPid: number;
  /** Fires when the monitor itself has ended. */
  readonly process: ChildProcess;
}

/** The longest that a runtime may take to create a container; gVisor on a loaded two-core host needs some 300 ms. */
const CREATE_TIMEOUT_MS = 30_000;
/** A message of conmon is one line of JSON with the runtime's complaint in it; more than this is not read. */
const SYNC_BYTES_MAX = 64 * 1024;
/** What a shell adds to a signal's number to make an exit status; conmon does the same. */
const SIGNAL_STATUS_FIRST = 128;
const SIGNAL_MAX = 64;
const SYNC_DESCRIPTOR = 3;
const START_DESCRIPTOR = 4;

/** Where conmon and the driver put a sandbox's files. */
export const runLayout = {
  bundle: (runDir: string) => join(runDir, 'bundle'),
  runtimeRoot: (runDir: string) => join(runDir, 'runtime'),
  exitDir: (runDir: string) => join(runDir, 'exit'),
  /** SOCK_SEQPACKET; conmon names it. */
  attachSocket: (runDir: string) => join(runDir, 'bundle', 'attach'),
  windowSize: (runDir: string) => join(runDir, 'bundle', 'winsz'),
} as const;

/**
 * Starts conmon, which has the runtime create the container, and waits for the container's pid. conmon gets its own session
 * and none of our descriptors but the two pipes that it closes: it goes on when we die.
 *
 * @throws SandboxError SANDBOX_CREATE with the runtime's own words, SANDBOX_TIMEOUT
 */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  mkdirSync(runLayout.bundle(options.runDir), { recursive: true, mode: 0o700 });
  mkdirSync(runLayout.exitDir(options.runDir), { recursive: true });
  mkdirSync(dirname(options.logPath), { recursive: true });
  const child = spawn('/bin/sh', ['-c', JOIN_AND_BECOME, 'sh', ...options.joins, '--', ...monitorCommand(options)], {
    cwd: runLayout.bundle(options.runDir),
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      _OCI_SYNCPIPE: String(SYNC_DESCRIPTOR),
      _OCI_STARTPIPE: String(START_DESCRIPTOR),
    },
  });
  const sync = child.stdio[SYNC_DESCRIPTOR] as Readable;
  const start = child.stdio[START_DESCRIPTOR] as Writable;
  // The write end breaks when conmon dies before it has read: the sync pipe tells why.
  start.on('error', () => start.destroy());
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => {
      reject(new SandboxError('SANDBOX_CREATE', `cannot start ${options.conmonPath}`, { cause }));
    });
  });
  try {
    if (child.pid === undefined) return await failed;
    await Promise.race([options.prepare(child.pid), failed]);
    start.end('\0');
    options.begun();
    const message = await Promise.race([readSync(sync), failed]);
    child.unref();
    return { pid: child.pid, workloadPid: workloadPidOf(message), process: child };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    sync.destroy();
    start.destroy();
  }
}

/**
 * A process that writes itself into a v1 group moves at once; when another writes its number, the kernel first waits for all of its
 * readers, some ten milliseconds.
 */
const JOIN_AND_BECOME = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit; shift; done; shift; exec "$@"';

function monitorCommand(options: MonitorOptions): string[] {
  const { id, runDir } = options;
  const runtimeArguments = [`--root=${runLayout.runtimeRoot(runDir)}`, ...options.runtimeArguments];
  return [
    options.conmonPath,
    ...['--api-version', '1', '--sync', '--cid', id, '--cuuid', id, '--name', id],
    ...['--runtime', options.runtimePath, ...runtimeArguments.flatMap((argument) => ['--runtime-arg', argument])],
    ...['--bundle', runLayout.bundle(runDir), '--container-pidfile', join(runDir, 'pid')],
    ...['--exit-dir', runLayout.exitDir(runDir), '--full-attach', '--no-sync-log'],
    ...['--log-path', `k8s-file:${options.logPath}`, '--log-size-max', String(options.logBytesMax)],
    ...(options.terminal ? ['--terminal'] : []),
    ...(options.stdinOpen ? ['--stdin'] : []),
  ];
}

/** The first line that conmon writes. */
async function readSync(sync: Readable): Promise<string> {
  const deadline = AbortSignal.timeout(CREATE_TIMEOUT_MS);
  deadline.addEventListener('abort', () => sync.destroy(), { once: true });
  let text = '';
  try {
    for await (const chunk of sync) {
      text += String(chunk);
      if (text.includes('\n') || text.length > SYNC_BYTES_MAX) break;
    }
  } catch (cause) {
    if (!deadline.aborted) throw new SandboxError('SANDBOX_CREATE', 'the monitor broke off', { cause });
  }
  if (text !== '') return text;
  if (deadline.aborted) {
    throw new SandboxError('SANDBOX_TIMEOUT', `the runtime did not create the container in ${CREATE_TIMEOUT_MS} ms`, {
      exit: exitStatus.unavailable,
      hint: 'See `provost doctor`: the runtime may not work on this host.',
    });
  }
  throw new SandboxError('SANDBOX_CREATE', 'conmon ended without a word', {
    exit: exitStatus.unavailable,
    hint: 'Run `provost doctor`: it starts conmon and the runtimes for real.',
  });
}

function workloadPidOf(message: string): number {
  const answer = parseSyncMessage(message);
  if (answer.pid > 0) return answer.pid;
  throw new SandboxError('SANDBOX_CREATE', `the runtime could not create the container: ${answer.complaint}`, {
    hint: 'Check that the program, the working folder and the mounted paths exist in the image.',
  });
}

function parseSyncMessage(message: string): { pid: number; complaint: string } {
  try {
    const value = JSON.parse(message) as { data?: unknown; message?: unknown };
    const pid = typeof value.data === 'number' ? value.data : -1;
    return { pid, complaint: runtimeWords(typeof value.message === 'string' ? value.message : `answer ${pid}`) };
  } catch {
    // Not JSON, or cut off: whatever it says is the complaint.
    return { pid: -1, complaint: runtimeWords(message) };
  }
}

/** The last thing that the runtime said, without its log decoration. */
export function runtimeWords(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  const logged = /msg="((?:[^"\\]|\\.)*)"/.exec(line);
  return (logged?.[1]?.replaceAll('\\"', '"') ?? line).slice(0, 600);
}

/** Exit code and time as conmon left them; null while the workload runs, or when conmon was killed before it could write. */
export function readExitFile(runDir: string, id: string): { code: number; signal: number | null; atMs: number } | null {
  const path = join(runLayout.exitDir(runDir), id);
  try {
    // conmon writes a temporary file and renames it: what is there is whole.
    const code = Number.parseInt(readFileSync(path, 'utf8'), 10);
    if (!Number.isInteger(code)) return null;
    const signal =
      code > SIGNAL_STATUS_FIRST && code <= SIGNAL_STATUS_FIRST + SIGNAL_MAX ? code - SIGNAL_STATUS_FIRST : null;
    return { code, signal, atMs: Math.round(statSync(path).mtimeMs) };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}
