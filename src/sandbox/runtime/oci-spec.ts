// The OCI runtime configuration of a sandbox: pure, so that `run --dry-run` can print what would be started.
import type { LaunchPart, LaunchProfileName } from '../driver.ts';
import { ID_RANGE_SIZE, type ImageUser } from './image-user.ts';
import { type SeccompProfile, seccompProfile } from './seccomp.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

interface Rlimit {
  readonly type: string;
  readonly hard: number;
  readonly soft: number;
}

/** The part of an OCI runtime configuration that we write. */
export interface OciConfig {
  readonly ociVersion: string;
  readonly process: {
    readonly terminal: boolean;
    readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: Readonly<Record<'bounding' | 'effective' | 'permitted', readonly string[]>>;
    readonly rlimits: readonly Rlimit[];
    readonly noNewPrivileges: true;
  };
  readonly root: { readonly path: string; readonly readonly: false };
  readonly hostname: string;
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly cgroupsPath: string;
    readonly namespaces: readonly { readonly type: string }[];
    readonly uidMappings: readonly IdMapping[];
    readonly gidMappings: readonly IdMapping[];
    readonly sysctl: Readonly<Record<string, string>>;
    readonly resources: { readonly devices: readonly { readonly allow: false; readonly access: 'rwm' }[] };
    readonly seccomp: SeccompProfile;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly rootfsPropagation: 'private';
  };
}

/** What the driver found or made before the configuration can be written. */
export interface OciSpecInput {
  readonly launch: LaunchPart;
  readonly user: ImageUser;
  /** The mounted root, absolute. */
  readonly rootDir: string;
  /** Absolute within each controller's hierarchy, the same in all. */
  readonly cgroupsPath: string;
  /** The hard limit of open files that the supervisor has: without CAP_SYS_RESOURCE nothing can be above it. */
  readonly openFilesMax: number;
  /** Mounts of the driver's own: name resolution, secrets, covers over what must not be seen. */
  readonly ownMounts: readonly OciMount[];
}

const OCI_VERSION = '1.0.2';

/** What servers in stock images need to open their logs, take a port and leave root; all of it within the user namespace. */
const STRICT_CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_NET_BIND_SERVICE', 'CAP_SETGID', 'CAP_SETUID'];

/** Docker's default without MKNOD, NET_RAW, SYS_CHROOT, AUDIT_WRITE, SETFCAP and SETPCAP. */
const STANDARD_CAPABILITIES = [...STRICT_CAPABILITIES, 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL'].toSorted();

const NAMESPACES = ['pid', 'ipc', 'uts', 'mount', 'network', 'user', 'cgroup'];

/** Bytes of /dev itself: it holds a dozen nodes and links. */
const DEV_SIZE = '1m';
/** As Docker gives; pages in it are charged to the workload's memory. */
const SHM_SIZE = '64m';

/** Paths that tell about the host or its hardware. As Docker masks, with the pressure, topology and module views of /sys. */
const MASKED_PATHS = [
  'acpi',
  'asound',
  'interrupts',
  'kallsyms',
  'kcore',
  'keys',
  'latency_stats',
  'sched_debug',
  'scsi',
  'timer_list',
  'timer_stats',
  'kpagecount',
  'kpageflags',
  'vmallocinfo',
]
  .map((name) => `/proc/${name}`)
  .concat('/sys/firmware', '/sys/devices/virtual/powercap', '/sys/kernel/debug', '/sys/kernel/security', '/sys/fs/bpf');

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Images without a PATH get Docker's. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Builds the whole configuration of a sandbox. The same input gives the same configuration. */
export function ociSpec(input: OciSpecInput): OciConfig {
  const { launch, user } = input;
  const idMapping = { containerID: 0, hostID: launch.idRangeFirst, size: ID_RANGE_SIZE };
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: launch.terminal,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args: launch.argv,
      env: environment(launch, user),
      cwd: launch.workingDir,
      capabilities: capabilitySets(launch.launchProfile, user),
      rlimits: rlimits(input.openFilesMax),
      noNewPrivileges: true,
    },
    root: { path: input.rootDir, readonly: false },
    hostname: launch.hostname,
    mounts: [...systemMounts(), ...input.ownMounts, ...launch.mounts.map(bindMount)],
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: NAMESPACES.map((type) => ({ type })),
      uidMappings: [idMapping],
      gidMappings: [idMapping],
      // The namespace's own ports are nobody else's: a workload that left root may still take port 80, as with Docker.
      sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      seccomp: seccompProfile(launch.launchProfile),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      rootfsPropagation: 'private',
    },
  };
}

/** The capabilities of a launch profile. A user other than root keeps them in the bounding set only, as execve would leave them. */
function capabilitySets(profile: LaunchProfileName, user: ImageUser): OciConfig['process']['capabilities'] {
  const bounding = profile === 'strict' ? STRICT_CAPABILITIES : STANDARD_CAPABILITIES;
  const held = user.uid === 0 ? bounding : [];
  return { bounding, effective: held, permitted: held };
}

function rlimits(openFilesMax: number): Rlimit[] {
  return [
    { type: 'RLIMIT_CORE', hard: 0, soft: 0 },
    { type: 'RLIMIT_NOFILE', hard: openFilesMax, soft: openFilesMax },
  ];
}

function environment(launch: LaunchPart, user: ImageUser): string[] {
  const names = new Set(launch.env.map((entry) => entry.slice(0, Math.max(0, entry.indexOf('=')))));
  const defaults: [name: string, value: string][] = [
    ['PATH', DEFAULT_PATH],
    ['HOME', user.home],
    ['HOSTNAME', launch.hostname],
    ...(launch.terminal ? ([['TERM', 'xterm']] satisfies [string, string][]) : []),
  ];
  return [...defaults.filter(([name]) => !names.has(name)).map(([name, value]) => `${name}=${value}`), ...launch.env];
}

function systemMounts(): OciMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    tmpfs('/dev', ['nosuid', 'noexec', 'strictatime', 'mode=755', `size=${DEV_SIZE}`]),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    tmpfs('/dev/shm', ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${SHM_SIZE}`]),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ];
}

/** A tmpfs mount at `destination`. */
export function tmpfs(destination: string, options: readonly string[]): OciMount {
  return { destination, type: 'tmpfs', source: 'tmpfs', options };
}

/** Shows a host path inside, without set-uid programs or devices. */
export function bindMount(mount: { source: string; target: string; readOnly: boolean }): OciMount {
  const access = mount.readOnly ? 'ro' : 'rw';
  return {
    destination: mount.target,
    type: 'bind',
    source: mount.source,
    options: ['bind', 'nosuid', 'nodev', 'rprivate', access],
  };
}
