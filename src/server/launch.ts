// How a command gets a supervisor: starts the guard, detached, and waits until the socket answers.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { HomeLayout } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import { EXIT_HOME_IN_USE, guard, type GuardOptions, isGuarded, isSupervisor, readPid } from './guard.ts';
import { ServerError } from './server-error.ts';

export interface LaunchOptions {
  readonly home: HomeLayout;
  readonly leavesWhenIdle: boolean;
  readonly listen: { readonly host: string; readonly port: number; readonly token: string } | null;
}

function guardOptions(options: LaunchOptions, foreground: boolean, watchPid: number | null): GuardOptions {
  const { dir, pidFile, guardPidFile, supervisorLog } = options.home;
  return {
    home: { dir, pidFile, guardPidFile, supervisorLog },
    supervisorOptions: { home: dir, leavesWhenIdle: options.leavesWhenIdle, listen: options.listen },
    watchPid,
    foreground,
  };
}

/** A guard that was just started. */
export interface LaunchedGuard {
  /** It has ended because its supervisor did not come up; what the supervisor said is in its log. */
  hasFailed(): boolean;
}

/** Starts a guard in a session of its own; it starts the supervisor. Returns at once. */
export function launchGuard(options: LaunchOptions, watchPid: number | null = null): LaunchedGuard {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`guard-main.${extension}`, import.meta.url));
  const argument = JSON.stringify(guardOptions(options, false, watchPid));
  const child = spawn(process.execPath, [...process.execArgv, main, argument], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
  });
  child.unref();
  // Another command's supervisor was first: then that one is waited for.
  return { hasFailed: () => child.exitCode !== null && child.exitCode !== EXIT_HOME_IN_USE };
}

/** Gives a running supervisor a guard again when its own is gone. */
export function restoreGuard(home: HomeLayout): void {
  const supervisorPid = readPid(home.pidFile);
  if (supervisorPid === null || isGuarded(home.guardPidFile)) return;
  launchGuard({ home, leavesWhenIdle: true, listen: null }, supervisorPid);
}

/**
 * Guards in this very process, for `serve`. Resolves to the exit status.
 *
 * @throws ServerError SERVER_RUNNING when the home has a supervisor already
 */
export async function guardHere(options: LaunchOptions): Promise<number> {
  const pid = readPid(options.home.pidFile);
  if (pid !== null && isSupervisor(pid)) throw running(pid);
  return guard(guardOptions(options, true, null));
}

function running(pid: number): ServerError {
  return new ServerError('SERVER_RUNNING', `a supervisor of this home runs already, as process ${pid}`, {
    exit: exitStatus.unavailable,
    hint: `End it first: provost shutdown; or kill ${pid}, which leaves what it watches frozen until this one takes over.`,
  });
}
