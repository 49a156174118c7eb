// The contract of a driver: how the engine makes, limits, watches and ends a sandbox, whatever runs it.
import { ProvostError } from '../base/index.ts';
import type { MemoryLook } from '../behaviour/index.ts';
import type { BindMount, Isolation, LiveGrant, Logging, PortMapping } from '../policy/index.ts';

export type SandboxErrorCode =
  | 'SANDBOX_RUNTIME_MISSING'
  | 'SANDBOX_CREATE'
  | 'SANDBOX_START'
  | 'SANDBOX_GONE'
  | 'SANDBOX_TIMEOUT'
  | 'SANDBOX_SYSCALL'
  | 'SANDBOX_CGROUP'
  | 'SANDBOX_LIMIT_NOT_HELD'
  | 'SANDBOX_MOUNT'
  | 'SANDBOX_USER'
  | 'SANDBOX_NO_SPACE'
  | 'SANDBOX_NETWORK'
  | 'SANDBOX_PORT_IN_USE'
  | 'SANDBOX_SENSOR';

export class SandboxError extends ProvostError<SandboxErrorCode> {}

export type DriverName = 'runc' | 'gvisor';

/** What a driver found when it ran its runtime once, with a time limit. */
export type Probe =
  | { readonly ok: true; readonly version: string; readonly path: string; readonly detail: string }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** Everything about a sandbox that is fixed when it starts. */
export interface LaunchPart {
  /** `<home-id>-<instance>`: names everything that is made on the host. Lower-case letters, digits, hyphen; at most 32. */
  readonly id: string;
  /** The short id of the PROVOST_HOME. */
  readonly homeId: string;
  /** Folder of this sandbox's own files (bundle, sockets, exit file); made by the driver, removed by `remove`. */
  readonly runDir: string;
  /** Where the writable layer's image file lives; removed by `remove`. */
  readonly scratchDir: string;
  /** Read-only layers, lowest first. */
  readonly layerDirs: readonly string[];
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  /** As an image or `--user` writes it: `1000`, `www-data`, `1000:1000`, empty for root; looked up in the rootfs's own passwd. */
  readonly user: string;
  readonly hostname: string;
  readonly terminal: boolean;
  readonly stdinOpen: boolean;
  readonly mounts: readonly BindMount[];
  /** Name under /run/secrets → content; in a tmpfs, mode 0400, owned by the workload's user. */
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly diskBytes: number;
  readonly launchProfile: LaunchProfileName;
  /** First host id of this workload's range of 65,536 ids. */
  readonly idRangeFirst: number;
  readonly logPath: string;
  readonly logBytesMax: number;
}

/** `standard` for high and medium, `strict` for low. */
export type LaunchProfileName = 'standard' | 'strict';

/** What the kernel holds now, read back after the write. `pending` names fields that could not be reached yet, with the target. */
export interface Effective {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly pids: number;
  readonly pending: { readonly memoryBytes?: number };
}

export interface Exit {
  readonly code: number;
  /** Signal number when it was killed by one, else null. */
  readonly signal: number | null;
  readonly oomKilled: boolean;
  readonly atMs: number;
}

/** Cumulative counters of a sandbox since it was made, from its cgroups. */
export interface SandboxStats {
  readonly cpuUsec: number;
  readonly throttledUsec: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  readonly majorFaults: number;
  readonly minorFaults: number;
  readonly memoryLimitHits: number;
  readonly oomKills: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly pids: number;
}

/** What is needed to find a running sandbox again after the supervisor died. Plain data. */
export interface SandboxRecord {
  readonly driver: DriverName;
  readonly id: string;
  readonly homeId: string;
  /** The workload's first process on the host (gVisor: the sandbox process). */
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: with the pid it names one process for ever. */
  readonly pidStartTicks: number;
  readonly monitorPid: number;
  readonly cgroupId: string;
  readonly runDir: string;
  readonly scratchDir: string;
  readonly logPath: string;
  readonly terminal: boolean;
}

/** One running confinement. */
/** The end of a window, as far as it decides whether to look at memory. */
export interface LookOccasion {
  readonly nowMs: number;
  readonly logging: Logging;
  /** Counters that were just read. */
  readonly stats: SandboxStats;
}

