// The numbers that a window is compared by: how much it did of each kind, and in what proportion.
import { type CallArchitecture, syscallNumbers } from './syscall-names.ts';
import type { Window } from './telemetry.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Groups of system calls; what is in none counts in the total alone. */
const callGroups = {
  file: 'open openat openat2 read write pread64 pwrite64 readv writev close stat fstat lstat newfstatat statx lseek access faccessat faccessat2 getdents64 unlink unlinkat rename renameat renameat2 fsync fdatasync ftruncate mkdir mkdirat readlink readlinkat fcntl',
  network:
    'socket connect accept accept4 bind listen sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown setsockopt getsockopt getpeername getsockname sendfile',
  process: 'clone clone3 fork vfork execve execveat wait4 waitid exit exit_group kill tgkill tkill',
  memory: 'mmap munmap mprotect mremap brk madvise',
  waiting: 'futex poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 nanosleep clock_nanosleep pause',
} as const;

type CallGroup = keyof typeof callGroups;
const groupNames = Object.keys(callGroups) as CallGroup[];

/** How much of something a window did. */
export interface Volume {
  /** For people, with its unit. */
  readonly name: string;
  /** Amounts up to this are never unusual: the noise of any program. */
  readonly floor: number;
}

/** In the order of {@link Features.volumes}; a change of order needs a new model version. */
export const volumes: readonly Volume[] = [
  { name: 'ms of CPU a second', floor: 50 },
  { name: 'page faults a second', floor: 500 },
  { name: 'page faults from disk a second', floor: 50 },
  { name: 'bytes read a second', floor: MIB },
  { name: 'bytes written a second', floor: MIB },
  { name: 'bytes received a second', floor: 64 * KIB },
  { name: 'bytes sent a second', floor: 64 * KIB },
  { name: 'packets received a second', floor: 100 },
  { name: 'packets sent a second', floor: 100 },
  { name: 'new destinations a second', floor: 3 },
  { name: 'system calls a second', floor: 2000 },
  { name: 'file calls a second', floor: 1000 },
  { name: 'network calls a second', floor: 500 },
  { name: 'process calls a second', floor: 20 },
  { name: 'memory calls a second', floor: 500 },
  { name: 'programs started a second', floor: 3 },
  { name: 'bytes of memory', floor: 16 * MIB },
  { name: 'processes', floor: 8 },
];

/** Shares of the calls, in the order of {@link Features.shares}. */
export const shareNames: readonly string[] = groupNames.map((name) => `${name} calls`);

/** With fewer calls than this, a share is chance. */
const SHARE_CALLS_MIN = 200;

export interface Features {
  readonly volumes: readonly number[];
  /** 0..1 each; null when there were too few calls. */
  readonly shares: readonly number[] | null;
}

const groupsOf: Readonly<Record<CallArchitecture, ReadonlyMap<number, CallGroup>>> = {
  x64: groupTable('x64'),
  arm64: groupTable('arm64'),
};

/** Reduces a window to numbers: rates per second, gauges as they are. Integer sums, so the order of a map does not matter. */
export function featuresOf(window: Window, architecture: CallArchitecture): Features {
  const calls = countCalls(window.syscalls, architecture);
  const seconds = (window.durationMs > 0 ? window.durationMs : 1) / 1000;
  const rate = (amount: number): number => amount / seconds;
  const programs = window.audit.filter(({ kind }) => kind === 'exec').length;
  return {
    volumes: [
      rate(window.cpuMs),
      rate(window.minorFaults),
      rate(window.majorFaults),
      rate(window.readBytes),
      rate(window.writeBytes),
      rate(window.rxBytes),
      rate(window.txBytes),
      rate(window.rxPackets),
      rate(window.txPackets),
      rate(window.newDestinations.length),
      rate(calls.total),
      rate(calls.groups.file),
      rate(calls.groups.network),
      rate(calls.groups.process),
      rate(calls.groups.memory),
      rate(programs),
      window.memoryBytes,
      window.pids,
    ],
    shares: calls.total < SHARE_CALLS_MIN ? null : groupNames.map((name) => calls.groups[name] / calls.total),
  };
}

interface CallTotals {
  total: number;
  readonly groups: Record<CallGroup, number>;
}

function countCalls(syscalls: ReadonlyMap<number, number>, architecture: CallArchitecture): CallTotals {
  const table = groupsOf[architecture];
  const totals: CallTotals = { total: 0, groups: { file: 0, network: 0, process: 0, memory: 0, waiting: 0 } };
  for (const [number, count] of syscalls) {
    totals.total += count;
    const group = table.get(number);
    if (group !== undefined) totals.groups[group] += count;
  }
  return totals;
}

function groupTable(architecture: CallArchitecture): ReadonlyMap<number, CallGroup> {
  return new Map(
    groupNames.flatMap((group) =>
      syscallNumbers(callGroups[group].split(' '), architecture).map((number): [number, CallGroup] => [number, group]),
    ),
  );
}
