// After a crash: adopts what runs, clears away what does not, and lets nothing keep more than its last logged grant.
import { messageOf } from '../base/index.ts';
import { clearOrphans, type NetworkStats, type SandboxRecord, UNKNOWN_EXIT_CODE } from '../sandbox/index.ts';
import type { InstanceRow, WorkloadRow } from '../store/index.ts';
import { assess } from './assessing.ts';
import type { EngineContext } from './context.ts';
import { forget } from './ending.ts';
import { applyLive } from './enforcing.ts';
import { type InstanceDocument, readInstanceRow } from './instance-store.ts';
import { publish } from './publishing.ts';
import { restart, willRestart } from './restarting.ts';
import { type Instance, newRunning, type Running } from './running.ts';
import { loadRevision, saveWorkload, type WorkloadDocument } from './workload-store.ts';

/** Brings the engine's memory and the host back together. Called once, before anything else may happen. */
export async function recover(context: EngineContext): Promise<void> {
  const rows = context.store.instances.list();
  for (const row of context.store.workloads.list()) await recoverOrGiveUp(context, row, rows);
  for (const row of rows) if (!isLive(context, row.id)) context.store.instances.delete({ id: row.id });
  const live = new Set([...context.workloads.values()].flatMap(({ instance }) => instance?.id ?? []));
  await context.network.reconcile(live);
  await clearOrphans({
    homeId: context.home.id,
    runDir: context.home.runDir,
    scratchDir: context.home.scratchDir,
    live,
  });
}

/** One workload that cannot be brought back must not keep the others from being watched; what runs of it is ended as an orphan. */
async function recoverOrGiveUp(
  context: EngineContext,
  row: WorkloadRow,
  instances: readonly InstanceRow[],
): Promise<void> {
  try {
    await recoverWorkload(context, row, instances);
  } catch (error) {
    context.log.error({ workload: row.name, error: messageOf(error) }, 'cannot be adopted, and is ended');
    const running = context.workloads.get(row.name);
    if (running === undefined) return;
    running.instance = null;
    running.state = 'exited';
    running.exit = {
      code: UNKNOWN_EXIT_CODE,
      signal: null,
      oomKilled: false,
      atMs: context.clock.nowMs(),
      reason: messageOf(error),
    };
    saveWorkload(context, running);
  }
}

function isLive(context: EngineContext, id: string): boolean {
  return [...context.workloads.values()].some(({ instance }) => instance?.id === id);
}

async function recoverWorkload(
  context: EngineContext,
  row: WorkloadRow,
  instances: readonly InstanceRow[],
): Promise<void> {
  const document = row.document as WorkloadDocument;
  const revision = await loadRevision(context, row.name, row.currentRevision ?? 1);
  const { findings, verification } = await assess(context, revision.artifact, revision.policy);
  const running: Running = {
    ...newRunning({
      name: row.name,
      createdMs: row.createdMs,
      revision,
      standing: document.standing,
      findings,
      publishers: verification.publishers,
    }),
    state: document.state,
    exit: document.exit,
    cleanSinceMs: document.cleanSinceMs,
    restarts: document.restarts,
    override: context.loadOverride(row.name),
  };
  context.workloads.set(row.name, running);
  const own = instances.find((instance) => instance.workload === row.name && instance.state === 'running');
  if (own !== undefined) await recoverInstance(context, running, own);
  else if (row.desiredState === 'running') startAgain(context, running);
}

async function recoverInstance(context: EngineContext, running: Running, row: InstanceRow): Promise<void> {
  const { document, record } = readInstanceRow(row);
  const driver = context.drivers.get(document.driver);
  if (record === null || driver === undefined) return startAgain(context, running);
  const sandbox = await driver.adopt(record);
  if (sandbox === null) return endedUnseen(context, running, record);
  const nowMs = context.clock.nowMs();
  const instance: Instance = {
    id: row.id,
    sandbox,
    startedMs: row.startedMs ?? nowMs,
    address: document.address,
    deadlineMs: deadlineOf(document, row.startedMs ?? nowMs),
    effective: sandbox.effective(),
    network: (await context.network.mode(row.id)) ?? { network: 'isolated', rateBitsPerSecond: null },
    windowStartMs: nowMs,
    stats: sandbox.stats(),
    netStats: await countedSoFar(context, row.id),
    reading: null,
    pendingSinceMs: null,
  };
  running.instance = instance;
  // The last logged grant, whatever the kernel had: a raise that was logged is made good, one that was not is taken back.
  const { grant } = document;
  running.standing = { ...running.standing, grant };
  if (running.revision.mode === 'enforce') await applyLive(context, running, grant);
  await restoreFrozenState(running, instance, document);
  context.watchExit(running, instance);
}

/** What the link counted before is not of the window that begins; destinations of the last minute are: nobody has judged them. */
async function countedSoFar(context: EngineContext, id: string): Promise<NetworkStats | null> {
  const stats = (await context.network.stats()).get(id);
  return stats === undefined ? null : { ...stats, destinations: [] };
}

function deadlineOf({ grant }: InstanceDocument, startedMs: number): number | null {
  return grant.timeMs === null ? null : startedMs + grant.timeMs;
}

/** The guard froze everything while nobody watched; only what was frozen on purpose stays so. */
async function restoreFrozenState(running: Running, instance: Instance, document: InstanceDocument): Promise<void> {
  if (document.frozen) {
    running.state = 'frozen';
    await instance.sandbox.freeze();
    return;
  }
  running.state = 'running';
  if (instance.sandbox.isFrozen()) await instance.sandbox.thaw();
}

/** It ended while nobody watched: its exit file says how. */
function endedUnseen(context: EngineContext, running: Running, record: SandboxRecord): void {
  const exit = context.drivers.get(record.driver)?.lastExit(record) ?? {
    code: UNKNOWN_EXIT_CODE,
    signal: null,
    oomKilled: false,
    atMs: context.clock.nowMs(),
  };
  const again = willRestart(running, exit);
  const reason = exit.oomKilled ? 'memory limit' : 'exited';
  running.exit = { ...exit, reason };
  running.state = 'exited';
  publish(context, running, { event: 'exited', code: exit.code, signal: exit.signal, reason, final: !again });
  if (again) startAgain(context, running);
  else if (running.revision.request.removeAtExit) forget(context, running);
  else saveWorkload(context, running);
}

/** A workload that should run and does not: a start, a relaunch or a rollback was cut short. It is judged anew. */
function startAgain(context: EngineContext, running: Running): void {
  running.state = 'restarting';
  context.later(0, () => running.lane.run(() => restart(context, running)));
}
