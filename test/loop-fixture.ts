// The closed loop for tests: a home with signed images of a program that does as it is told, a policy of short times, and the kernel's own word.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type EventOf,
  type IncidentDocument,
  plainRequest,
  type RunRequest,
  type WorkloadDocument,
  type WorkloadEvent,
} from '../src/api/index.ts';
import { tarOfFolder, writeOciLayout } from '../src/artifact/index.ts';
import { Client, RemoteError } from '../src/cli/client.ts';
import { makeBusyboxRoot } from './busybox-image.ts';
import { openTestHome, type TestHome, until } from './home-fixture.ts';
import { PROJECT_FOLDER } from './source/source-file.ts';

const RELEASE_TYPE = 'https://provost.dev/attestation/release/v1';

/**
 * The program of every image: it waits for `/orders/NAME` (mounted from the host) and does that, once. `work` goes on until it is
 * taken back.
 */
const PROGRAM = `
while :; do
  if [ -e /orders/work ]; then i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; fi
  for order in shadow escape scan fork burn; do
    [ -e /orders/$order ] && [ ! -e /tmp/$order ] || continue
    echo > /tmp/$order
    case $order in
      shadow) cat /etc/shadow > /tmp/stolen ;;
      escape) cat /proc/sys/kernel/core_pattern > /dev/null ;;
      scan) for port in $(seq 1 30); do nc -w 1 203.0.113.9 $port & done ;;
      burn) for n in 1 2 3 4; do (while :; do :; done) & done ;;
      fork) for n in $(seq 1 37); do sleep 1000 & done; while :; do true | true; done ;;
    esac
  done
  sleep 0.02
done`;

/** Short times, so that a test sees in seconds what the default policy does in hours. */
const SHORT: Readonly<Record<string, string>> = {
  'liftedByCleanRuntime: 24h': 'liftedByCleanRuntime: 500ms',
  'raiseDwell: 60s': 'raiseDwell: 600ms',
  'goodAfter: 10m': 'goodAfter: 300ms',
  'tau: 10m': 'tau: 1s',
  'cleanHalf: 30d': 'cleanHalf: 2s',
  'standard: 1s': 'standard: 100ms',
  'detailed: 1s': 'detailed: 100ms',
};

/** Drops the checks of the build but for the signature: these tests are about what runs, and nobody recorded how it was built. */
function signedAlone(text: string): string {
  const [first, ...others] = text.match(/^ {4}- check: build\..*\n {6}weight: .*\n {6}how: .*\n/gm) ?? [];
  if (first?.includes('build.attestation') !== true)
    throw new Error('the first check of the build is not the signature');
  return others.reduce((left, check) => left.replace(check, ''), text).replace('weight: 0.75', 'weight: 1');
}

/** The default policy of short times, with further parts replaced; a part that is not in it is an error. */
export function shortPolicy(changes: Readonly<Record<string, string>> = {}): string {
  return replaced(signedAlone(readDefaultPolicy()), { ...SHORT, ...changes });
}

/** The same with every check of the build, where time alone is never enough: what is still missing, somebody has to say. */
export function shortLifePolicy(changes: Readonly<Record<string, string>> = {}): string {
  const never = { 'liftedByCleanRuntime: 24h': 'liftedByCleanRuntime: null' };
  return replaced(readDefaultPolicy(), { ...SHORT, ...never, ...changes });
}

export function readDefaultPolicy(): string {
  return readFileSync(join(PROJECT_FOLDER, 'policies/default.yaml'), 'utf8');
}

function replaced(policy: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((text, [part, by]) => {
    if (!text.includes(part)) throw new Error(`the policy has no '${part}'`);
    return text.replace(part, by);
  }, policy);
}

export type RunOptions = Partial<Omit<RunRequest, 'policy' | 'artifact'>> & {
  readonly name: string;
  /** Which image: each letter is another digest; a capital one is not signed. */
  readonly image?: string;
  readonly policy?: string;
};

/** What the kernel holds, read from the group's own files. */
export interface KernelLimits {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly pids: number;
}

export interface Loop extends AsyncDisposable {
  readonly home: TestHome;
  readonly client: Client;
  /** Starts a workload; resolves to the events of its start. */
  run(options: RunOptions): Promise<WorkloadEvent[]>;
  /** What the program in a workload is to do from now on. */
  order(name: string, order: string): void;
  recall(name: string, order: string): void;
  inspect(name: string): Promise<WorkloadDocument>;
  /** Kept events of a workload of one kind, oldest first. */
  events<Name extends WorkloadEvent['event']>(name: string, event: Name): Promise<EventOf<Name>[]>;
  incidents(name: string): Promise<IncidentDocument[]>;
  post<T>(path: string, body: unknown): Promise<T>;
  /** What the v1 controllers hold for the running instance. */
  kernel(workload: WorkloadDocument): KernelLimits;
}

