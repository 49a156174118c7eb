// Workloads as clients see them.
import type { WorkloadDocument } from '../api/index.ts';
import { rfc3339 } from '../base/index.ts';
import { copyGrant } from './allocating.ts';
import type { EngineContext } from './context.ts';
import { pendingOf } from './enforcing.ts';
import { unresolvedOf } from './incidents.ts';
import type { Running } from './running.ts';

/** One workload, with what the kernel holds now. */
export function workloadDocumentOf(context: EngineContext, running: Running): WorkloadDocument {
  const { revision, standing, instance, override } = running;
  const { cpuMillicores, memoryBytes, diskBytes, pids } = revision.request;
  const { digest, kind, name } = revision.artifact;
  return {
    name: running.name,
    state: running.state,
    pid: instance?.sandbox.record.pid ?? null,
    revision: revision.number,
    instance: instance?.id ?? null,
    driver: instance?.sandbox.record.driver ?? null,
    mode: revision.mode,
    artifact: { digest, kind, name },
    score: standing.score.score,
    tier: standing.tier,
    grantedTier: standing.grantedTier,
    requested: { cpuMillicores, memoryBytes, diskBytes, pids },
    grant: copyGrant(standing.grant),
    effective: effectiveOf(running),
    pending: pendingOf(instance),
    usage: running.usage,
    anomaly: running.anomaly,
    address: instance?.address ?? null,
    cgroup: instance === null ? null : `/provost/${context.home.id}/${instance.id}`,
    override:
      override === null || override.untilMs <= context.clock.nowMs()
        ? null
        : { tier: override.tier, until: rfc3339(override.untilMs), reason: override.reason },
    openIncidents: unresolvedOf(context, digest).map(({ id }) => id),
    revisions: revisionsOf(context, running),
    exit:
      running.exit === null
        ? null
        : { code: running.exit.code, signal: running.exit.signal, reason: running.exit.reason },
    created: rfc3339(running.createdMs),
    started: instance === null ? null : rfc3339(instance.startedMs),
  };
}

/** Read from the kernel at this moment; null when it does not run (or ends just now). */
function effectiveOf({ instance }: Running): WorkloadDocument['effective'] {
  if (instance === null) return null;
  const { cpuMillicores, memoryBytes, pids } = instance.sandbox.effective();
  return { cpuMillicores, memoryBytes, pids, ...instance.network };
}

function revisionsOf(context: EngineContext, running: Running): WorkloadDocument['revisions'] {
  return context.store.revisions.list({ workload: running.name }).map((row) => ({
    number: row.number,
    artifact: row.artifactDigest,
    created: rfc3339(row.createdMs),
    good: row.goodSinceMs !== null,
    current: row.number === running.revision.number,
  }));
}
