// Keys or attestations changed: everything that runs is judged anew, and answers for it at once.
import { messageOf } from '../base/index.ts';
import type { Trigger } from '../response/index.ts';
import { allocateResources } from './allocating.ts';
import { Look, reputationOf } from './assessing.ts';
import type { EngineContext } from './context.ts';
import { openResponse, respond } from './responding.ts';
import type { Running } from './running.ts';

/** Judges every workload that runs, or waits for its restart, anew. One that fails does not keep the others from it. */
export async function reassessAll(context: EngineContext): Promise<void> {
  // One look for all: what many workloads have in common is read and judged once.
  let look: Look | null = null;
  const shared = (): Look => (look ??= new Look(context));
  await Promise.all([...context.workloads.values()].map((running) => reassess(context, running, shared)));
}

/** Judges one workload anew by who attested it. What its layers hold does not change. Never throws. */
export async function reassess(
  context: EngineContext,
  running: Running,
  look: () => Look = () => new Look(context),
): Promise<void> {
  try {
    const triggers = refreshProvenance(context, running, look());
    if (running.instance === null && running.state !== 'restarting') return;
    const opened = openResponse(context, running, triggers);
    const allocated = await allocateResources(context, running, { window: null, bound: null });
    await respond(context, running, opened, allocated);
  } catch (error) {
    context.log.error({ workload: running.name, error: messageOf(error) }, 'it could not be judged anew');
  }
}

const PROVENANCE_CAPS: ReadonlySet<string> = new Set([
  'verification-failed',
  'revoked-key',
  'unsigned',
  'provenance-only',
]);

function refreshProvenance(context: EngineContext, running: Running, look: Look): Trigger[] {
  const { artifact, policy } = running.revision;
  const wasRevoked = isRevoked(running);
  const { findings, publishers, failures } = look.verify(artifact, policy);
  const others = running.findings.evidence.filter(
    ({ check }) => !check.startsWith('build.') && check !== 'reputation.publisher',
  );
  running.publishers = publishers;
  running.findings = {
    evidence: [...others, ...findings.evidence, reputationOf(context, publishers, policy)],
    caps: [...findings.caps, ...running.findings.caps.filter(({ id }) => !PROVENANCE_CAPS.has(id))],
  };
  if (wasRevoked || !isRevoked(running)) return [];
  const signatures = failures.flatMap((link) => link.signatures);
  const keyId = signatures.find(({ status }) => status === 'revoked')?.keyId ?? '';
  return [{ kind: 'revocation', keyId, severity: 'critical' }];
}

function isRevoked({ findings }: Running): boolean {
  return findings.caps.some(({ id }) => id === 'revoked-key');
}
