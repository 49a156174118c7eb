// Where the demo plays: a home of its own with its own supervisor, policy, key, images and ports; and taking all of it down again.
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { homeLayout, type HomeLayout, plainRequest, type RunRequest, type WorkloadDocument } from '../../api/index.ts';
import { MIB } from '../../base/index.ts';
import { CliError } from '../cli-error.ts';
import { type Client, findClient, openClient, RemoteError } from '../client.ts';
import { EventLog } from './event-log.ts';
import { DEMO_POLICY } from './policy-differences.ts';
import type { Story } from './story.ts';
import { WEB_PORT, writeWebImage } from './web-image.ts';

/** The publisher, and the key of what builds for her. */
export const KEY = 'alice';
export const BUILDER = 'ci';
const RELEASE_TYPE = 'https://provost.dev/attestation/release/v1';

/** What every workload of the demo asks for. */
export const ASKED = { cpuMillicores: 1000, memoryBytes: 512 * MIB, diskBytes: 64 * MIB, pids: 64 } as const;
/** Should the demo itself be killed, its workloads end after this, and then its supervisor, which has none any more. */
const WORKLOAD_TIME_MS = 600_000;
/** Ending three workloads and a supervisor takes a second or two; on a host that is busy, some more. */
const LEAVE_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** What a person needs for two or three lines. */
const BREATH_MS = 2500;

export type ImageName = 'web-1' | 'web-2' | 'stranger';

export interface Stage {
  readonly home: HomeLayout & { readonly id: string };
  readonly story: Story;
  readonly client: Client;
  readonly events: EventLog;
  readonly signal: AbortSignal;
  /** Where the repository of the first image is. */
  readonly originDir: string;
  readonly run: (
    name: string,
    image: ImageName,
    options: { readonly port: number; readonly replace?: boolean },
  ) => Promise<void>;
  inspect(name: string): Promise<WorkloadDocument>;
  /** Throws when the demo was interrupted. */
  pause(ms: number): Promise<void>;
  /** Time to read what was just said; none where nobody watches. */
  breathe(): Promise<void>;
  reference(image: ImageName): string;
}

/** Makes the folder of the home; the supervisor makes the rest. */
export function makeHome(): HomeLayout {
  const dir = mkdtempSync(join(tmpdir(), 'provost-demo-'));
  copyFileSync(DEMO_POLICY, join(dir, 'policy.yaml'));
  return homeLayout(dir);
}

export interface StageOptions {
  readonly home: HomeLayout;
  readonly story: Story;
  readonly busybox: string;
  readonly signal: AbortSignal;
}

/** Starts the supervisor, writes the images but for the one that the first act builds, and has Alice sign one of them. */
export async function openStage({ home, story, busybox, signal }: StageOptions): Promise<Stage> {
  const originDir = join(home.dir, 'origin');
  const reference = (image: ImageName): string =>
    `oci:${image === 'web-1' ? join(originDir, 'shop/dist/image') : join(home.dir, 'images', image)}`;
  const write = (image: ImageName, revision: number, turnsBad: boolean): void =>
    writeWebImage({ dir: join(home.dir, 'images', image), busybox, revision, turnsBad, label: image });
  write('web-2', 2, true);
  write('stranger', 1, false);
  const client = await openClient(home);
  signal.throwIfAborted();
  const post = (path: string, body: unknown): Promise<unknown> => client.call({ method: 'POST', path, body });
  for (const [key, role] of [
    [KEY, 'publisher'],
    [BUILDER, 'builder'],
  ] as const) {
    await post('/v1/keys', { do: 'generate', name: key });
    await post('/v1/keys', { do: 'trust', key, publicKeyPem: null, role, scope: '*', predicateTypes: [] });
  }
  const statement = { reference: reference('web-2'), rootfs: false, predicateType: RELEASE_TYPE, predicate: {} };
  await post('/v1/attestations', { ...statement, key: KEY });
  signal.throwIfAborted();
  return {
    home: { ...home, id: readFileSync(join(home.dir, 'id'), 'utf8').trim() },
    story,
    client,
    events: new EventLog(client, signal),
    signal,
    originDir,
    reference,
    run: async (name, image, { port, replace = false }) => {
      await start(client, requestOf(name, reference(image), { port, replace }));
      signal.throwIfAborted();
    },
    inspect: (name) => client.call({ method: 'GET', path: `/v1/workloads/${name}` }),
    pause: (ms) => delay(ms, undefined, { signal }),
    breathe: () => delay(story.isWatched ? BREATH_MS : 0, undefined, { signal }),
  };
}

/** A port of loopback that nobody holds. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  const port = await promise;
  await new Promise((closed) => server.close(closed));
  return port;
}

function requestOf(
  name: string,
  reference: string,
  { port, replace }: { readonly port: number; readonly replace: boolean },
): RunRequest {
  return {
    ...plainRequest,
    name,
    artifact: { reference, rootfs: false },
    ...ASKED,
    timeMs: WORKLOAD_TIME_MS,
    ports: [{ hostAddress: '127.0.0.1', hostPort: port, containerPort: WEB_PORT, protocol: 'tcp' }],
    stopTimeoutMs: 0,
    replace,
  };
}

/** Sends the request; its events come by the stream of events. */
async function start(client: Client, body: RunRequest): Promise<void> {
  for await (const line of client.lines({ method: 'POST', path: '/v1/workloads', body })) {
    if (typeof line === 'object' && line !== null && 'error' in line)
      throw new RemoteError(line as ConstructorParameters<typeof RemoteError>[0]);
  }
}

/**
 * Ends the supervisor of a home with all its workloads.
 *
 * @throws CliError CLI_DEMO when it does not leave in time
 */
export async function leaveHome(home: HomeLayout): Promise<void> {
  const client = await findClient(home);
  await client?.call({ method: 'POST', path: '/v1/shutdown', body: { stopWorkloads: true } });
  const deadline = performance.now() + LEAVE_WITHIN_MS;
  while (['provost.pid', 'guard.pid'].some((name) => existsSync(join(home.dir, name)))) {
    if (performance.now() > deadline) {
      throw new CliError('CLI_DEMO', `the demo's supervisor did not leave within ${LEAVE_WITHIN_MS / 1000} s`, {
        hint: `Run: PROVOST_HOME=${home.dir} provost shutdown --stop-workloads; its log is ${home.supervisorLog}`,
      });
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** Removes the folder of a home that was left. */
export function removeHome(home: HomeLayout): void {
  rmSync(home.dir, { recursive: true, force: true });
}
