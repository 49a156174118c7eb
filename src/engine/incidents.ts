// Incidents: opened when something is acted on, carried with what was done, closed by people.
import type { ActionDocument, IncidentDocument } from '../api/index.ts';
import { exitStatus, rfc3339 } from '../base/index.ts';
import type { Severity } from '../trust/index.ts';
import { incidentCaps, OPEN_INCIDENT_CAP, reputationOf } from './assessing.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { documentTypes, record } from './recording.ts';
import type { Running } from './running.ts';
import { recordPersonal } from './signing-entries.ts';

export interface IncidentSeed {
  readonly kind: string;
  readonly severity: Severity;
  readonly evidence: readonly string[];
  /** Whether its code misbehaved, so that its publisher answers for it: not when people or the host changed something. */
  readonly isFault: boolean;
}

/**
 * Opens an incident of a workload's present revision. It counts from now on, in memory; `logIncident` keeps and logs it once its first
 * actions are known, since nothing may delay those.
 */
export function openIncident(context: EngineContext, running: Running, seed: IncidentSeed): IncidentDocument {
  const incident: IncidentDocument = {
    id: `inc-${context.incidents.size + 1}`,
    workload: running.name,
    artifact: running.revision.artifact.digest,
    revision: running.revision.number,
    kind: seed.kind,
    severity: seed.severity,
    state: 'open',
    opened: rfc3339(context.clock.nowMs()),
    evidence: [...seed.evidence],
    actions: [],
    resolution: null,
  };
  context.incidents.set(incident.id, incident);
  const atMs = context.clock.nowMs();
  const blamed = seed.isFault ? running.publishers : [];
  for (const publisher of blamed)
    context.publishers.addFault(publisher, { kind: 'incident', severity: seed.severity, atMs });
  refreshFindings(context, incident.artifact, blamed);
  return incident;
}

function keep(context: EngineContext, incident: IncidentDocument): void {
  context.store.incidents.put({
    id: incident.id,
    workload: incident.workload,
    artifactDigest: incident.artifact,
    severity: incident.severity,
    state: incident.state,
    openedMs: Date.parse(incident.opened),
    document: incident,
  });
}

/** Every workload of the same artifact is judged with its incidents, and all of the same publisher with its history, from now on. */
function refreshFindings(context: EngineContext, artifactDigest: string, publishers: readonly string[]): void {
  for (const running of context.workloads.values()) {
    const { artifact, policy } = running.revision;
    const isSameArtifact = artifact.digest === artifactDigest;
    if (isSameArtifact || running.publishers.some((one) => publishers.includes(one)))
      refreshReputation(context, running);
    if (!isSameArtifact) continue;
    const { evidence, caps } = running.findings;
    const others = caps.filter(({ id }) => id !== OPEN_INCIDENT_CAP);
    running.findings = { evidence, caps: [...others, ...incidentCaps(context.incidents.values(), artifact, policy)] };
  }
}

/** Judges a workload by its publisher's history as it now stands. */
export function refreshReputation(context: EngineContext, running: Running): void {
  const { evidence, caps } = running.findings;
  const others = evidence.filter(({ check }) => check !== 'reputation.publisher');
  running.findings = {
    evidence: [...others, reputationOf(context, running.publishers, running.revision.policy)],
    caps,
  };
}

/** Adds actions to an incident, keeps it, and logs it as it now stands. Resolves to the index. */
export async function logIncident(
  context: EngineContext,
  incident: IncidentDocument,
  actions: readonly ActionDocument[],
): Promise<number> {
  incident.actions.push(...actions);
  keep(context, incident);
  context.publishers.save(context.clock.nowMs());
  const logIndex = await record(context, {
    kind: 'incident',
    type: documentTypes.incident,
    document: incident,
    subjects: [incident.artifact],
    parents: [],
    // The slow actions wait for it.
    flush: true,
  });
  for (const action of actions) action.logIndex = logIndex;
  keep(context, incident);
  return logIndex;
}

/** Incidents, newest first. */
export function listIncidents(
  context: EngineContext,
  filter: { readonly workload: string | null; readonly openOnly: boolean },
): IncidentDocument[] {
  return [...context.incidents.values()]
    .filter((incident) => filter.workload === null || incident.workload === filter.workload)
    .filter((incident) => !filter.openOnly || incident.state !== 'resolved')
    .toReversed();
}

/** Unresolved incidents of an artifact: what caps its score. */
export function unresolvedOf(context: EngineContext, artifactDigest: string): IncidentDocument[] {
  return [...context.incidents.values()].filter(
    (incident) => incident.artifact === artifactDigest && incident.state !== 'resolved',
  );
}

export function findIncident(context: EngineContext, id: string): IncidentDocument {
  const incident = context.incidents.get(id);
  if (incident !== undefined) return incident;
  throw new EngineError('ENGINE_NO_INCIDENT', `there is no incident ${id}`, {
    exit: exitStatus.usage,
    hint: 'provost incident list shows them.',
  });
}

/** What a person says of an incident; a resolution lifts its cap, and is final. */
export async function noteIncident(
  context: EngineContext,
  incident: IncidentDocument,
  note: { readonly state: 'acknowledged' | 'resolved'; readonly reason: string; readonly key: string | null },
): Promise<void> {
  if (incident.state === 'resolved') {
    throw new EngineError('ENGINE_STATE', `${incident.id} is resolved already`, {
      exit: exitStatus.usage,
      hint: 'A new occurrence opens a new incident.',
    });
  }
  if (note.state === 'resolved' && note.reason.trim() === '') {
    throw new EngineError('ENGINE_STATE', 'a resolution needs a reason', {
      exit: exitStatus.usage,
      hint: 'Say --reason "what was found and done".',
    });
  }
  const resolution = note.state === 'resolved' ? { reason: note.reason, at: rfc3339(context.clock.nowMs()) } : null;
  // The log first: a lifted cap raises scores.
  const entry = {
    kind: 'incident',
    type: documentTypes.incident,
    document: { ...incident, state: note.state, resolution, note: note.reason },
    subjects: [incident.artifact],
    parents: [],
    flush: true,
  } as const;
  const artifactName = context.workloads.get(incident.workload)?.revision.artifact.name ?? incident.artifact;
  await recordPersonal(context, entry, { key: note.key, artifactName });
  Object.assign(incident, { state: note.state, resolution });
  keep(context, incident);
  refreshFindings(context, incident.artifact, []);
}
