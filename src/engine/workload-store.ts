// Workloads and their revisions in the store, and back.
import { type RunRequest, runRequest, type WorkloadState } from '../api/index.ts';
import { type Artifact, digestOf } from '../artifact/index.ts';
import { canonicalJson, exitStatus } from '../base/index.ts';
import type { Mode } from '../policy/index.ts';
import type { Exit } from '../sandbox/index.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import type { Revision, Running, Standing } from './running.ts';

/** What a workload's row says beside its columns. */
export interface WorkloadDocument {
  readonly state: WorkloadState;
  readonly standing: Standing;
  readonly exit: (Exit & { readonly reason: string }) | null;
  readonly cleanSinceMs: number | null;
  readonly restarts: number;
}

/** What a revision's row says of its launch: its artifact as it was read, and its policy by digest (in the content store). */
interface RevisionLaunch {
  readonly artifact: Artifact;
  readonly policyDigest: string;
  readonly mode: Mode;
}

/** Keeps a workload as it now stands. */
export function saveWorkload(context: EngineContext, running: Running): void {
  const { state, standing, exit, cleanSinceMs, restarts } = running;
  const document: WorkloadDocument = { state, standing, exit, cleanSinceMs, restarts };
  context.store.workloads.put({
    name: running.name,
    request: running.revision.request,
    desiredState: state === 'exited' || state === 'contained' ? 'stopped' : 'running',
    currentRevision: running.revision.number,
    createdMs: running.createdMs,
    document,
  });
}

/** Keeps a new revision. The store, which only root reads, has its secrets; the ledger never has. */
export function saveRevision(context: EngineContext, workload: string, revision: Revision): void {
  const launch: RevisionLaunch = {
    artifact: revision.artifact,
    policyDigest: revision.policy.digest,
    mode: revision.mode,
  };
  context.store.revisions.put({
    workload,
    number: revision.number,
    artifactDigest: revision.artifact.digest,
    requestDigest: revision.requestDigest,
    request: revision.request,
    launch,
    goodSinceMs: null,
    createdMs: revision.createdMs,
  });
}

/**
 * Reads a revision back.
 *
 * @throws EngineError ENGINE_NO_REVISION when it, or the policy that it was made under, is not there any more
 */
export async function loadRevision(context: EngineContext, workload: string, number: number): Promise<Revision> {
  const row = context.store.revisions.get({ workload, number });
  if (row === null) throw noRevision(workload, number, 'it is not in the store');
  const launch = row.launch as RevisionLaunch;
  const policy = await context.policies.load(launch.policyDigest);
  return {
    number,
    artifact: launch.artifact,
    request: runRequest.parse(row.request),
    requestDigest: row.requestDigest,
    policy,
    mode: launch.mode,
    createdMs: row.createdMs,
  };
}

function noRevision(workload: string, number: number, why: string): EngineError {
  return new EngineError('ENGINE_NO_REVISION', `revision ${number} of ${workload} cannot be started: ${why}`, {
    exit: exitStatus.unavailable,
    hint: `provost inspect ${workload} lists its revisions.`,
  });
}

/** A request names its revision without its secrets' contents, which count by digest alone. */
export function requestDigestOf(request: RunRequest): string {
  const secrets = Object.fromEntries(
    Object.entries(request.secrets).map(([name, content]) => [name, digestOf(content)]),
  );
  return digestOf(canonicalJson({ ...request, secrets }));
}
