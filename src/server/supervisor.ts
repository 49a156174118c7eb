// The one process per home that runs the loop: engine, socket, idle exit. Started by the guard.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';

import { exitStatus, messageOf } from '../base/index.ts';
import { type Engine, freezeHome, type Home, openEngine } from '../engine/index.ts';
import { ServerError } from './server-error.ts';
import { httpServer } from './http.ts';

/** With no workload for this long, an on-demand supervisor leaves. */
const IDLE_EXIT_MS = 60_000;
const IDLE_CHECK_MS = 1000;

export interface SupervisorOptions {
  readonly home: Home;
  /** False for `serve`: never leaves by itself. */
  readonly leavesWhenIdle: boolean;
  readonly listen: { readonly host: string; readonly port: number; readonly token: string } | null;
}

/** A running supervisor; `ended` resolves once it has left cleanly. */
export interface Supervisor {
  readonly ended: Promise<void>;
  /** Leaves. With workloads running it refuses, unless they are to be stopped. */
  shutdown(options: { readonly stopWorkloads: boolean }): Promise<void>;
  /** Leaves, whatever runs: frozen, since nobody watches it, until the next supervisor comes. */
  handOver(): Promise<void>;
}

/**
 * Opens the engine (which adopts what runs), then listens, then writes the pid file: whoever sees the file can connect.
 *
 * @throws LedgerError LEDGER_LOCKED when another supervisor holds the home; ServerError SERVER_LISTEN
 */
export async function openSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const engine = await openEngine({ home: options.home });
  const left = Promise.withResolvers<void>();
  const stack = new AsyncDisposableStack();
  stack.use(engine);
  let leaving: Promise<void> | null = null;
  const leave = (): Promise<void> => {
    leaving ??= stack.disposeAsync().then(left.resolve, left.reject);
    return leaving;
  };
  const shutdown = async ({ stopWorkloads }: { readonly stopWorkloads: boolean }): Promise<void> => {
    if (engine.activeCount > 0 && !stopWorkloads) throw workloadsRun(engine);
    await engine.stopAll();
    // Let the reply to this very request go out first.
    setTimeout(() => void leave(), 20);
  };
  try {
    await listen(options, { engine, shutdown }, stack);
  } catch (error) {
    await leave();
    throw error;
  }
  if (options.leavesWhenIdle) leaveWhenIdle(engine, leave, stack);
  writeFileSync(options.home.pidFile, `${process.pid}\n`, { mode: 0o640 });
  // Deferred last, so disposed first: its absence says that the end was clean.
  stack.defer(() => rmSync(options.home.pidFile, { force: true }));
  const handOver = async (): Promise<void> => {
    const isWatching = engine.activeCount > 0;
    await leave();
    if (isWatching) await freezeHome(options.home);
  };
  return { ended: left.promise, shutdown, handOver };
}

type Serving = { readonly engine: Engine; readonly shutdown: Supervisor['shutdown'] };

async function listen(options: SupervisorOptions, serving: Serving, stack: AsyncDisposableStack): Promise<void> {
  const local = httpServer({ ...serving, token: null });
  stack.defer(() => local.close());
  rmSync(options.home.socket, { force: true });
  const umask = process.umask(0o117);
  try {
    await local.listen({ path: options.home.socket });
  } catch (error) {
    throw cannotListen(options.home.socket, error);
  } finally {
    process.umask(umask);
  }
  chmodSync(options.home.socket, 0o660);
  if (options.listen === null) return;
  const remote = httpServer({ ...serving, token: options.listen.token });
  stack.defer(() => remote.close());
  try {
    await remote.listen({ host: options.listen.host, port: options.listen.port });
  } catch (error) {
    throw cannotListen(`${options.listen.host}:${options.listen.port}`, error);
  }
}

function leaveWhenIdle(engine: Engine, leave: () => Promise<void>, stack: AsyncDisposableStack): void {
  let idleSinceMs = performance.now();
  const timer = setInterval(() => {
    if (engine.activeCount > 0) idleSinceMs = performance.now();
    else if (performance.now() - idleSinceMs > IDLE_EXIT_MS) void leave();
  }, IDLE_CHECK_MS);
  stack.defer(() => clearInterval(timer));
}

function workloadsRun(engine: Engine): ServerError {
  const names = engine
    .list()
    .filter((workload) => workload.state !== 'exited' && workload.state !== 'contained')
    .map((workload) => workload.name);
  return new ServerError('SERVER_BUSY', `workloads are running: ${names.join(', ')}`, {
    exit: exitStatus.differences,
    hint: 'Stop them first, or say --stop-workloads.',
    details: { workloads: names },
  });
}

function cannotListen(where: string, cause: unknown): ServerError {
  return new ServerError('SERVER_LISTEN', `cannot listen on ${where}: ${messageOf(cause)}`, {
    exit: exitStatus.unavailable,
    hint: 'Free the address or choose another.',
    cause,
  });
}
