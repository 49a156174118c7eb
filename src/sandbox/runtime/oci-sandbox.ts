// One running container of an OCI runtime: limits by its groups, start by its runtime, its end by conmon's exit file.
import { openSync, closeSync, writeSync, constants } from 'node:fs';
import { exitStatus } from '../../base/index.ts';
import type { MemoryLook } from '../../behaviour/index.ts';
import type { LiveGrant } from '../../policy/index.ts';
import type { CgroupGroup } from '../cgroup/group.ts';
import {
  type Effective,
  type Exit,
  type LookOccasion,
  type Sandbox,
  SandboxError,
  type SandboxRecord,
  type SandboxStats,
} from '../driver.ts';
import { readExitFile, runLayout } from './conmon.ts';
import type { LayerWrites } from '../rootfs/writable-layer.ts';
import { type LookQueue, MemoryWatch } from '../telemetry/memory-watch.ts';
import type { ExitWatch } from './exit-watch.ts';
import { isSameProcess } from './process-identity.ts';

/** What a driver hands over when it has made or found a container. */
export interface OciSandboxParts {
  readonly record: SandboxRecord;
  readonly group: CgroupGroup;
  readonly exitWatch: ExitWatch;
  /** Opens the count of what is written to the writable layer; some milliseconds, which no start waits for. */
  readonly openWrites: () => LayerWrites;
  /** Threads of the runtime itself that share the group with the workload's; not part of what is granted. */
  readonly pidsOfRuntime: number;
  readonly terminal: boolean;
  /** Where looks at its memory wait for their turn; null when its processes are not the workload's own. */
  readonly looks: LookQueue | null;
  /** False for a sandbox that waits for its `start`; true for one that was found running. */
  readonly isStarted: boolean;
  /** The runtime needs CPU of the workload's grant to start it: that of the first second is given at once. */
  readonly isHeavyStart: boolean;
  readonly start: (ended: AbortSignal) => Promise<void>;
  /** Takes the monitor out of the groups, where it was to have its children born there. */
  readonly leave: () => Promise<void>;
  /** Removes what was made on the host, the group included. */
  readonly remove: () => Promise<void>;
}

export class OciSandbox implements Sandbox {
  readonly record: SandboxRecord;
  readonly cgroupId: bigint;
  readonly #parts: OciSandboxParts;
  readonly #memory: MemoryWatch | null;
  readonly #exit: Promise<Exit>;
  readonly #ended = new AbortController();
  #isRemoved = false;
  /** What was applied last, while it has not started. */
  #beforeStart: LiveGrant | null = null;
  #isStarted: boolean;
  #writes: LayerWrites | null = null;
  /** The monitor's way out of the groups, once it is under way. */
  #leaving: Promise<void> | null = null;

