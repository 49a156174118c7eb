// The shape of telemetry: what one workload did in one window. Plain numbers, so that a window can be recorded and replayed.

/** A security-relevant thing that was seen with its arguments: exec, connect, open of a watched path … */
export interface AuditEvent {
  readonly timeMs: number;
  readonly kind: 'exec' | 'connect' | 'bind' | 'destination' | 'question' | 'open' | 'call';
  /** The calling process's name. */
  readonly comm: string;
  readonly pid: number;
  /** Path, address or call name; attacker-controlled: at most 256 characters, control characters removed. */
  readonly target: string;
  /** What else is known of a call: its arguments and its result, or the path that it was given; bounded and cleaned like the target. */
  readonly detail?: string;
}

/** What the memory of a workload's processes looked like at the end of a window; a bounded number of processes, and of each a bounded part. */
export interface MemoryLook {
  /** Executable memory that belongs to no file (code that was made at run time), and such of any kind that can be written at the same time. */
  readonly anonymousExecutableBytes: number;
  readonly writableExecutableBytes: number;
  /** Pages of program files that were changed in memory since they were loaded. */
  readonly changedCodePages: number;
  /** Names of processes that have any of these; attacker-controlled, cleaned; at most eight. */
  readonly processes: readonly string[];
  /** Memory touched since the look before (working set), and how long ago that was; absent at the first look and where nobody asked. */
  readonly touchedBytes?: number;
  readonly touchedWithinMs?: number;
  /** False when there was more than a look may cost. */
  readonly isWhole: boolean;
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
  /** By how much memory is more than at the start of the window; absent in windows of earlier builds. */
  readonly memoryGrownBytes?: number;
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
  /** Connections that it began, and those that the other side refused; exact. These five are absent where nobody looked. */
  readonly begunFlows?: number;
  readonly rebuffedFlows?: number;
  /** Questions to the DNS over UDP, exact; and of these, those whose names could not be read. */
  readonly dnsQuestions?: number;
  readonly dnsMissed?: number;
  /** The names that could be read, each once, in the order in which they were asked for; at most 256 of at most 256 characters. */
  readonly dnsNames?: readonly string[];
  /** Sampled: absent in most windows, and in all of a workload that does nothing. */
  readonly memoryLook?: MemoryLook;
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
