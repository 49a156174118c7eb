// The guard: a small parent that restarts a crashed supervisor within a second, and freezes all workloads when it cannot.
// It imports next to nothing, so that it stays small and cannot fail for the reasons that a supervisor fails for.
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { errnoOf } from '../base/index.ts';

/** Restarts at once, then slower: the last delay repeats. */
const RESTART_DELAYS_MS = [0, 100, 250, 500, 900] as const;
/** More crashes than this within the span and the workloads are frozen: nobody watches them. */
const CRASHES_MAX = 4;
const CRASH_SPAN_MS = 20_000;
/** After freezing, the supervisor is tried this often; the first that comes up thaws what may run. */
const FROZEN_RETRY_MS = 5000;
/** How often a supervisor that is not our child is looked at. */
const WATCH_MS = 250;

/** Exit status of a supervisor that found its home in use by another: do not restart it. */
export const EXIT_HOME_IN_USE = 75;

/** Plain data: it crosses the command line as JSON. */
export interface GuardOptions {
  readonly home: {
    readonly dir: string;
    readonly pidFile: string;
    readonly guardPidFile: string;
    readonly supervisorLog: string;
  };
  /** JSON for supervisor-main. */
  readonly supervisorOptions: { readonly home: string; readonly leavesWhenIdle: boolean; readonly listen: unknown };
  /** A running supervisor to watch first (its guard died), or null to start one. */
  readonly watchPid: number | null;
  /** True for `serve`: the supervisor's messages go to our own stderr. */
  readonly foreground: boolean;
}

/** Guards until the supervisor has left cleanly. Resolves to the exit status to leave with. */
export async function guard(options: GuardOptions): Promise<number> {
  writeFileSync(options.home.guardPidFile, `${process.pid}\n`, { mode: 0o640 });
  try {
    return await guardLoop(options);
  } finally {
    if (readPid(options.home.guardPidFile) === process.pid) rmSync(options.home.guardPidFile, { force: true });
  }
}

async function guardLoop(options: GuardOptions): Promise<number> {
  const crashesMs: number[] = [];
  let watched = options.watchPid;
  for (;;) {
    const status = watched === null ? await runSupervisor(options) : await watchSupervisor(options.home, watched);
    watched = null;
    if (status === 0 || status === EXIT_HOME_IN_USE) return status;
    // A first start that fails (a bad policy, no space) is reported, not retried; a crash later is.
    if (!existsSync(options.home.pidFile)) return status;
    if (isSuperseded(options.home)) return 0;
    crashesMs.push(performance.now());
    const recent = crashesMs.filter((at) => performance.now() - at < CRASH_SPAN_MS).length;
    if (recent > CRASHES_MAX) {
      await runFreeze(options);
      await delay(FROZEN_RETRY_MS);
    } else {
      await delay(RESTART_DELAYS_MS[recent] ?? 900);
    }
    if (isSuperseded(options.home)) return 0;
  }
}

/** Whether the home is another guard's by now: a client found this one too late and launched a new one. */
function isSuperseded(home: GuardOptions['home']): boolean {
  // One that found the home in use has left again and taken the file with it: then this one goes on.
  return readPid(home.guardPidFile) !== process.pid && isGuarded(home.guardPidFile);
}

async function watchSupervisor(home: GuardOptions['home'], pid: number): Promise<number> {
  while (isProcessAlive(pid)) {
    await delay(WATCH_MS);
    if (isSuperseded(home)) return 0;
  }
  return existsSync(home.pidFile) && readPid(home.pidFile) === pid ? 1 : 0;
}

function runSupervisor(options: GuardOptions): Promise<number> {
  const node = nodeArgv('supervisor-main.ts', JSON.stringify(options.supervisorOptions));
  // A private mount namespace: whatever happens to the supervisor, its mounts cannot outlive it.
  const argv = process.getuid?.() === 0 ? ['unshare', '--mount', '--propagation', 'slave', ...node] : node;
  return runChild(options, argv);
}

function runFreeze(options: GuardOptions): Promise<number> {
  return runChild(options, nodeArgv('freeze-main.ts', options.home.dir));
}

function nodeArgv(file: string, argument: string): string[] {
  const main = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? file : file.replace(/\.ts$/, '.js'), import.meta.url),
  );
  return [process.execPath, ...process.execArgv, main, argument];
}

function runChild(options: GuardOptions, argv: readonly string[]): Promise<number> {
  const log = options.foreground ? 'inherit' : openSync(options.home.supervisorLog, 'a', 0o640);
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', log, log] });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', forward);
  process.on('SIGINT', forward);
  const { promise, resolve } = Promise.withResolvers<number>();
  child.once('error', () => resolve(1));
  child.once('exit', (code) => resolve(code ?? 1));
  return promise.finally(() => {
    process.off('SIGTERM', forward);
    process.off('SIGINT', forward);
  });
}

/** The pid that a file holds; null without the file, or when it holds none. */
export function readPid(file: string): number | null {
  if (!existsSync(file)) return null;
  const pid = Number(readFileSync(file, 'utf8').trim());
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
}

/** Whether the guard of a home is there: the process that its pid file names, and no other that got its pid since. */
export function isGuarded(guardPidFile: string): boolean {
  const pid = readPid(guardPidFile);
  return pid !== null && /guard-main|serve/.test(commandLineOf(pid));
}

/** Whether a process is a supervisor. */
export function isSupervisor(pid: number): boolean {
  return commandLineOf(pid).includes('supervisor-main');
}

/** Empty when there is no such process. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    // It has ended.
    return '';
  }
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
