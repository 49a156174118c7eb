// The contract of the sensor: system calls and audit events of every workload, keyed by cgroup id.
import type { AuditEvent } from '../behaviour/index.ts';
import type { Logging } from '../policy/index.ts';

/** What the sensor saw of one cgroup since the last read. */
export interface SensorReading {
  readonly syscalls: ReadonlyMap<number, number>;
  /** Calls of the other word size; absent where they are not told apart. */
  readonly compatCalls?: number;
  /** 3-grams by bucket, where logging asks for them and the sensor can count them. */
  readonly grams?: ReadonlyMap<number, number>;
  readonly audit: readonly AuditEvent[];
  /** Share of the time that it was attached × share of events not lost, 0..1. */
  readonly kept: number;
}

/** One sensor for the host; it dies with its process. */
export interface Sensor extends AsyncDisposable {
  readonly kind: 'bpf' | 'bpftrace' | 'none';
  /** Why it sees less than everything; null when it does. Both change while it starts, ends and is started anew. */
  readonly limitation: string | null;
  /** Settles once it sees, or it is known that it will not; see `limitation`. */
  readonly ready: Promise<void>;
  watch(cgroupId: bigint, logging: Logging): void;
  unwatch(cgroupId: bigint): void;
  /** Takes what was counted for each watched cgroup since the last call. */
  read(): ReadonlyMap<bigint, SensorReading>;
}
