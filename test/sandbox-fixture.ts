// A host to try sandboxes on: a small root of busybox, drivers on this host, and a look at what they left behind.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { MIB } from '../src/base/index.ts';
import type { LiveGrant } from '../src/policy/index.ts';
import {
  type Driver,
  type DriverName,
  type LaunchPart,
  openDrivers,
  readCriLog,
  type Sandbox,
} from '../src/sandbox/index.ts';
import { makeBusyboxRoot } from './busybox-image.ts';
import { commandLine, namesIn } from './host-traces.ts';

/** Long enough for gVisor on a loaded host with two cores. */
export const DEADLINE_MS = 20_000;

/** Ids of the test's workloads on the host. */
export const ID_RANGE_FIRST = 1_310_720_000;

/** What a workload may use while a test does not say otherwise. */
export const ROOMY: LiveGrant = {
  cpuMillicores: 2000,
  memoryBytes: 512 * MIB,
  pids: 256,
  network: 'isolated',
  rateBitsPerSecond: null,
  logging: 'standard',
};

/** One home of sandboxes under a folder of its own. */
export interface SandboxHost extends AsyncDisposable {
  readonly homeId: string;
  readonly dir: string;
  /** A read-only layer with busybox and two users, root and `app` (1000). */
  readonly layerDir: string;
  readonly drivers: ReadonlyMap<DriverName, Driver>;
  launch(part?: Partial<LaunchPart>): LaunchPart;
  /** Creates, applies and starts a sandbox that is removed with the host. */
  run(name: DriverName, part: Partial<LaunchPart>, live?: Partial<LiveGrant>): Promise<Sandbox>;
  create(name: DriverName, part: Partial<LaunchPart>): Promise<Sandbox>;
  /** What the workload wrote. */
  output(sandbox: Sandbox): Promise<string>;
  /** Everything on the host that still names this home. */
  traces(): string[];
}

/** A launch in which nothing is asked for. */
const PLAIN: Omit<LaunchPart, 'id' | 'homeId' | 'runDir' | 'scratchDir' | 'logPath' | 'layerDirs'> = {
  argv: ['/bin/true'],
  env: [],
  workingDir: '/',
  user: '',
  hostname: 'box',
  terminal: false,
  stdinOpen: false,
  mounts: [],
  secrets: new Map(),
  diskBytes: 32 * MIB,
  launchProfile: 'standard',
  idRangeFirst: ID_RANGE_FIRST,
  logBytesMax: MIB,
};

export function openSandboxHost(): SandboxHost {
  const dir = mkdtempSync(join(tmpdir(), 'provost-sandbox-'));
  const homeId = randomBytes(3).toString('hex');
  const layerDir = makeBusyboxRoot(join(dir, 'layer'));
  const drivers = openDrivers({ homeDir: dir, probeFile: null });
  const sandboxes: Sandbox[] = [];
  let count = 0;
  const launch = (part: Partial<LaunchPart> = {}): LaunchPart => {
    const id = `${homeId}-${(count += 1)}`;
    const places = {
      runDir: join(dir, 'run', id),
      scratchDir: join(dir, 'scratch'),
      logPath: join(dir, 'logs', `${id}.log`),
    };
    return { ...PLAIN, id, homeId, ...places, layerDirs: [layerDir], ...part };
  };
  const create = async (name: DriverName, part: Partial<LaunchPart>): Promise<Sandbox> => {
    const sandbox = await driverOf(drivers, name).create(launch(part), ROOMY);
    sandboxes.push(sandbox);
    return sandbox;
  };
  return {
    homeId,
    dir,
    layerDir,
    drivers,
    launch,
    create,
    async run(name, part, live = {}) {
      const sandbox = await create(name, part);
      sandbox.apply({ ...ROOMY, ...live });
      await sandbox.start();
      return sandbox;
    },
    async output(sandbox) {
      let text = '';
      for await (const line of readCriLog(sandbox.record.logPath)) text += line.text + (line.isPartial ? '' : '\n');
      return text;
    },
    traces: () => tracesOf(homeId, dir),
    async [Symbol.asyncDispose]() {
      for (const sandbox of sandboxes) {
        await sandbox.kill();
        await sandbox.remove();
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function driverOf(drivers: ReadonlyMap<DriverName, Driver>, name: DriverName): Driver {
  const driver = drivers.get(name);
  if (driver === undefined) throw new Error(`no driver ${name}`);
  return driver;
}

/** Resolves once `condition` holds; looks every 10 ms. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Groups, mounts, loop devices, processes and folders whose name tells of this home. */
function tracesOf(homeId: string, dir: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const loops = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  const backing = loops.map((name) => `/sys/block/${name}/loop/backing_file`).filter((path) => existsSync(path));
  return [
    ...readdirSync('/sys/fs/cgroup').flatMap((name) => namesIn(`/sys/fs/cgroup/${name}/provost`)),
    ...namesIn('/sys/fs/cgroup/provost'),
    ...mounts.filter((line) => line.includes(dir)),
    ...backing.map((path) => readFileSync(path, 'utf8')).filter((path) => path.includes(dir)),
    ...namesIn('/run/provost'),
    ...namesIn(join(dir, 'run')),
    ...namesIn(join(dir, 'scratch')),
    ...readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(dir))
      .map((pid) => commandLine(pid)),
    ...mounts.filter((line) => line.includes(homeId)),
  ].filter((trace) => trace.includes(homeId) || trace.includes(dir));
}
