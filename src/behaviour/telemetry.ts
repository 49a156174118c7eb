// The shape of telemetry: what one workload did in one window. Plain numbers, so that a window can be recorded and replayed.

/** A security-relevant thing that was seen with its arguments: exec, connect, open of a watched path … */
export interface AuditEvent {
  readonly timeMs: number;
  readonly kind: 'exec' | 'connect' | 'bind' | 'destination' | 'open' | 'call';
  /** The calling process's name. */
  readonly comm: string;
  readonly pid: number;
  /** Path, address or call name; attacker-controlled: at most 256 characters, control characters removed. */
  readonly target: string;
  /** What else is known of a call: its arguments and its result, or the path that it was given; bounded and cleaned like the target. */
  readonly detail?: string;
}

/** What one workload did in one window. Counts are of this window alone; gauges (memory, pids) are at its end. */
export interface Window {
  readonly startMs: number;
  readonly durationMs: number;
  readonly cpuMs: number;
  /** Time that the group wanted CPU and was held back by its quota. */
  readonly throttledMs: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  readonly majorFaults: number;
  readonly minorFaults: number;
  /** Times that the memory limit was hit; times that the kernel killed for it. */
  readonly memoryLimitHits: number;
  readonly oomKills: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly pids: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Packets that the network grant refused or shaped away. */
  readonly droppedPackets: number;
  /** `10.1.2.3:443/tcp`, first seen in this window. */
  readonly newDestinations: readonly string[];
  /** System call number (of the host's architecture) → count; empty when no sensor sees calls. */
  readonly syscalls: ReadonlyMap<number, number>;
  /** Calls of the other word size (of 32-bit programs), which are in `syscalls` under no number. */
  readonly compatCalls?: number;
  /** 3-grams of each thread's calls by bucket (see `gramBucket`); absent where logging does not ask for them or the sensor cannot count them. */
  readonly grams?: ReadonlyMap<number, number>;
  readonly audit: readonly AuditEvent[];
  /** Share of the window observed × share of its system calls not lost; 0.5 where only cgroup figures exist. */
  readonly coverage: number;
}
