// From a request to a running workload: read, judge, decide, find room, log, launch.
import { rmSync } from 'node:fs';

import type { RunRequest, WorkloadEvent } from '../api/index.ts';
import { type Artifact, parseReference, parseRootfs, resolveArtifact } from '../artifact/index.ts';
import { exitStatus, ProvostError } from '../base/index.ts';
import { assess } from './assessing.ts';
import type { EngineContext } from './context.ts';
import { type Decided, decideNow, recordDecision, standingOf, startSubject } from './deciding.ts';
import { end } from './ending.ts';
import { EngineError } from './errors.ts';
import { launch } from './launching.ts';
import { makeRoom } from './making-room.ts';
import { refuseOwnFolders } from './mounts.ts';
import { publish } from './publishing.ts';
import { reassess } from './reassessing.ts';
import { recordDeploy } from './recording-deploy.ts';
import { type Before, comeBack } from './revisions.ts';
import { newRunning, type Revision, type Running, type Standing } from './running.ts';
import { admittedEvent, refusedBy } from './starting.ts';
import { requestDigestOf, saveRevision, saveWorkload } from './workload-store.ts';

export type Report = (event: WorkloadEvent) => void;

/** Admits and starts what was asked for. See `Engine.run`. */
export async function admit(context: EngineContext, request: RunRequest, report: Report): Promise<Running> {
  const askedMs = context.clock.monotonicMs();
  const name = request.name ?? freshName(context, request);
  refuseNameInUse(context, name, request.replace);
  const subject = { name };
  const progress = (step: string, ratio: number | null): void =>
    report(publish(context, subject, { event: 'progress', step, ratio }));
  context.starting.add(name);
  try {
    const revision = await readRevision(context, name, request, progress);
    const { findings, verification } = await assess(context, revision.artifact, revision.policy);
    const assessed = { findings, publishers: verification.publishers, override: context.loadOverride(name) };
    const decided = decideNow(context, startSubject(name, revision, assessed), null);
    const standing = await standOrRefuse(context, { name, revision }, decided);
    using _room = await makeRoom(context, {
      name,
      policy: revision.policy,
      grant: standing.grant,
      tier: standing.grantedTier,
    });
    const running =
      context.workloads.get(name) ??
      newRunning({ name, createdMs: context.clock.nowMs(), revision, standing, ...assessed });
    await running.lane.run(() =>
      deploy(context, running, { next: { revision, standing, ...assessed }, decided, askedMs, report, progress }),
    );
    return running;
  } catch (error) {
    sayRefused(context, subject, error, report);
    throw error;
  } finally {
    context.starting.delete(name);
  }
}

interface Deployment {
  readonly next: Pick<Running, 'revision' | 'standing' | 'findings' | 'publishers' | 'override'>;
  readonly decided: Decided;
  readonly askedMs: number;
  readonly report: Report;
  readonly progress: (step: string, ratio: number | null) => void;
}

/** Puts the revision in place of what ran under the name, and launches it. What was there comes back when it cannot be launched. */
async function deploy(context: EngineContext, running: Running, deployment: Deployment): Promise<void> {
  const { next, decided, askedMs, report, progress } = deployment;
  const { revision, standing, findings, publishers, instance } = running;
  const before = { revision, standing, findings, publishers, wasRunning: instance !== null };
  // The entry is on its way to the disk while the sandbox is made; the first instruction waits for it.
  const admitted = recordDecision(context, { name: running.name, revision: next.revision }, decided, { flush: true });
  admitted.catch(() => undefined);
  if (instance !== null) {
    await end(context, running, { reason: 'replaced', graceMs: revision.request.stopTimeoutMs, final: false });
  }
  Object.assign(running, next);
  saveRevision(context, running.name, next.revision);
  try {
    const announced = announce(context, running, admitted, report);
    announced.catch(() => undefined);
    await launch(context, running, {
      askedMs,
      admitted: announced,
      announceStreams: next.revision.request.attach ? () => progress('attach', null) : null,
      report,
    });
  } catch (error) {
    await undoDeploy(context, running, next.revision, before);
    throw error;
  }
  context.workloads.set(running.name, running);
  saveWorkload(context, running);
  context.inBackground(recordDeploy(context, running));
  // A key may have been revoked while it was being made.
  context.inBackground(reassess(context, running));
}

