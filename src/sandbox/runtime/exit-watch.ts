// When a workload's first process has ended: told by the exit file that conmon writes, or found out where conmon is gone.
import { type FSWatcher, watch } from 'node:fs';
import { readExitFile, runLayout } from './conmon.ts';
import { isSameProcess } from './process-identity.ts';

/** What conmon says of an end, without what the groups know. */
export interface ProcessExit {
  readonly code: number;
  readonly signal: number | null;
  readonly atMs: number;
}

export interface ExitWatch extends Disposable {
  readonly exited: Promise<ProcessExit>;
  /** The exit once it is known, else null. */
  current(): ProcessExit | null;
}

export interface ExitWatchOptions {
  readonly runDir: string;
  readonly id: string;
  readonly pid: number;
  readonly pidStartTicks: number;
  readonly monitorPid: number;
}

/**
 * How often an inotify watch is doubted: conmon may be killed and then no file comes. Two reads of /proc every two seconds
 * cost a workload some 20 µs of CPU a second.
 */
const DOUBT_INTERVAL_MS = 2_000;
/** conmon writes the file at most this long after the process has ended. */
const GRACE_INTERVALS = 2;

/** What `code` says when nobody saw the process end: conmon's own word for "unknown". */
export const UNKNOWN_EXIT_CODE = 255;

/** Watches for the end of a sandbox's first process. Holds no event loop open by itself. */
export function openExitWatch(options: ExitWatchOptions): ExitWatch {
  let found: ProcessExit | null = null;
  let absences = 0;
  let watcher: FSWatcher | null = null;
  const { promise, resolve } = Promise.withResolvers<ProcessExit>();
  const close = (): void => {
    clearInterval(timer);
    watcher?.close();
  };
  const settle = (exit: ProcessExit | null): void => {
    if (found !== null || exit === null) return;
    found = exit;
    close();
    resolve(exit);
  };
  const look = (): void => settle(readExitFile(options.runDir, options.id));
  const doubt = (): void => {
    look();
    const isGone = !isSameProcess(options.pid, options.pidStartTicks);
    absences = isGone ? absences + 1 : 0;
    if (absences > GRACE_INTERVALS) settle({ code: UNKNOWN_EXIT_CODE, signal: null, atMs: Date.now() });
  };
  const timer = setInterval(doubt, DOUBT_INTERVAL_MS).unref();
  watcher = watch(runLayout.exitDir(options.runDir), { persistent: false }, look);
  watcher.on('error', () => watcher?.close());
  // It may have ended before the watch stood.
  look();
  return { exited: promise, current: () => found, [Symbol.dispose]: close };
}
