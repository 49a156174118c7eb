// Which runtime a driver uses on this host: candidates in order, the first that runs a program, remembered until its file changes.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../../base/index.ts';
import type { DriverName, LaunchPart, Probe } from '../driver.ts';
import { ociSpec } from './oci-spec.ts';
import {
  findInPath,
  isExecutable,
  probeKey,
  probeRuntime,
  runLimited,
  type RuntimeCandidate,
} from './runtime-probe.ts';

/** A runtime that works here. */
export interface Runtime extends RuntimeCandidate {
  readonly version: string;
}

/** Where scripts/setup puts a runsc that it builds. */
const OWN_RUNSC = '/usr/local/lib/provost/bin/runsc';
/** Host ids of a probe's user namespace: beyond the ranges that workloads get. */
const PROBE_ID_FIRST = 2_000_000_000;

/**
 * gVisor as a wall and nothing else: no host sockets, no overlay of its own (the writable layer is bounded by ours), our cgroups,
 * our filter inside the sentry too. What a flag's default was in one release it may not be in the next, so each is written.
 */
const GVISOR_ARGUMENTS = ['--overlay2=none', '--host-uds=none', '--ignore-cgroups', '--oci-seccomp'];
/** Flags of newer releases: a network namespace a gofer leaves no mount behind in the run folder. */
const GVISOR_NEWER_ARGUMENTS = ['--gofer-network-namespace=new', '--character-device-policy=emulated-only'];

/** Candidates of a driver, best first. Reads PATH and PROVOST_RUNSC. */
export async function runtimeCandidates(name: DriverName): Promise<RuntimeCandidate[]> {
  if (name === 'runc') return findInPath('runc').map((path) => ({ path, arguments: [], detail: 'runc' }));
  const named = process.env['PROVOST_RUNSC'];
  const inPath = findInPath('runsc');
  const systrap = [...(named === undefined ? [] : [named]), ...inPath, OWN_RUNSC].filter(isExecutable);
  return [
    ...(await Promise.all([...new Set(systrap)].map((path) => gvisorCandidate(path, 'systrap')))),
    ...(await Promise.all(inPath.map((path) => gvisorCandidate(path, 'ptrace')))),
    ...(await Promise.all(inPath.map(withoutNetwork))),
  ];
}

async function gvisorCandidate(path: string, platform: 'systrap' | 'ptrace'): Promise<RuntimeCandidate> {
  const known = (await runLimited(path, ['flags'])).output;
  const newer = GVISOR_NEWER_ARGUMENTS.filter((argument) => known.includes(flagName(argument)));
  const base = [`--platform=${platform}`, '--network=sandbox', ...GVISOR_ARGUMENTS, ...newer];
  return { path, arguments: base, detail: `gVisor, ${platform}` };
}

/** Releases of 2022 take every network namespace of a current kernel for the host's, and refuse it. Loopback alone is what low gets. */
async function withoutNetwork(path: string): Promise<RuntimeCandidate> {
  const { arguments: base } = await gvisorCandidate(path, 'ptrace');
  const args = base.map((argument) => (argument === '--network=sandbox' ? '--network=none' : argument));
  return { path, arguments: args, detail: 'gVisor, ptrace, without network' };
}

function flagName(argument: string): string {
  return argument.slice(1).split('=')[0] ?? argument;
}

/** What was found out about runtimes; for one process, and beyond it when it has a file. */
export class ProbeMemory {
  readonly #file: string | null;
  readonly #known = new Map<string, Probe>();

  constructor(file: string | null) {
    this.#file = file;
    if (file !== null) this.#load(file);
  }

  get(candidate: RuntimeCandidate): Probe | undefined {
    return this.#known.get(probeKey(candidate));
  }

  /** Only successes outlive the process: what failed may have failed for want of something that is there tomorrow. */
  set(candidate: RuntimeCandidate, probe: Probe): void {
    this.#known.set(probeKey(candidate), probe);
    if (this.#file === null) return;
    const kept = [...this.#known].filter(([, value]) => value.ok);
    writeFileSync(`${this.#file}.new`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }

  #load(file: string): void {
    try {
      for (const [key, probe] of JSON.parse(readFileSync(file, 'utf8')) as [string, Probe][])
        this.#known.set(key, probe);
    } catch (error) {
      // A file that is missing or damaged costs one more probe.
      if (!(error instanceof SyntaxError) && errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** Probes the candidates in order until one runs; the last failure when none does. */
export async function chooseRuntime(
  name: DriverName,
  memory: ProbeMemory,
): Promise<{ readonly probe: Probe; readonly runtime: Runtime | null }> {
  let last: Probe = {
    ok: false,
    reason: `no ${name === 'runc' ? 'runc' : 'runsc'} in the path`,
    hint: 'Run scripts/setup, which installs it, or set PROVOST_RUNSC to a gVisor that works.',
  };
  for (const candidate of await runtimeCandidates(name)) {
    const probe = memory.get(candidate) ?? (await probeRuntime(candidate, probeConfig));
    memory.set(candidate, probe);
    if (probe.ok) return { probe, runtime: { ...candidate, version: probe.version } };
    last = probe;
  }
  return { probe: last, runtime: null };
}

function probeConfig(rootDir: string, id: string): ReturnType<typeof ociSpec> {
  const launch: LaunchPart = {
    id,
    homeId: 'probe',
    runDir: '',
    scratchDir: '',
    layerDirs: [],
    argv: ['/probe'],
    env: [],
    workingDir: '/',
    ...{
      user: '',
      hostname: 'probe',
      terminal: false,
      stdinOpen: false,
      mounts: [],
      secrets: new Map(),
      diskBytes: 0,
    },
    ...{
      launchProfile: 'strict',
      idRangeFirst: PROBE_ID_FIRST,
      logPath: '',
      logBytesMax: 0,
    },
  };
  const user = { uid: 0, gid: 0, additionalGids: [], home: '/' };
  return ociSpec({ launch, user, rootDir, cgroupsPath: `/provost/${id}`, openFilesMax: 1024, ownMounts: [] });
}
