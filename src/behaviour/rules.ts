// What needs no learning: behaviour that is unmistakable in one window, each with how grave it is and a reason for people.
import type { Severity, Violation } from '../trust/index.ts';
import { featuresOf } from './features.ts';
import { askingViolations, type AskingLimits, memoryViolations } from './memory-rules.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import { programViolations } from './program-rules.ts';
import { reachingCalls } from './reaching-calls.ts';
import { type CallArchitecture, syscallNumbers } from './syscall-names.ts';
import type { AuditEvent, Window } from './telemetry.ts';

/** Thresholds of the rules. */
export interface BehaviourSettings extends AskingLimits {
  /** New destinations a second that are a scan, and the fewest that are one in a shorter window. */
  readonly scanDestinationsPerSecond: number;
  readonly scanDestinationsMin: number;
  /** New ports of one host in one window that are a scan. */
  readonly scanPortsMin: number;
  /** Share of the process limit from which on growth is a fork bomb, and the process starts a second that it takes. */
  readonly forkPidsShare: number;
  readonly forkStartsPerSecond: number;
  /** Share of the CPU grant, and calls a CPU second below which it is spent on arithmetic alone. */
  readonly miningCpuShare: number;
  readonly miningCallsPerCpuSecond: number;
  /** Ends of watched files that this workload may open: `etc/shadow` for a login service. */
  readonly allowedFiles: readonly string[];
}

/** What holds unless somebody says otherwise. */
export const behaviourSettings: BehaviourSettings = {
  // A browser that opens a heavy page reaches about 30 hosts in its first second.
  scanDestinationsPerSecond: 64,
  scanDestinationsMin: 16,
  scanPortsMin: 16,
  forkPidsShare: 0.9,
  // `make -j` on two cores starts about 150 processes a second, but keeps few of them.
  forkStartsPerSecond: 20,
  miningCpuShare: 0.9,
  // Compression and video coding make some hundreds; a miner about ten.
  miningCallsPerCpuSecond: 100,
  refusedPerSecond: 32,
  refusedMin: 16,
  // Names of hosts in content networks have up to 40 characters, and a page asks for few of one zone.
  tunnelNamesMin: 12,
  tunnelCharactersMin: 40,
  allowedFiles: [],
};

/** The part of a grant that rules ask about. */
export interface Limits {
  readonly pids: number;
  readonly cpu: { readonly millicores: number };
}

interface RuleOptions {
  readonly grant: Limits | null;
  readonly settings: BehaviourSettings;
}

/** Every rule that the window breaks, gravest first. */
export function violationsOf(model: Model, window: Window, options: RuleOptions): Violation[] {
  const found = [
    ...fileViolations(window.audit, options.settings),
    ...callViolations(model, window),
    ...socketViolations(window.audit),
    ...scanViolations(window, options.settings),
    ...forkViolations(model, window, options),
    ...programViolations(model, window.audit),
    ...miningViolations(model, window, options),
    ...memoryViolations(model, window),
    ...askingViolations(window, options.settings),
  ];
  const grave = (violation: Violation): number => SEVERITIES.indexOf(violation.severity);
  return found.sort((a, b) => grave(b) - grave(a));
}

const SEVERITIES: readonly Severity[] = ['low', 'medium', 'high', 'critical'];

/** Ways from a sandbox to the host's kernel; the rest of the watched files hold credentials. */
const KERNEL_FILES = /\/(?:kcore|core_pattern|sysrq-trigger|release_agent)(?: \(refused\))?$/;
/** Programs, and the list of what each of them loads: who changes them runs in other people's name. */
const PROGRAM_FILES = /(?:^|\/|…)(?:s?bin\/[^/]+|etc\/ld\.so\.preload)(?: \(refused\))?$/;
const PROCESS_MEMORY = /\/mem(?: \(refused\))?$/;

function fileViolations(audit: readonly AuditEvent[], { allowedFiles }: BehaviourSettings): Violation[] {
  const found = new Map<string, Violation>();
  for (const { kind, comm, target } of audit) {
    if (kind !== 'open' || found.has(target)) continue;
    if (allowedFiles.some((end) => target.endsWith(`/${end}`))) continue;
    found.set(target, fileViolation(comm, target));
  }
  return [...found.values()];
}

function fileViolation(comm: string, target: string): Violation {
  if (KERNEL_FILES.test(target)) {
    return {
      kind: 'escape-attempt',
      severity: 'critical',
      reason: `'${comm}' opened ${target}, which leads to the host`,
    };
  }
  if (PROCESS_MEMORY.test(target)) {
    return {
      kind: 'escape-attempt',
      severity: 'medium',
      reason: `'${comm}' opened the memory of a process: ${target}`,
    };
  }
  const isRefused = target.endsWith(' (refused)');
  if (PROGRAM_FILES.test(target)) {
    const reason = `'${comm}' ${isRefused ? 'tried to write' : 'wrote'} a program: ${target}`;
    return { kind: 'program-write', severity: isRefused ? 'medium' : 'high', reason };
  }
  const reason = `'${comm}' ${isRefused ? 'tried to open' : 'opened'} credentials: ${target}`;
  return { kind: 'credential-access', severity: isRefused ? 'medium' : 'high', reason };
}

interface ReachingCall {
  readonly name: string;
  readonly number: number | undefined;
  readonly severity: Severity;
}

