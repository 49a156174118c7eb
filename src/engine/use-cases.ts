// The engine's use cases over its context: each finds what it is about, does one thing, and answers a document.
import type { WorkloadDocument } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import { admit, readArtifact } from './admission.ts';
import { allocateResources } from './allocating.ts';
import { homeAdmission } from './admitting-envelopes.ts';
import { attestArtifact, recordStatements } from './attesting.ts';
import { auditPath } from './audit-log.ts';
import { exportBaseline, showBaselines } from './baselines.ts';
import type { EngineContext } from './context.ts';
import { end, remove, stop } from './ending.ts';
import { applyLive, isHeldBy } from './enforcing.ts';
import type { Engine } from './engine.ts';
import { EngineError } from './errors.ts';
import { importBaseline } from './importing-baseline.ts';
import { findIncident, listIncidents, noteIncident } from './incidents.ts';
import { keepRunning } from './instance-store.ts';
import { changeKeys } from './keys.ts';
import { readServedFile } from '../ledger/index.ts';
import { renderMetrics } from './metrics.ts';
import { attachPath, readOutput } from './output.ts';
import { clearOverride, setOverride } from './overriding.ts';
import { scoreDocumentOf } from './reading.ts';
import { recordDeploy, recordDeployOnce } from './recording-deploy.ts';
import { respond } from './responding.ts';
import { rollBack } from './revisions.ts';
import type { Running } from './running.ts';
import { subscribe } from './subscribing.ts';
import { learnBaseline } from './teaching.ts';
import { workloadDocumentOf } from './views.ts';

/** Everything of `Engine` but its end. */
export function useCases(context: EngineContext): Omit<Engine, typeof Symbol.asyncDispose> {
  const view = (running: Running): WorkloadDocument => workloadDocumentOf(context, running);
  const find = (name: string): Running => findWorkload(context, name);
  return {
    get activeCount() {
      return countActive(context);
    },
    policyText: context.policies.home.text,
    logFile: (path) => readServedFile(context.home.logDir, path),
    run: async (request, report) => view(await admit(context, request, report)),
    list: () => [...context.workloads.values()].map(view),
    inspect: (name) => view(find(name)),
    stop: async (name, timeoutMs) => {
      const running = find(name);
      await stop(context, running, timeoutMs);
      return view(running);
    },
    remove: (name, { force }) => remove(context, find(name), force),
    rollback: async (name, reason) => {
      const running = find(name);
      await rollBackByPerson(context, running, reason);
      return view(running);
    },
    override: async (name, request) => {
      const running = find(name);
      await setOverride(context, running, request);
      return view(await reallocate(context, running));
    },
    clearOverride: async (name, key) => {
      const running = find(name);
      await clearOverride(context, running, key);
      return view(await reallocate(context, running));
    },
    listIncidents: (filter) => listIncidents(context, filter),
    incident: (id) => findIncident(context, id),
    noteIncident: async (id, state, { reason, key = null }) => {
      const incident = findIncident(context, id);
      await noteIncident(context, incident, { state, reason, key });
      if (state === 'resolved') await releaseResolved(context, incident.workload);
      return incident;
    },
    score: async (reference, { rootfs }) => {
      const artifact = await readArtifact(context, { reference, rootfs }, () => {});
      return scoreDocumentOf(context, artifact, context.policies.home.policy);
    },
    changeKeys: (command) => changeKeys(context, command),
    recordDeploy: (name) => recordDeployOnce(context, find(name)),
    ...statementUseCases(context),
    subscribe: (filter, listener) => subscribe(context, filter, listener),
    ...outputCases(context, find),
    metrics: () => renderMetrics(context),
    stopAll: () => stopAll(context),
  };
}

/** What a workload prints, and what is sent to it. */
function outputCases(
  context: EngineContext,
  find: (name: string) => Running,
): Pick<Engine, 'output' | 'attachPath' | 'attached' | 'resizeTerminal' | 'auditPath'> {
  return {
    output: (name, options) => readOutput(context, find(name), options),
    // While it starts for the first time, only the launch that waits knows of it.
    attachPath: (name) => context.attachments.pathOf(name) ?? attachPath(find(name)),
    attached: (name) => context.attachments.arrived(name),
    resizeTerminal: (name, columns, rows) => find(name).instance?.sandbox.resizeTerminal(columns, rows),
    auditPath: (name) => auditPath(context, find(name).name),
  };
}

/** What is signed here, and what is taken over from others. */
function statementUseCases(
  context: EngineContext,
): Pick<
  Engine,
  | 'attest'
  | 'recordStatements'
  | 'admitEnvelope'
  | 'learnBaseline'
  | 'showBaselines'
  | 'exportBaseline'
  | 'importBaseline'
> {
  const admitEnvelope = homeAdmission(context);
  return {
    attest: (request) => attestArtifact(context, request),
    recordStatements: (key, statements) => recordStatements(context, key, statements),
    admitEnvelope,
    learnBaseline: (request, teaching) => learnBaseline(context, request, teaching),
    showBaselines: (subject) => showBaselines(context, subject),
    exportBaseline: (request) => exportBaseline(context, request),
    importBaseline: (request) => importBaseline(context, admitEnvelope, request),
  };
}

async function stopAll(context: EngineContext): Promise<void> {
  const stopOne = async (running: Running): Promise<void> => {
    const { stopTimeoutMs: graceMs } = running.revision.request;
    await running.lane.run(() => end(context, running, { reason: 'shutdown', graceMs, final: true }));
  };
  await Promise.all([...context.workloads.values()].map(stopOne));
}

/** A person's rollback is in the ledger with its reason. */
async function rollBackByPerson(context: EngineContext, running: Running, reason: string): Promise<void> {
  await running.lane.run(() => rollBack(context, running, 'person'));
  await recordDeploy(context, running, { reason });
}

function findWorkload(context: EngineContext, name: string): Running {
  const running = context.workloads.get(name);
  if (running !== undefined) return running;
  throw new EngineError('ENGINE_NO_WORKLOAD', `there is no workload named ${name}`, {
    exit: exitStatus.usage,
    hint: 'provost ps -a lists them.',
  });
}

function countActive(context: EngineContext): number {
  const running = [...context.workloads.values()].filter(
    ({ instance, state }) => instance !== null || state === 'restarting',
  );
  return running.length + context.starting.size;
}

/** Something else than behaviour changed: decide at once, and respond to a fall. */
async function reallocate(context: EngineContext, running: Running): Promise<Running> {
  if (running.instance === null) return running;
  const allocated = await allocateResources(context, running, { window: null, bound: null });
  await respond(context, running, null, allocated);
  return running;
}

/** A person has resolved an incident: what it froze or cut off, and no other still holds, goes on. */
async function releaseResolved(context: EngineContext, name: string): Promise<void> {
  const running = context.workloads.get(name);
  if (running === undefined || running.instance === null || running.revision.mode === 'observe') return;
  await applyLive(context, running, running.standing.grant);
  if (running.state !== 'frozen' || isHeldBy(context, running, 'freeze')) return;
  await running.instance.sandbox.thaw();
  running.state = 'running';
  keepRunning(context, running, running.instance);
}
