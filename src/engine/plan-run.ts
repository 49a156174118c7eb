// `run --dry-run`: what a request would be given, down to the OCI spec and each write to the kernel. Starts nothing.
import { existsSync } from 'node:fs';

import type { RunRequest } from '../api/index.ts';
import { canonicalJson } from '../base/index.ts';
import { type Grant, liveGrantOf } from '../policy/index.ts';
import { planSandbox, type SandboxPlan } from '../sandbox/index.ts';
import { openStore } from '../store/index.ts';
import type { TrustScore } from '../trust/index.ts';
import { readArtifact } from './admission.ts';
import { assess } from './assessing.ts';
import { decideNow } from './deciding.ts';
import { driverNameOf } from './drivers.ts';
import { planLaunchPart } from './launch-part.ts';
import { refuseOwnFolders } from './mounts.ts';
import { parsePolicy } from '../policy/index.ts';
import { openReadContext, type Progress } from './reading.ts';
import { resourcesOf } from './running.ts';
import type { WorkloadDocument } from './workload-store.ts';

export interface RunPlan {
  readonly artifact: { readonly digest: string; readonly kind: string; readonly name: string };
  readonly score: TrustScore;
  readonly tier: string;
  readonly grant: Grant | null;
  readonly reasons: readonly string[];
  readonly driver: string | null;
  /** The OCI runtime spec and the writes, in their order. */
  readonly sandbox: SandboxPlan | null;
  /** Whether the grant differs from that of the workload of this name; true when there is none. */
  readonly differs: boolean;
}

/** Plans a run as the supervisor would do it now. */
export async function planRun(options: {
  readonly homeDir: string;
  readonly request: RunRequest;
  readonly progress: Progress;
}): Promise<RunPlan> {
  const { request } = options;
  refuseOwnFolders(options.homeDir, request.mounts);
  await using context = await openReadContext(options.homeDir);
  const policy =
    request.policy === null ? context.policy.policy : parsePolicy(request.policy.text, request.policy.source);
  const artifact = await readArtifact(context, request.artifact, options.progress);
  const { findings, verification } = await assess(context, artifact, policy);
  const name = request.name ?? 'workload';
  const subject = {
    name,
    artifact,
    publishers: verification.publishers,
    policy,
    request: resourcesOf(request),
    findings,
  };
  const { outcome } = decideNow(context, { ...subject, override: null, tierState: null, bound: null }, null);
  const { score, decision } = outcome;
  const { digest, kind, name: artifactName } = artifact;
  const common = {
    artifact: { digest, kind, name: artifactName },
    score,
    tier: decision.tier,
    reasons: decision.reasons,
  };
  if (decision.kind === 'refused') return { ...common, grant: null, driver: null, sandbox: null, differs: true };
  const driver = driverNameOf(decision.grant) ?? 'runc';
  const launch = planLaunchPart(context.home, {
    name,
    artifact,
    request,
    grant: decision.grant,
    launchProfile: decision.launchProfile,
  });
  return {
    ...common,
    grant: decision.grant,
    driver,
    sandbox: planSandbox(driver, launch, liveGrantOf(decision.grant)),
    differs: differsFromRunning(context.home.database, context.home.id, name, decision.grant),
  };
}

function differsFromRunning(database: string, homeId: string, name: string, grant: Grant): boolean {
  if (!existsSync(database)) return true;
  using store = openStore(database, { homeId });
  const row = store.workloads.get({ name });
  if (row === null) return true;
  return canonicalJson((row.document as WorkloadDocument).standing.grant) !== canonicalJson(grant);
}
