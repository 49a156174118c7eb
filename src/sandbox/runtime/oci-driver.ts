// What the drivers of OCI runtimes share: groups first, root, configuration, then conmon and the runtime in them; all undone when a step fails.
import { exitStatus } from '../../base/index.ts';
import type { Isolation, LiveGrant } from '../../policy/index.ts';
import { removeParents } from '../cgroup/group-folders.ts';
import { type CgroupGroup, makeGroup, openGroup } from '../cgroup/group.ts';
import { expectMoves, joinOurGroups } from '../cgroup/members.ts';
import type { CgroupLayout } from '../cgroup/layout.ts';
import {
  type Driver,
  type DriverName,
  type Exit,
  type LaunchPart,
  type Probe,
  type Sandbox,
  SandboxError,
  type SandboxRecord,
} from '../driver.ts';
import type { Kernel } from '../kernel/syscall.ts';
import { type Monitor, startMonitor } from './conmon.ts';
import { openExitWatch } from './exit-watch.ts';
import { exitLeftBehind, OciSandbox } from './oci-sandbox.ts';
import { isSameProcess, processStartTicks } from './process-identity.ts';
import { findInPath } from './runtime-probe.ts';
import { chooseRuntime, type ProbeMemory, type Runtime } from './runtimes.ts';
import { LookQueue } from '../telemetry/memory-watch.ts';
import { openLayerWrites } from '../rootfs/writable-layer.ts';
import { openStage, removeStage, scratchDirOf, type StageTools } from './stage.ts';

/** What a driver needs of its process. */
export interface DriverSettings extends StageTools {
  readonly layout: CgroupLayout;
  readonly memory: ProbeMemory;
}

/** How one OCI runtime differs from another. */
export interface OciRuntime {
  readonly name: DriverName;
  readonly isolation: Isolation;
  readonly telemetry: Driver['telemetry'];
  /** Threads of the runtime that run in the workload's groups. */
  readonly pidsOfRuntime: number;
  /** See `OciSandboxParts`. */
  readonly isHeavyStart: boolean;
  /** The monitor joins the groups, so that all that it starts is born there; else the runtime puts the container into them. */
  readonly isBornInGroups: boolean;
  /** Called while the runtime creates the container: what can be done of its start already. */
  readonly expectStart: (tools: StartTools, launch: StartedSandbox) => ExpectedStart;
}

export interface StartTools {
  readonly kernel: Kernel;
  readonly runtime: Runtime;
}

/** The start of one container. Disposing of it takes away what waits for it. */
export interface ExpectedStart extends Disposable {
  /** Lets the first instruction run. */
  go(ended: AbortSignal): Promise<void>;
}

/** What a start needs to know; all of it outlives the supervisor. */
export interface StartedSandbox {
  readonly id: string;
  readonly runDir: string;
}

const ID = /^[a-z0-9][a-z0-9-]{0,31}$/;
const LIVE_FIELDS = new Set<keyof LiveGrant>(['cpuMillicores', 'memoryBytes', 'pids']);

export class OciDriver implements Driver {
  readonly name: DriverName;
  readonly isolation: Isolation;
  readonly applies: ReadonlySet<keyof LiveGrant> = LIVE_FIELDS;
  readonly telemetry: Driver['telemetry'];
  readonly #runtime: OciRuntime;
  readonly #settings: DriverSettings;
  /** Found once: to look again would start a process for each sandbox. */
  readonly #looks = new LookQueue();
  #found: Tools | null = null;

  constructor(runtime: OciRuntime, settings: DriverSettings) {
    this.name = runtime.name;
    this.isolation = runtime.isolation;
    this.telemetry = runtime.telemetry;
    this.#runtime = runtime;
    this.#settings = settings;
  }

