// Two readings of cumulative counters in, one window out: pure.
import type { AuditEvent, MemoryLook, Window } from '../../behaviour/index.ts';
import type { DriverName, NetworkStats, SandboxStats } from '../driver.ts';
import type { SensorReading } from '../sensor.ts';

/** What is known of a window whose system calls nobody saw. */
const CGROUP_ONLY_COVERAGE = 0.5;
/** Share of one core from which on a window is active. */
const ACTIVE_CPU_SHARE = 0.01;
/** New destinations that a window carries: far above what any rule counts to. */
const DESTINATIONS_MAX = 1024;
/** Names asked of the DNS that a window carries, each once. */
const DNS_NAMES_MAX = 256;
/** Of the new destinations, and of the names, so many are audit events too. */
const HOST_END_EVENTS_MAX = 64;
/** Under gVisor the host sees the calls of its kernel, not those of the workload: they say nothing of it. */
const UNSEEN_DRIVERS: ReadonlySet<DriverName> = new Set(['gvisor']);

const US_PER_MS = 1000;

/** Counters at one end of a window; `network` is null where there is no link, or its dump failed. */
export interface CounterSnapshot {
  readonly stats: SandboxStats;
  readonly network: NetworkStats | null;
}

/** Both ends of a window and what the sensor saw in between; `reading` is null when it was not asked. */
export interface WindowSources {
  readonly startMs: number;
  readonly endMs: number;
  readonly before: CounterSnapshot;
  readonly after: CounterSnapshot;
  readonly reading: SensorReading | null;
  /** What a look at the memory of its processes found; null or absent when nobody looked in this window. */
  readonly memory?: MemoryLook | null;
  readonly driver: DriverName;
}

/**
 * Makes the window between two readings. A counter that went back was started anew: what it says now is what was counted.
 *
 * @returns a window whose counts are of it alone; coverage is the sensor's `kept`, and never below what cgroup figures give
 */
export function collectWindow(sources: WindowSources): Window {
  const { startMs, endMs, before, after, driver } = sources;
  const reading = UNSEEN_DRIVERS.has(driver) ? null : sources.reading;
  const newDestinations = arrivals(before.network, after.network);
  const asks = asksOf(before.network, after.network);
  return {
    startMs,
    durationMs: Math.max(0, endMs - startMs),
    cpuMs: grown(before.stats.cpuUsec, after.stats.cpuUsec) / US_PER_MS,
    throttledMs: grown(before.stats.throttledUsec, after.stats.throttledUsec) / US_PER_MS,
    memoryBytes: after.stats.memoryBytes,
    memoryPeakBytes: after.stats.memoryPeakBytes,
    memoryGrownBytes: Math.max(0, after.stats.memoryBytes - before.stats.memoryBytes),
    majorFaults: grown(before.stats.majorFaults, after.stats.majorFaults),
    minorFaults: grown(before.stats.minorFaults, after.stats.minorFaults),
    memoryLimitHits: grown(before.stats.memoryLimitHits, after.stats.memoryLimitHits),
    oomKills: grown(before.stats.oomKills, after.stats.oomKills),
    readBytes: grown(before.stats.readBytes, after.stats.readBytes),
    writeBytes: grown(before.stats.writeBytes, after.stats.writeBytes),
    pids: after.stats.pids,
    ...trafficOf(before.network, after.network),
    newDestinations,
    ...asks,
    ...(sources.memory === undefined || sources.memory === null ? {} : { memoryLook: sources.memory }),
    syscalls: reading?.syscalls ?? new Map<number, number>(),
    ...(reading?.compatCalls === undefined ? {} : { compatCalls: reading.compatCalls }),
    ...(reading?.grams === undefined ? {} : { grams: reading.grams }),
    audit: [
      ...(reading?.audit ?? []),
      ...hostEndEvents('destination', newDestinations, endMs),
      ...hostEndEvents('question', asks?.dnsNames ?? [], endMs),
    ],
    coverage: Math.max(CGROUP_ONLY_COVERAGE, reading?.kept ?? 0),
  };
}

/** True when at least 1 % of a core was used, or there was any packet or I/O. */
export function isActive(window: Window): boolean {
  return (
    window.cpuMs >= window.durationMs * ACTIVE_CPU_SHARE ||
    window.rxPackets + window.txPackets > 0 ||
    window.readBytes + window.writeBytes > 0
  );
}

function grown(before: number, after: number): number {
  return after >= before ? after - before : after;
}

type Traffic = Pick<Window, 'rxBytes' | 'txBytes' | 'rxPackets' | 'txPackets' | 'droppedPackets'>;

const noTraffic: Traffic = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, droppedPackets: 0 };

/** A link that was not there at the start of the window has counted everything within it. */
function trafficOf(before: NetworkStats | null, after: NetworkStats | null): Traffic {
  if (after === null) return noTraffic;
  const from = before ?? noTraffic;
  return {
    rxBytes: grown(from.rxBytes, after.rxBytes),
    txBytes: grown(from.txBytes, after.txBytes),
    rxPackets: grown(from.rxPackets, after.rxPackets),
    txPackets: grown(from.txPackets, after.txPackets),
    droppedPackets: grown(from.droppedPackets, after.droppedPackets),
  };
}

function arrivals(before: NetworkStats | null, after: NetworkStats | null): readonly string[] {
  if (after === null || after.destinations === before?.destinations) return [];
  const known = new Set(before?.destinations);
  return after.destinations.filter((destination) => !known.has(destination)).slice(0, DESTINATIONS_MAX);
}

type Asks = Required<Pick<Window, 'begunFlows' | 'rebuffedFlows' | 'dnsQuestions' | 'dnsMissed' | 'dnsNames'>>;

/** Absent without a link: that nobody looked is told apart from that nothing was asked. */
function asksOf(before: NetworkStats | null, after: NetworkStats | null): Asks | null {
  if (after === null) return null;
  const read = grown(before?.questionsRead ?? 0, after.questionsRead);
  const names = after.recentNames;
  return {
    begunFlows: grown(before?.begunFlows ?? 0, after.begunFlows),
    rebuffedFlows: grown(before?.rebuffedFlows ?? 0, after.rebuffedFlows),
    dnsQuestions: grown(before?.questions ?? 0, after.questions),
    dnsMissed: grown(before?.questionsMissed ?? 0, after.questionsMissed),
    dnsNames: [...new Set(names.slice(Math.max(0, names.length - read)))].slice(0, DNS_NAMES_MAX),
  };
}

function hostEndEvents(kind: 'destination' | 'question', targets: readonly string[], timeMs: number): AuditEvent[] {
  // Who sent the packet is not known at the host's end of the link.
  return targets.slice(0, HOST_END_EVENTS_MAX).map((target) => ({ timeMs, kind, comm: '', pid: 0, target }));
}