/** Looked up once: every window of every workload asks. */
const graveCalls: Readonly<Record<CallArchitecture, readonly ReachingCall[]>> = {
  x64: graveCallsOf('x64'),
  arm64: graveCallsOf('arm64'),
};
const startCalls: Readonly<Record<CallArchitecture, readonly number[]>> = {
  x64: syscallNumbers(['fork', 'vfork', 'clone', 'clone3'], 'x64'),
  arm64: syscallNumbers(['fork', 'vfork', 'clone', 'clone3'], 'arm64'),
};

function graveCallsOf(architecture: CallArchitecture): readonly ReachingCall[] {
  return [...reachingCalls].flatMap(([name, severity]) =>
    severity === null ? [] : [{ name, severity, number: syscallNumbers([name], architecture)[0] }],
  );
}

/** Counts name every call; the audit events tell who made it, unless there were too many. */
function callViolations(model: Model, window: Window): Violation[] {
  const found: Violation[] = [];
  if (window.syscalls.size === 0 && window.audit.length === 0) return found;
  for (const { name, number, severity } of graveCalls[model.architecture]) {
    const caller = window.audit.find(({ kind, target }) => kind === 'call' && target === name);
    const count = number === undefined ? 0 : (window.syscalls.get(number) ?? 0);
    if (count === 0 && caller === undefined) continue;
    const who = caller === undefined ? 'a process' : `'${caller.comm}'`;
    const times = count > 1 ? ` ${count} times` : '';
    found.push({
      kind: 'escape-attempt',
      severity,
      reason: `${who} called ${name}${times}, which reaches out of a sandbox`,
    });
  }
  return found;
}

const ENGINE_SOCKET = /(?:^unix:|\/)(?:docker|containerd|crio|podman)\.sock$/;

function socketViolations(audit: readonly AuditEvent[]): Violation[] {
  const event = audit.find(({ kind, target }) => kind === 'connect' && ENGINE_SOCKET.test(target));
  if (event === undefined) return [];
  const reason = `'${event.comm}' spoke to a container engine, which owns the host: ${event.target}`;
  return [{ kind: 'engine-socket', severity: 'critical', reason }];
}

function scanViolations(window: Window, settings: BehaviourSettings): Violation[] {
  const { scanDestinationsPerSecond, scanDestinationsMin, scanPortsMin } = settings;
  const connects = window.audit.filter(({ kind, target }) => kind === 'connect' && !target.startsWith('unix:'));
  const seen = new Set([...window.newDestinations, ...connects.map(({ target }) => `${target}/tcp`)]);
  const needed = (scanDestinationsPerSecond * window.durationMs) / 1000;
  const hosts = new Map<string, number>();
  let ports = 0;
  for (const destination of seen) {
    const host = destination.slice(0, destination.lastIndexOf(':'));
    const count = (hosts.get(host) ?? 0) + 1;
    hosts.set(host, count);
    if (count > ports) ports = count;
  }
  const isWide = seen.size >= (needed > scanDestinationsMin ? needed : scanDestinationsMin);
  if (!isWide && ports < scanPortsMin) return [];
  const reason = `${seen.size} destinations within ${Math.round(window.durationMs)} ms, ${ports} ports of one host`;
  return [{ kind: 'port-scan', severity: 'high', reason }];
}

function forkViolations(model: Model, window: Window, { grant, settings }: RuleOptions): Violation[] {
  if (grant === null || window.pids < grant.pids * settings.forkPidsShare) return [];
  let starts = 0;
  for (const number of startCalls[model.architecture]) {
    starts += window.syscalls.get(number) ?? 0;
  }
  const isRising = starts * 1000 >= settings.forkStartsPerSecond * window.durationMs;
  // Where no sensor sees calls, a full process table is all there is to see.
  if (!isRising && window.syscalls.size > 0) return [];
  const reason = `${window.pids} processes of ${grant.pids} allowed, and ${starts} more starts in this window`;
  return [{ kind: 'fork-bomb', severity: 'high', reason }];
}

/** The shape is honest work too, so it weighs little: it is one window of all CPU and next to no calls, where little was normal. */
function miningViolations(model: Model, window: Window, { grant, settings }: RuleOptions): Violation[] {
  const hasCalls = window.syscalls.size > 0;
  if (grant === null || !hasCalls || model.windows < LEARNING_WINDOWS || window.durationMs <= 0) return [];
  const granted = (grant.cpu.millicores * window.durationMs) / 1000;
  const features = featuresOf(window, model.architecture);
  const cpuMsPerSecond = features.volumes[0] ?? 0;
  const normal = model.peaks[0]?.[1] ?? 0;
  const callsPerCpuSecond = ((features.volumes[10] ?? 0) * 1000) / (cpuMsPerSecond > 0 ? cpuMsPerSecond : 1);
  const isBusy = window.cpuMs >= granted * settings.miningCpuShare && cpuMsPerSecond > 4 * normal;
  if (!isBusy || callsPerCpuSecond >= settings.miningCallsPerCpuSecond) return [];
  const reason = `all CPU of the grant with ${Math.round(callsPerCpuSecond)} calls a CPU second, where ${Math.round(normal)} ms a second was normal`;
  return [{ kind: 'mining', severity: 'low', reason }];
}
