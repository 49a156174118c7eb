// Promise: a leaf that revokes a key → limits lowered on the workloads it affects, 100 live: p99 at most 500 ms.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { plainRequest, type RunRequest } from '../src/api/index.ts';
import { MIB } from '../src/base/index.ts';
import { type Engine, openEngine, openHome } from '../src/engine/index.ts';
import { findCgroupLayout } from '../src/sandbox/cgroup/layout.ts';
import { writeBusyboxImage } from '../test/busybox-image.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const WORKLOADS = 100;
const P99_MS_MAX = 500;
/** Each key signs one image; the one that is revoked signs two of the four, and so half of what runs. */
const IMAGES = [
  { image: 'one', key: 'stolen' },
  { image: 'two', key: 'stolen' },
  { image: 'three', key: 'bob' },
  { image: 'four', key: 'carol' },
] as const;
const PEER_UPDATES = 20;
/** The last limit is lowered long before, or never. */
const WAIT_MS = 20_000;
const STARTS_AT_ONCE = 2;
/** Half of it at medium trust, 100 at low. */
const CPU_MILLICORES = 400;

const row = {
  what: `a revoked key → limits lowered on ${WORKLOADS / 2} of ${WORKLOADS} live workloads, p99`,
  target: `≤ ${P99_MS_MAX} ms`,
};
const peerRow = { what: 'the same against runc update, one workload after another', target: 'none' };

/** What the watching thread is given, and what it answers: times of `process.hrtime`, in ns, in the order of the files. */
interface Watched {
  readonly files: readonly string[];
  readonly count: number;
}

if (!isMainThread && parentPort !== null) watch(workerData as Watched);

/** Reads every file again and again, in a thread of its own: the engine's own thread is busy with what is measured. */
function watch({ files, count }: Watched): void {
  const before = files.map(readLimit);
  const seen = new Map<number, string>();
  parentPort?.postMessage('ready', []);
  const until = process.hrtime.bigint() + BigInt(WAIT_MS) * 1_000_000n;
  const round = (): void => {
    for (const [at, file] of files.entries()) {
      if (seen.has(at) || readLimit(file) === before[at]) continue;
      seen.set(at, String(process.hrtime.bigint()));
    }
    if (seen.size >= count || process.hrtime.bigint() > until) parentPort?.postMessage([...seen], []);
    else setTimeout(round, 1);
  };
  round();
}

/** The CPU limit as the kernel has it; a group that is gone has none. */
function readLimit(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return 'gone';
  }
}