  async probe(): Promise<Probe> {
    if (process.getuid?.() !== 0) {
      return { ok: false, reason: 'only root can make sandboxes', hint: 'Run the command as root.' };
    }
    if (findInPath('conmon').length === 0) {
      return { ok: false, reason: 'conmon is not installed', hint: 'Install it: apt-get install conmon' };
    }
    return (await chooseRuntime(this.name, this.#settings.memory)).probe;
  }

  async create(launch: LaunchPart, startup: LiveGrant): Promise<Sandbox> {
    if (!ID.test(launch.id)) {
      throw new SandboxError('SANDBOX_CREATE', `'${launch.id}' cannot name a sandbox`, {
        hint: 'An id is at most 32 lower-case letters, digits and hyphens.',
      });
    }
    const tools = await this.#tools();
    const undo = new AsyncDisposableStack();
    try {
      return await this.#build({ launch, startup, tools, undo });
    } catch (error) {
      await undo.disposeAsync();
      throw error;
    }
  }

  async adopt(record: SandboxRecord): Promise<Sandbox | null> {
    if (!isSameProcess(record.pid, record.pidStartTicks)) return null;
    const group = openGroup(this.#settings.layout, { homeId: record.homeId, id: record.id });
    if (group === null) return null;
    await this.#leave(group, record.monitorPid);
    return this.#sandboxOf({ record, group, terminal: record.terminal, start: null });
  }

  lastExit(record: SandboxRecord): Exit | null {
    using group = openGroup(this.#settings.layout, { homeId: record.homeId, id: record.id });
    return exitLeftBehind(record, group?.stats().oomKills ?? 0);
  }

  async #tools(): Promise<Tools> {
    if (this.#found !== null) return this.#found;
    const { runtime, probe } = await chooseRuntime(this.name, this.#settings.memory);
    const conmonPath = findInPath('conmon')[0];
    if (conmonPath === undefined) throw missing('conmon is not installed', 'Install it: apt-get install conmon');
    if (runtime === null) throw missing(probe.ok ? this.name : probe.reason, probe.ok ? '' : probe.hint);
    this.#found = { runtime, conmonPath };
    return this.#found;
  }

  async #build({ launch, startup, tools, undo }: Building): Promise<Sandbox> {
    const { layout } = this.#settings;
    const names = { homeId: launch.homeId, id: launch.id };
    const group = makeGroup(layout, names);
    undo.defer(() => this.#removeGroup(group, launch.homeId));
    // It saves time, and nothing else.
    void expectMoves(layout).catch(() => undefined);
    group.apply({ ...startup, pids: startup.pids + this.#runtime.pidsOfRuntime });
    undo.defer(() => removeStage(this.#settings, launch));
    // Whatever the runtime left running holds the root: it ends before the stage goes.
    undo.defer(() => group.kill());
    const { monitor, start } = await this.#createContainer({ launch, tools, undo, group });
    group.gather();
    const record = recordOf(this.name, launch, { monitor, group });
    return this.#sandboxOf({ record, group, terminal: launch.terminal, start });
  }

  /**
   * Where v1 groups limit, the move into the v2 group, for which the kernel takes some ten milliseconds, goes on while the runtime
   * works: nothing of the workload runs yet, and what was born before it is gathered after it.
   */
  async #createContainer({ launch, tools, undo, group }: Creating): Promise<Created> {
    const { kernel, layout } = this.#settings;
    let [moved, start]: [Promise<void>, ExpectedStart | null] = [Promise.resolve(), null];
    const monitor = await startMonitor({
      conmonPath: tools.conmonPath,
      id: launch.id,
      runDir: launch.runDir,
      runtimePath: tools.runtime.path,
      runtimeArguments: tools.runtime.arguments,
      terminal: launch.terminal,
      stdinOpen: launch.stdinOpen,
      logPath: launch.logPath,
      logBytesMax: launch.logBytesMax,
      joins: this.#runtime.isBornInGroups ? group.tasksFiles : [],
      prepare: (pid) => {
        moved = group.admitToV2(pid);
        // Asked for its outcome below.
        moved.catch(() => undefined);
        const staged = openStage(this.#settings, launch, group.path);
        return layout.limits === 'v2' ? bothDone(moved, staged) : staged;
      },
      begun: () => {
        start = undo.use(this.#runtime.expectStart({ kernel, runtime: tools.runtime }, launch));
      },
    });
    await moved;
    return { monitor, start };
  }

  #sandboxOf({ record, group, terminal, start }: FoundSandbox): Sandbox {
    return new OciSandbox({
      record,
      group,
      terminal,
      looks: this.telemetry.has('syscalls') ? this.#looks : null,
      exitWatch: openExitWatch(record),
      openWrites: () => openLayerWrites(scratchDirOf(record)),
      isStarted: start === null,
      pidsOfRuntime: this.#runtime.pidsOfRuntime,
      isHeavyStart: this.#runtime.isHeavyStart,
      start: (ended) => start?.go(ended) ?? Promise.resolve(),
      leave: () => this.#leave(group, record.monitorPid),
      remove: async () => {
        start?.[Symbol.dispose]();
        await removeStage(this.#settings, record);
        await this.#removeGroup(group, record.homeId);
      },
    });
  }

  /** Takes the monitor out of the groups, if it is in them: it must not be frozen, throttled or killed with what it watches. */
  async #leave(group: CgroupGroup, monitorPid: number): Promise<void> {
    if (group.processes().includes(monitorPid)) await joinOurGroups(this.#settings.layout, monitorPid);
  }

  async #removeGroup(group: CgroupGroup, homeId: string): Promise<void> {
    await group.remove();
    removeParents(this.#settings.layout, homeId);
  }
}

/** Neither goes on when the other has failed and what was made is taken away. */
async function bothDone(...works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

interface FoundSandbox {
  readonly record: SandboxRecord;
  readonly group: CgroupGroup;
  readonly terminal: boolean;
  /** Null for one that was found running. */
  readonly start: ExpectedStart | null;
}

interface Tools {
  readonly runtime: Runtime;
  readonly conmonPath: string;
}

interface Building {
  readonly launch: LaunchPart;
  readonly startup: LiveGrant;
  readonly tools: Tools;
  readonly undo: AsyncDisposableStack;
}

interface Creating extends Omit<Building, 'startup'> {
  readonly group: CgroupGroup;
}

interface Created {
  readonly monitor: Monitor;
  readonly start: ExpectedStart | null;
}

function recordOf(
  driver: DriverName,
  launch: LaunchPart,
  { monitor, group }: { readonly monitor: Monitor; readonly group: CgroupGroup },
): SandboxRecord {
  const pidStartTicks = processStartTicks(monitor.workloadPid);
  if (pidStartTicks === null) {
    throw new SandboxError('SANDBOX_CREATE', 'the container ended as soon as it was created', {
      hint: 'See its log, and `provost doctor`.',
    });
  }
  return {
    driver,
    id: launch.id,
    homeId: launch.homeId,
    pid: monitor.workloadPid,
    pidStartTicks,
    monitorPid: monitor.pid,
    cgroupId: String(group.cgroupId),
    runDir: launch.runDir,
    scratchDir: launch.scratchDir,
    logPath: launch.logPath,
    terminal: launch.terminal,
  };
}

function missing(reason: string, hint: string): SandboxError {
  return new SandboxError('SANDBOX_RUNTIME_MISSING', reason, { exit: exitStatus.unavailable, hint });
}