/** Opens a home with a trusted key `alice` that signed every image with a small letter. */
export async function openLoop(images: readonly string[]): Promise<Loop> {
  const home = openTestHome();
  const client = new Client(join(home.dir, 'provost.sock'));
  const work = `${home.dir}-work`;
  await home.ok('key', 'generate', 'alice');
  await home.ok('key', 'trust', 'alice');
  const post = <T>(path: string, body: unknown): Promise<T> => client.call<T>({ method: 'POST', path, body });
  for (const image of images) {
    writeImage(join(work, `image-${image}`), image);
    if (image !== image.toLowerCase()) continue;
    const reference = `oci:${join(work, `image-${image}`)}`;
    await post('/v1/attestations', {
      reference,
      rootfs: false,
      predicateType: RELEASE_TYPE,
      predicate: {},
      key: 'alice',
    });
  }
  // Of each run its own: an earlier revision that comes back does not do what a later one was told to.
  const runs = new Map<string, number>();
  const ordersOf = (name: string): string => join(work, `orders-${name}-${runs.get(name) ?? 0}`);
  return {
    home,
    client,
    post,
    run: (options) => {
      runs.set(options.name, (runs.get(options.name) ?? 0) + 1);
      mkdirSync(ordersOf(options.name), { recursive: true });
      return start(client, requestOf(options, work, ordersOf(options.name)));
    },
    order: (name, order) => writeFileSync(join(ordersOf(name), order), ''),
    recall: (name, order) => rmSync(join(ordersOf(name), order), { force: true }),
    inspect: (name) => client.call<WorkloadDocument>({ method: 'GET', path: `/v1/workloads/${name}` }),
    events: async <Name extends WorkloadEvent['event']>(name: string, event: Name) =>
      (await home.events(name)).filter((one): one is EventOf<Name> => one.event === event),
    incidents: async (name) =>
      (await client.call<IncidentDocument[]>({ method: 'GET', path: `/v1/incidents?workload=${name}` })).toReversed(),
    kernel: ({ cgroup }) => kernelLimits(cgroup ?? ''),
    async [Symbol.asyncDispose]() {
      try {
        await home[Symbol.asyncDispose]();
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

function writeImage(dir: string, mark: string): void {
  const root = makeBusyboxRoot(join(dir, 'root'));
  writeFileSync(join(root, 'etc/mark'), `${mark}\n`);
  writeFileSync(join(root, 'etc/shadow'), 'root:*:19000:0:99999:7:::\n', { mode: 0o600 });
  writeFileSync(join(root, 'bin/program'), `#!/bin/sh\n${PROGRAM}\n`, { mode: 0o755 });
  const createdMs = Date.now() - 3_600_000;
  writeOciLayout({
    dir,
    layers: [tarOfFolder(root)],
    config: { cmd: ['/bin/program'], stopSignal: 'SIGKILL', createdMs },
  });
}

function requestOf({ image = 'a', policy, ...options }: RunOptions, work: string, orders: string): RunRequest {
  return {
    ...plainRequest,
    artifact: { reference: `oci:${join(work, `image-${image}`)}`, rootfs: false },
    cpuMillicores: 1000,
    memoryBytes: 128 * 1024 ** 2,
    diskBytes: 64 * 1024 ** 2,
    pids: 40,
    stopTimeoutMs: 1000,
    ...options,
    mounts: [{ source: orders, target: '/orders', readOnly: true }, ...(options.mounts ?? [])],
    policy: { source: 'test.yaml', text: policy ?? shortPolicy() },
  };
}

async function start(client: Client, request: RunRequest): Promise<WorkloadEvent[]> {
  const events: WorkloadEvent[] = [];
  for await (const line of client.lines({ method: 'POST', path: '/v1/workloads', body: request })) {
    const one = line as { readonly error?: unknown; readonly result?: unknown };
    if (one.error !== undefined) throw new RemoteError(line as ConstructorParameters<typeof RemoteError>[0]);
    if (one.result === undefined) events.push(line as WorkloadEvent);
  }
  return events;
}

/** What the v1 controllers hold for a group. */
export function kernelLimits(cgroup: string): KernelLimits {
  const read = (controller: string, file: string): number =>
    Number(readFileSync(join('/sys/fs/cgroup', controller, cgroup, file), 'utf8'));
  return {
    cpuMillicores: (read('cpu', 'cpu.cfs_quota_us') * 1000) / read('cpu', 'cpu.cfs_period_us'),
    memoryBytes: read('memory', 'memory.limit_in_bytes'),
    pids: read('pids', 'pids.max'),
  };
}

/** The first incident of a workload whose kind is one of these, once it is there with its slow actions done. */
export async function incidentOf(
  loop: Loop,
  name: string,
  kinds: readonly string[],
  last: string,
): Promise<IncidentDocument> {
  let found: IncidentDocument | undefined;
  await until(`${name} has an incident ${kinds.join(' or ')} with ${last}`, async () => {
    const all = await loop.incidents(name);
    found = all.find(({ kind, actions }) => kinds.includes(kind) && actions.some((action) => action.kind === last));
    return found !== undefined;
  });
  return found as IncidentDocument;
}
