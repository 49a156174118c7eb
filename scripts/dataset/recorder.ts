// Makes the runs of a plan through the engine, as any workload runs, and takes what its sensor and its judgement gave of each window.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { plainRequest, type RunRequest } from '../../src/api/index.ts';
import { type Engine, openEngine, openHome } from '../../src/engine/index.ts';
import type { Window } from '../../src/behaviour/index.ts';
import type { PlannedRun } from './plan.ts';
import { plannedPart, type RecordedRun } from './recorded-run.ts';

const PROJECT = join(import.meta.dirname, '../..');
/** Programs that run in the sandboxes. */
export const GUEST_FOLDER = join(import.meta.dirname, 'guest');
/** Runs at a time: each may use half a core. */
const AT_A_TIME = 3;
/** What a behaviour leaves behind still shows in the window after it. */
const TAIL_MS = 300;
/** No run is left alone for longer, should the recorder hang. */
const RUN_MS_MAX = 120_000;
const MIB = 1024 ** 2;
const DECOY = 'root:*:19000:0:99999:7:::\n';

/** A run and the windows that it had. */
export interface Recording {
  readonly run: RecordedRun;
  readonly windows: readonly Window[];
}

/** Who is told of each run, and what ends the recording early. */
export interface RecordOptions {
  readonly report: (recording: Recording) => void;
  readonly signal: AbortSignal;
}

/**
 * Records the runs, some at a time. What an earlier recording into the same folder left running is ended first; nothing is left on the host
 * at the end, nor after this was killed once it is called again.
 */
export async function record(folder: string, runs: readonly PlannedRun[], options: RecordOptions): Promise<void> {
  const seen = new Map<string, Window[]>();
  const dir = join(folder, 'home');
  await using stack = new AsyncDisposableStack();
  const engine = await openEngine({
    home: openHome(dir),
    observeWindow: ({ workload, window }) => seen.get(workload)?.push(window),
  });
  await clear(engine);
  // The folder goes last: where something could not be taken away, the next recording needs it for that.
  stack.defer(async () => {
    try {
      await clear(engine);
    } finally {
      await engine[Symbol.asyncDispose]();
    }
    for (const own of [dir, guestFolder(folder)]) rmSync(own, { recursive: true, force: true });
  });
  await recordAll({ engine, guest: prepareGuest(folder), seen }, runs, options);
}

async function recordAll(
  studio: Omit<Studio, 'signal'>,
  runs: readonly PlannedRun[],
  { report, signal }: RecordOptions,
): Promise<void> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const left = [...runs];
  const lane = async (): Promise<void> => {
    try {
      for (let run = left.shift(); run !== undefined; run = left.shift()) {
        report(await recordOne({ ...studio, signal: both }, run));
      }
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  };
  const lanes = Array.from({ length: AT_A_TIME }, lane);
  // None may start another while what runs is being cleared away.
  await Promise.allSettled(lanes);
  signal.throwIfAborted();
  await Promise.all(lanes);
}

interface Studio {
  readonly engine: Engine;
  /** Folder of the guest's programs and of the decoys. */
  readonly guest: string;
  readonly seen: Map<string, Window[]>;
  readonly signal: AbortSignal;
}

async function recordOne({ engine, guest, seen, signal }: Studio, run: PlannedRun): Promise<Recording> {
  const windows: Window[] = [];
  seen.set(run.id, windows);
  const { grant } = await engine.run(requestOf(run, guest), () => undefined);
  const attack = await live(run, () => tell(engine, run.id), signal);
  await engine.remove(run.id, { force: true });
  seen.delete(run.id);
  const recorded = {
    ...plannedPart(run),
    attack,
    grant: { pids: grant.pids, cpu: grant.cpu },
    windows: windows.length,
  };
  return { run: recorded, windows };
}