  constructor(parts: OciSandboxParts) {
    this.record = parts.record;
    this.cgroupId = BigInt(parts.record.cgroupId);
    this.#parts = parts;
    this.#memory = parts.looks === null ? null : new MemoryWatch(parts.looks, () => parts.group.processes());
    this.#isStarted = parts.isStarted;
    this.#exit = parts.exitWatch.exited.then((exit) => {
      this.#ended.abort();
      return withMemoryVerdict(exit, this.#isRemoved ? 0 : parts.group.stats().oomKills);
    });
  }

  async start(): Promise<void> {
    await this.#parts.start(this.#ended.signal);
    void this.#letMonitorGo();
    this.#isStarted = true;
    if (this.#beforeStart !== null && this.#parts.exitWatch.current() === null) this.apply(this.#beforeStart);
    this.#beforeStart = null;
  }

  apply(live: LiveGrant): Effective {
    const { group, pidsOfRuntime, isHeavyStart } = this.#parts;
    const isStart = !this.#isStarted && isHeavyStart;
    if (isStart) this.#beforeStart = live;
    return this.#withoutRuntime(group.apply({ ...live, pids: live.pids + pidsOfRuntime, isStart }));
  }

  effective(): Effective {
    return this.#withoutRuntime(this.#parts.group.effective());
  }

  async freeze(): Promise<void> {
    await this.#letMonitorGo();
    await this.#parts.group.freeze();
  }

  async thaw(): Promise<void> {
    await this.#parts.group.thaw();
  }

  isFrozen(): boolean {
    return this.#parts.group.isFrozen();
  }

  /** gVisor's sandbox process hands signals on to the workload's first process. */
  signal(signal: number): void {
    if (this.#parts.exitWatch.current() !== null || !this.#isAlive()) throw this.#gone();
    process.kill(this.record.pid, signal);
  }

  async kill(): Promise<void> {
    await this.#letMonitorGo();
    await this.#parts.group.kill();
    await this.#exit;
  }

  wait(): Promise<Exit> {
    return this.#exit;
  }

  stats(): SandboxStats {
    if (this.#isStarted) this.#writes ??= this.#parts.openWrites();
    const stats = this.#parts.group.stats();
    // What the kernel writes back later it charges to nobody in v1: the layer's own device counts it.
    // Threads of the runtime are within what it was given beside the grant, and say nothing of the workload.
    const pids = this.#parts.pidsOfRuntime === 0 ? stats.pids : Math.max(1, stats.pids - this.#parts.pidsOfRuntime);
    return { ...stats, pids, writeBytes: Math.max(stats.writeBytes, this.#writes?.bytes() ?? 0) };
  }

  takeMemoryLook(occasion: LookOccasion): MemoryLook | null {
    return this.#isStarted && this.#memory !== null ? this.#memory.take(occasion) : null;
  }

  attachSocketPath(): string | null {
    return this.#parts.exitWatch.current() === null ? runLayout.attachSocket(this.record.runDir) : null;
  }

  resizeTerminal(columns: number, rows: number): void {
    if (!this.#parts.terminal) return;
    // conmon reads "<rows> <columns>" from this FIFO; without O_NONBLOCK a dead conmon would hold us.
    const path = runLayout.windowSize(this.record.runDir);
    const descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      writeSync(descriptor, `${rows} ${columns}\n`);
    } finally {
      closeSync(descriptor);
    }
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return;
    if (this.#isAlive()) {
      throw new SandboxError('SANDBOX_CREATE', `sandbox ${this.record.id} still runs and cannot be removed`, {
        hint: 'Kill it first.',
      });
    }
    this.#writes?.[Symbol.dispose]();
    await this.#parts.remove();
    this.#isRemoved = true;
    this.#parts.exitWatch[Symbol.dispose]();
  }

  /** The first instruction does not wait for it: a move to another group can take the kernel some milliseconds. */
  #letMonitorGo(): Promise<void> {
    // A monitor that stays is frozen or ended with the rest, and the end is found out without it: no reason not to go on.
    this.#leaving ??= this.#parts.leave().catch(() => undefined);
    return this.#leaving;
  }

  #isAlive(): boolean {
    return isSameProcess(this.record.pid, this.record.pidStartTicks);
  }

  #withoutRuntime(effective: Effective): Effective {
    return { ...effective, pids: effective.pids - this.#parts.pidsOfRuntime };
  }

  #gone(): SandboxError {
    return new SandboxError('SANDBOX_GONE', `the first process of sandbox ${this.record.id} has ended`, {
      exit: exitStatus.unavailable,
      hint: 'Its exit code is in `provost inspect`.',
    });
  }
}

const SIGKILL = 9;

/** The kernel kills for memory with SIGKILL, and counts it in the group. */
export function withMemoryVerdict(exit: Omit<Exit, 'oomKilled'>, oomKills: number): Exit {
  return { ...exit, oomKilled: exit.signal === SIGKILL && oomKills > 0 };
}

/** The exit of a sandbox whose supervisor died first. */
export function exitLeftBehind(record: SandboxRecord, oomKills: number): Exit | null {
  const exit = readExitFile(record.runDir, record.id);
  return exit === null ? null : withMemoryVerdict(exit, oomKills);
}