/** Nothing of a deployment that failed is left: not its revision, and of a new workload nothing at all. */
async function undoDeploy(context: EngineContext, running: Running, failed: Revision, before: Before): Promise<void> {
  context.store.revisions.delete({ workload: running.name, number: failed.number });
  if (context.workloads.get(running.name) === running) return comeBack(context, running, before);
  context.store.idRanges.release(running.name);
  rmSync(context.home.workloadDir(running.name), { recursive: true, force: true });
}

async function announce(
  context: EngineContext,
  running: Running,
  admitted: Promise<number>,
  report: Report,
): Promise<void> {
  const logIndex = await admitted;
  running.standing = { ...running.standing, logIndex };
  report(publish(context, running, admittedEvent(context, running.revision, running.standing)));
}

async function readRevision(
  context: EngineContext,
  name: string,
  request: RunRequest,
  progress: (step: string, ratio: number | null) => void,
): Promise<Revision> {
  const policy =
    request.policy === null
      ? context.policies.home.policy
      : context.policies.parse(request.policy.text, request.policy.source);
  refuseOwnFolders(context.home.dir, request.mounts);
  await context.policies.keep(policy);
  const artifact = await readArtifact(context, request.artifact, progress);
  return {
    number: (context.store.revisions.list({ workload: name }).at(-1)?.number ?? 0) + 1,
    artifact,
    request: { ...request, name },
    requestDigest: requestDigestOf(request),
    policy,
    // Who may start workloads may also have one only watched, or one enforced under a policy that observes.
    mode: request.mode ?? policy.mode,
    createdMs: context.clock.nowMs(),
  };
}

/** Reads an artifact into the content store, all digests checked. */
export function readArtifact(
  context: Pick<EngineContext, 'content'>,
  artifact: { readonly reference: string; readonly rootfs: boolean },
  progress: (step: string, ratio: number | null) => void,
): Promise<Artifact> {
  const reference = artifact.rootfs ? parseRootfs(artifact.reference) : parseReference(artifact.reference);
  return resolveArtifact(reference, {
    store: context.content,
    progress: ({ step, bytes, total }) => progress(step, total === null || total === 0 ? null : bytes / total),
  });
}

async function standOrRefuse(
  context: EngineContext,
  subject: { readonly name: string; readonly revision: Revision },
  decided: Decided,
): Promise<Standing> {
  const standing = standingOf(decided, -1);
  if (standing !== null) return standing;
  await recordDecision(context, subject, decided, { flush: true });
  throw refusedBy(decided.outcome.decision.reasons);
}

function refuseNameInUse(context: EngineContext, name: string, replace: boolean): void {
  const known = context.workloads.get(name);
  const isStarting = context.starting.has(name);
  if (!isStarting && (known === undefined || replace)) return;
  throw new EngineError('ENGINE_NAME_IN_USE', `there is a workload named ${name}`, {
    exit: exitStatus.usage,
    hint: `Choose another --name, deploy a new revision with --replace, or remove it: provost rm ${name}`,
  });
}

function freshName(context: EngineContext, request: RunRequest): string {
  const { reference, rootfs } = request.artifact;
  const last =
    reference
      .replace(/[:@].*$/, '')
      .split('/')
      .findLast((part) => part !== '') ?? 'host';
  const stem =
    (rootfs && reference === '/' ? 'host' : last)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '') || 'workload';
  for (let number = 1; ; number += 1) {
    const name = `${stem.slice(0, 50)}-${number}`;
    if (!context.workloads.has(name) && !context.starting.has(name)) return name;
  }
}

function sayRefused(context: EngineContext, subject: { readonly name: string }, error: unknown, report: Report): void {
  if (!(error instanceof ProvostError)) return;
  const reasons = Array.isArray(error.details['reasons']) ? error.details['reasons'].map(String) : [error.message];
  report(publish(context, subject, { event: 'refused', code: error.code, reasons, exit: error.exit }));
}