export interface Sandbox {
  readonly record: SandboxRecord;
  /** Id of its v2 cgroup: what the sensor keys by. */
  readonly cgroupId: bigint;
  /** Lets the first instruction run. Resolves when the runtime says that it does. */
  start(): Promise<void>;
  /** Writes CPU, memory and pids to the kernel and reads them back; synchronous: three writes, no process. */
  apply(live: LiveGrant): Effective;
  /** What the kernel holds now. */
  effective(): Effective;
  /** Stops every process of the sandbox; resolves when the kernel says so. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  isFrozen(): boolean;
  /** Sends a signal to the first process. */
  signal(signal: number): void;
  /** Ends every process of the sandbox, also frozen ones, and resolves when none is left. */
  kill(): Promise<void>;
  /** Resolves once the first process has ended. */
  wait(): Promise<Exit>;
  stats(): SandboxStats;
  /** What the last look at the memory of its processes found, once; null in most windows, and where the host sees none of it (gVisor). */
  takeMemoryLook(occasion: LookOccasion): MemoryLook | null;
  /** Attaches to the workload's standard streams; for `run -i -t`. */
  attachSocketPath(): string | null;
  /** Sets the size of the workload's terminal. */
  resizeTerminal(columns: number, rows: number): void;
  /** Removes everything that was made on the host for it. The sandbox must have ended; safe to call twice. */
  remove(): Promise<void>;
}

export interface Driver {
  readonly name: DriverName;
  readonly isolation: Isolation;
  /** Live fields that it can change while the code runs. */
  readonly applies: ReadonlySet<keyof LiveGrant>;
  /** What the sensor can see of a workload of this driver. */
  readonly telemetry: ReadonlySet<'cgroup' | 'network' | 'syscalls'>;
  /** Runs the runtime once, for real, with a time limit. */
  probe(): Promise<Probe>;
  /** Groups made, limits of the start-up quota written, runtime created; nothing of the workload has run yet. */
  create(launch: LaunchPart, startup: LiveGrant): Promise<Sandbox>;
  /** Finds a sandbox that outlived its supervisor; null when it has ended (its exit is then in the exit file). */
  adopt(record: SandboxRecord): Promise<Sandbox | null>;
  /** The exit of a sandbox that ended while nobody watched; null when unknown. */
  lastExit(record: SandboxRecord): Exit | null;
}

/** What a workload's network is attached with. */
export interface NetworkPlan {
  readonly id: string;
  readonly homeId: string;
  /** A process in the workload's network namespace. */
  readonly pid: number;
  readonly ports: readonly PortMapping[];
  /** Extra destinations that the policy allows although they are the host's own or other workloads': `10.0.0.5:5432/tcp`. */
  readonly allow: readonly string[];
}

/** Cumulative counters of one workload's link, and the destinations that its kernel set holds. */
export interface NetworkStats {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly droppedPackets: number;
  readonly destinations: readonly string[];
  /** Connections that the workload began, a try that the rules refuse each time that it is made. */
  readonly begunFlows: number;
  /** Of its connections, those that the other side refused: by a reset before they stood, or by an ICMP error. */
  readonly rebuffedFlows: number;
  /** Questions to the DNS over UDP, to whomever; all are counted, and the names of most can be read. */
  readonly questions: number;
  readonly questionsRead: number;
  /** Malformed, too many at a time, or asked while nobody read. */
  readonly questionsMissed: number;
  /** Names of the latest that were read, in the order in which they were asked for; attacker-controlled, cleaned, at most 256 characters each. */
  readonly recentNames: readonly string[];
}

/** The network of one home: one nft table, a link a workload. */
export interface Network extends AsyncDisposable {
  /** Makes the link, moves it into the namespace, gives it an address; in mode `isolated` until the first `setMode`. */
  attach(plan: NetworkPlan): Promise<{ readonly address: string; readonly hostLink: string }>;
  /** Takes effect at once, also for established connections. */
  setMode(id: string, mode: LiveGrant['network'], rateBitsPerSecond: number | null): Promise<void>;
  /** Mode as the kernel has it, read back. */
  mode(
    id: string,
  ): Promise<{ readonly network: LiveGrant['network']; readonly rateBitsPerSecond: number | null } | null>;
  /** One dump of the table for all workloads. */
  stats(): Promise<ReadonlyMap<string, NetworkStats>>;
  /** Frees the published ports of a workload that has ended, at once; the rest goes with `detach`. */
  unpublish(id: string): void;
  detach(id: string): Promise<void>;
  /** Takes over what an earlier supervisor of this home made, and removes what belongs to no id in `live`. */
  reconcile(live: ReadonlySet<string>): Promise<void>;
}
