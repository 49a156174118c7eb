// Starts a sandbox for a revision in what its grant allows: groups, limits, network, then the first instruction.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';

import type { WorkloadEvent } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import { type Grant, type LiveGrant, liveGrantOf, withLaunch } from '../policy/index.ts';
import type { Driver, LaunchPart, Sandbox } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { liveOf } from './enforcing.ts';
import { EngineError } from './errors.ts';
import { launchPartOf } from './launch-part.ts';
import { keepRunning } from './instance-store.ts';
import { publish } from './publishing.ts';
import type { Instance, Running } from './running.ts';

/** gVisor's own boot takes 1.5 s at 100 millicores; it boots with this much and is clamped before the workload's first instruction. */
const STARTUP_CPU_MILLICORES = 2000;
/** Room for a runtime to start in; the workload's own limit is applied before its first instruction. */
const STARTUP_MEMORY_BYTES = 512 * 1024 * 1024;
const STARTUP_PIDS = 512;

export interface LaunchOptions {
  /** When the request or the decision came, for `startMs`. */
  readonly askedMs: number;
  /** What must be durable before the first instruction: the decision's entry. */
  readonly admitted: Promise<unknown>;
  /** Tells that the streams can be held, so that a client comes; null when none will. */
  readonly announceStreams: (() => void) | null;
  /** Who asked gets `started` in the reply, too. */
  readonly report: (event: WorkloadEvent) => void;
  /**
   * Ends the instance whose place the new one takes, which is frozen. Called once the first instruction has run: the kernel takes a tenth of a
   * second to end a network, in which it makes no other.
   */
  readonly endOld?: () => Promise<void>;
}

/**
 * Launches the workload's present revision under its present grant.
 *
 * @throws SandboxError when any step fails; nothing of the attempt is left on the host
 */
export async function launch(context: EngineContext, running: Running, options: LaunchOptions): Promise<void> {
  const { grant } = running.standing;
  const driver = driverFor(context, grant);
  const id = `${context.home.id}-${randomBytes(4).toString('hex')}`;
  const sandbox = await driver.create(partOf(context, running, id), startupGrant(grant));
  try {
    if (running.instance !== null) context.network.unpublish(running.instance.id);
    const instance = await confine(context, running, sandbox, id);
    await options.admitted;
    await streamsHeld(context, running.name, sandbox, options);
    await sandbox.start();
    const startMs = context.clock.monotonicMs() - options.askedMs;
    await options.endOld?.();
    begin(context, running, instance, { report: options.report, startMs });
  } catch (error) {
    await discard(context, id, sandbox);
    throw error;
  }
}

/** The first instruction waits for a client that wants to see everything. */
async function streamsHeld(
  context: EngineContext,
  name: string,
  sandbox: Sandbox,
  { announceStreams }: LaunchOptions,
): Promise<void> {
  const path = sandbox.attachSocketPath();
  if (announceStreams !== null && path !== null) await context.attachments.expect(name, path, announceStreams);
}

/** The driver for a grant's isolation. */
export function driverFor(context: Pick<EngineContext, 'drivers'>, grant: Pick<Grant, 'isolation'>): Driver {
  for (const driver of context.drivers.values()) if (driver.isolation === grant.isolation) return driver;
  throw new EngineError('ENGINE_NO_DRIVER', `no driver on this host gives isolation ${grant.isolation}`, {
    exit: exitStatus.unavailable,
    hint: 'provost doctor says what to install.',
  });
}

/** Generous while the runtime boots, nothing of the workload running yet; never on the network. */
function startupGrant(grant: Grant): LiveGrant {
  return {
    ...liveGrantOf(grant),
    cpuMillicores: Math.max(grant.cpu.millicores, STARTUP_CPU_MILLICORES),
    memoryBytes: Math.max(grant.memory.bytes, STARTUP_MEMORY_BYTES),
    pids: Math.max(grant.pids, STARTUP_PIDS),
    network: 'isolated',
  };
}

/** Network and limits, read back, before the first instruction. */
async function confine(context: EngineContext, running: Running, sandbox: Sandbox, id: string): Promise<Instance> {
  const { grant } = running.standing;
  const live = liveOf(context, running, grant);
  const plan = {
    id,
    homeId: context.home.id,
    pid: sandbox.record.pid,
    ports: grant.ports,
    allow: running.revision.policy.network.allow,
  };
  const { address } = await context.network.attach(plan);
  await context.network.setMode(id, live.network, live.rateBitsPerSecond);
  const effective = sandbox.apply(live);
  const nowMs = context.clock.nowMs();
  return {
    id,
    sandbox,
    startedMs: nowMs,
    address,
    deadlineMs: grant.timeMs === null ? null : nowMs + grant.timeMs,
    effective,
    network: { network: live.network, rateBitsPerSecond: live.rateBitsPerSecond },
    windowStartMs: nowMs,
    stats: sandbox.stats(),
    netStats: null,
    reading: null,
    pendingSinceMs: effective.pending.memoryBytes === undefined ? null : nowMs,
  };
}

interface Begun extends Pick<LaunchOptions, 'report'> {
  readonly startMs: number;
}

function begin(context: EngineContext, running: Running, instance: Instance, { report, startMs }: Begun): void {
  const nowMs = context.clock.nowMs();
  running.instance = instance;
  running.standing = {
    ...running.standing,
    tierState: withLaunch(running.standing.tierState, {
      isolation: running.standing.grant.isolation,
      profile: running.standing.launchProfile,
    }),
  };
  running.state = 'running';
  running.exit = null;
  running.ending = null;
  running.reported.clear();
  running.cleanSinceMs = nowMs;
  keepRunning(context, running, instance);
  context.sensor.watch(instance.sandbox.cgroupId, running.standing.grant.logging);
  const started = publish(context, running, {
    event: 'started',
    pid: instance.sandbox.record.pid,
    startMs,
    driver: instance.sandbox.record.driver,
    revision: running.revision.number,
    instance: instance.id,
  });
  report(started);
  context.watchExit(running, instance);
}

/** Takes a half-made sandbox away again. */
async function discard(context: EngineContext, id: string, sandbox: Sandbox): Promise<void> {
  await sandbox.kill();
  await context.network.detach(id);
  await sandbox.remove();
}

function partOf(context: EngineContext, running: Running, id: string): LaunchPart {
  const { artifact, request } = running.revision;
  const { grant, launchProfile } = running.standing;
  mkdirSync(context.home.workloadDir(running.name), { recursive: true, mode: 0o750 });
  const idRangeFirst = context.store.idRanges.allocate(running.name);
  return launchPartOf(
    context.home,
    { name: running.name, artifact, request, grant, launchProfile },
    { id, idRangeFirst },
  );
}