/** Measures from the arrival of the command that revokes, and so with the writing of its leaf. */
export async function run(): Promise<readonly BenchRow[]> {
  if (process.getuid?.() !== 0)
    return [row, peerRow].map((each) => ({ ...each, value: 'not measured', ok: null, detail: 'needs root' }));
  const dir = mkdtempSync(join(tmpdir(), 'provost-bench-'));
  const home = openHome(join(dir, 'home'));
  writeFileSync(home.policyFile, roomyPolicy());
  const engine = await openEngine({ home });
  try {
    await signImages(engine, dir);
    const names = Array.from({ length: WORKLOADS }, (_, index) => `live-${index}`);
    await startAll(names, (name, index) => startOne(engine, dir, { name, index }));
    return await measure(engine, names, home.runDir);
  } finally {
    await engine.stopAll();
    await engine[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function signImages(engine: Engine, dir: string): Promise<void> {
  const trust = { publicKeyPem: null, role: 'publisher', scope: '*', predicateTypes: [] } as const;
  for (const name of new Set(IMAGES.map(({ key }) => key))) {
    await engine.changeKeys({ do: 'generate', name });
    await engine.changeKeys({ do: 'trust', key: name, ...trust });
  }
  const predicateType = 'https://provost.dev/attestation/release/v1';
  for (const { image, key } of IMAGES) {
    writeBusyboxImage({ dir: join(dir, image), mark: image, config: { user: '0' } });
    const reference = `oci:${join(dir, image)}`;
    await engine.attest({ reference, rootfs: false, predicateType, predicate: {}, key });
  }
}

async function startOne(
  engine: Engine,
  dir: string,
  { name, index }: { readonly name: string; readonly index: number },
): Promise<void> {
  const { image } = imageOf(index);
  const request: RunRequest = {
    ...plainRequest,
    artifact: { reference: `oci:${join(dir, image)}`, rootfs: false },
    name,
    argv: ['/bin/sleep', '100000'],
    cpuMillicores: CPU_MILLICORES,
    memoryBytes: 32 * MIB,
    diskBytes: 4 * MIB,
    pids: 8,
    stopTimeoutMs: 0,
  };
  await engine.run(request, () => {});
}

function imageOf(index: number): (typeof IMAGES)[number] {
  const image = IMAGES[index % IMAGES.length];
  if (image === undefined) throw new RangeError('there is no image');
  return image;
}

async function startAll(
  names: readonly string[],
  start: (name: string, index: number) => Promise<void>,
): Promise<void> {
  const waiting = names.entries();
  const worker = async (): Promise<void> => {
    for (const [index, name] of waiting) await start(name, index);
  };
  const ended = await Promise.allSettled(Array.from({ length: STARTS_AT_ONCE }, worker));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

/** The default policy, which promises these workloads the CPU that they never use. */
function roomyPolicy(): string {
  const text = readFileSync(join(import.meta.dirname, '../policies/default.yaml'), 'utf8');
  return text.replace(/cpuOvercommit: \d+/, 'cpuOvercommit: 16');
}

async function measure(engine: Engine, names: readonly string[], runDir: string): Promise<readonly BenchRow[]> {
  const groups = names.map((name) => engine.inspect(name).cgroup ?? '');
  const files = groups.map(limitFile);
  const before = files.map(readLimit);
  const isAffected = (at: number): boolean => imageOf(at).key === 'stolen';
  const watcher = new Worker(new URL(import.meta.url), {
    workerData: { files, count: WORKLOADS / 2 } satisfies Watched,
  });
  await new Promise((resolve) => watcher.once('message', resolve));
  const seen = new Promise<readonly (readonly [number, string])[]>((resolve) => watcher.once('message', resolve));
  const fromNs = process.hrtime.bigint();
  const revoking = engine.changeKeys({ do: 'revoke', key: 'stolen', reason: 'bench' });
  const lowered = new Map(await seen);
  await Promise.all([revoking, watcher.terminate()]);
  // What comes late, and must not come at all, is seen too.
  await delay(1000);
  const spared = files.flatMap((file, at) => (isAffected(at) ? [] : [readLimit(file) === before[at]]));
  const strays = [...lowered.keys()].filter((at) => !isAffected(at)).length + spared.filter((isSame) => !isSame).length;
  if (lowered.size !== WORKLOADS / 2) throw new Error(`${lowered.size} limits were lowered, not ${WORKLOADS / 2}`);
  const samples = [...lowered.values()].map((ns) => Number(BigInt(ns) - fromNs) / 1e6);
  const p99 = percentile(samples, 0.99);
  const unaffected = names.filter((_, at) => !isAffected(at)).map((name) => engine.inspect(name).instance ?? '');
  const peer = peerMs(unaffected.slice(0, PEER_UPDATES).map((instance) => join(runDir, instance, 'runtime')));
  const detail = `from the command’s arrival; median ${percentile(samples, 0.5).toFixed(0)} ms, first ${Math.min(...samples).toFixed(0)} ms; ${strays} of the ${spared.length} others touched`;
  const total = `${(peer * lowered.size).toFixed(0)} ms for ${lowered.size} at ${peer.toFixed(1)} ms each`;
  return [
    { ...row, value: `${p99.toFixed(0)} ms`, ok: p99 <= P99_MS_MAX && strays === 0, detail },
    { ...peerRow, value: `${((peer * lowered.size) / p99).toFixed(1)}× faster`, ok: null, detail: total },
  ];
}

function limitFile(group: string): string {
  const layout = findCgroupLayout();
  const cpu = layout.v1.get('cpu');
  return cpu === undefined ? join(layout.v2, group, 'cpu.max') : join(cpu, group, 'cpu.cfs_quota_us');
}

/** Milliseconds that one `runc update` of the same limit takes, the median over containers that were spared. */
function peerMs(runtimeRoots: readonly string[]): number {
  const samples = runtimeRoots.map((root) => {
    const [id = ''] = readdirSync(root);
    const startMs = performance.now();
    execFileSync('runc', ['--root', root, 'update', '--cpu-period', '100000', '--cpu-quota', '10000', id]);
    return performance.now() - startMs;
  });
  return percentile(samples, 0.5);
}

if (isMainThread) await runAlone(import.meta, run);