/** Tells the first process of a sandbox to begin, also where it will do nothing, and waits until it must be done. */
async function live(
  { behaviour, calmMs }: PlannedRun,
  tellIt: () => void,
  signal: AbortSignal,
): Promise<RecordedRun['attack']> {
  const wait = (ms: number): Promise<void> => delay(ms, undefined, { signal });
  await wait(behaviour === null ? calmMs / 2 : calmMs);
  const fromMs = Date.now();
  tellIt();
  if (behaviour === null) {
    await wait(calmMs / 2);
    return null;
  }
  await wait(behaviour.actsMs);
  const toMs = Date.now();
  await wait(TAIL_MS);
  return { fromMs, toMs };
}

function tell(engine: Engine, name: string): void {
  // Asked now: a process that has ended leaves its number to a stranger.
  const { pid } = engine.inspect(name);
  if (pid === null) throw new Error(`${name} ended before its time`);
  process.kill(pid, 'SIGUSR1');
}

async function clear(engine: Engine): Promise<void> {
  await engine.stopAll();
  for (const { name } of engine.list()) await engine.remove(name, { force: true });
}

/** Links only loopback: the sandbox is isolated from every network, whatever a behaviour would try. */
function requestOf(run: PlannedRun, guest: string): RunRequest {
  const seconds = (run.behaviour?.actsMs ?? 0) / 1000;
  return {
    ...plainRequest,
    name: run.id,
    artifact: { reference: '/', rootfs: true },
    argv: [
      '/usr/bin/python3',
      '-B',
      '/run/guest/main.py',
      run.workload,
      `${run.seed}`,
      run.behaviour?.id ?? '-',
      `${seconds}`,
    ],
    env: ['PYTHONHASHSEED=0'],
    cpuMillicores: 1000,
    memoryBytes: 512 * MIB,
    diskBytes: 128 * MIB,
    pids: 64,
    timeMs: RUN_MS_MAX,
    stopTimeoutMs: 0,
    mounts: [
      { source: guest, target: '/run/guest', readOnly: true },
      // Nobody's real secrets are read, although the root is this host's.
      { source: join(guest, 'etc/shadow'), target: '/etc/shadow', readOnly: true },
    ],
    policy: { source: 'dataset.yaml', text: recordingPolicy() },
  };
}

const CHANGES: readonly (readonly [string, string])[] = [
  ['mode: enforce', 'mode: observe'],
  // Unsigned code is low under the default policy, and runs where this host's sensor does not see its calls.
  ['mediumFrom: 0.5', 'mediumFrom: 0'],
  ['standard: 1s', 'standard: 100ms'],
  ['detailed: 1s', 'detailed: 100ms'],
  ['stderr: true', 'stderr: false'],
  ['network: rateLimited\n    rate: 10Mbit # each way', 'network: isolated\n    rate: null'],
];

/** The default policy, but for what makes a recording: everything is seen at 100 ms, and nothing is done about it. */
export function recordingPolicy(): string {
  let text = readFileSync(join(PROJECT, 'policies/default.yaml'), 'utf8');
  for (const [part, by] of CHANGES) {
    if (!text.includes(part)) throw new Error(`the default policy has no '${part}'`);
    text = text.replace(part, by);
  }
  return text;
}

function guestFolder(folder: string): string {
  return join(folder, 'guest');
}

/** Names of the guest's programs, in order. */
export function guestFiles(): string[] {
  return readdirSync(GUEST_FOLDER)
    .filter((name) => /\.(?:py|sh|cjs)$/.test(name))
    .sort();
}

/** A copy that every user may read, wherever the checkout lies. */
function prepareGuest(folder: string): string {
  const to = guestFolder(folder);
  mkdirSync(to, { recursive: true, mode: 0o755 });
  for (const name of guestFiles()) copyFileSync(join(GUEST_FOLDER, name), join(to, name));
  for (const decoyFolder of ['etc', 'home/.ssh']) mkdirSync(join(to, decoyFolder), { recursive: true });
  // In a folder of that name: the sensor knows a file by where it lies, not by where it is mounted.
  writeFileSync(join(to, 'etc/shadow'), DECOY, { mode: 0o644 });
  writeFileSync(join(to, 'home/.ssh/id_rsa'), 'a decoy\n');
  return to;
}
