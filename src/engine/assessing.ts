// Gathers what is known of an artifact: one line a source of evidence.
import type { IncidentDocument } from '../api/index.ts';
import { hygieneEvidence } from '../analysis/index.ts';
import { type Artifact, layerFacts, type LayerFacts } from '../artifact/index.ts';
import type { Policy } from '../policy/index.ts';
import { type Verification, verifyArtifact } from '../provenance/index.ts';
import { publisherReputation } from '../reputation/index.ts';
import type { Cap, Evidence, Findings } from '../trust/index.ts';
import type { AssessContext } from './context.ts';

/** Who is behind an artifact, and what is known of it but for how it behaves (which changes every window). */
export interface Assessment {
  readonly findings: Findings;
  readonly verification: Verification;
}

/** Asks every source. The cap that clean running time lifts is still in: a decision takes it out once it is earned. */
export async function assess(context: AssessContext, artifact: Artifact, policy: Policy): Promise<Assessment> {
  const nowMs = context.clock.nowMs();
  const verification = verify(context, artifact, policy);
  const evidence: Evidence[] = [
    ...hygieneEvidence({ artifact, facts: await factsOf(context, artifact), nowMs }),
    ...verification.findings.evidence,
    reputationOf(context, verification.publishers, policy),
  ];
  const caps = [...verification.findings.caps, ...incidentCaps(context.incidents.values(), artifact, policy)];
  return { findings: { evidence, caps }, verification };
}

/** What the attestations about an artifact are worth under a policy. */
export function verify(context: AssessContext, artifact: Artifact, policy: Policy): Verification {
  return verifyArtifact({
    artifact,
    attestations: context.attestations.list(artifact.digest),
    keyring: context.keyring.state(),
    nowMs: context.clock.nowMs(),
    caps: policy.trust.caps,
  });
}

async function factsOf(context: AssessContext, artifact: Artifact): Promise<(LayerFacts | null)[]> {
  return Promise.all(artifact.layers.map(({ diffId }) => layerFacts(context.content, diffId)));
}

/** The publisher's history as evidence. Several may have signed: that of the first counts. */
export function reputationOf(
  context: Pick<AssessContext, 'publishers' | 'clock'>,
  publishers: readonly string[],
  policy: Policy,
): Evidence {
  const [first] = publishers;
  const record = first === undefined ? null : context.publishers.trusted(first);
  return publisherReputation(record, context.clock.nowMs(), policy.reputation);
}

/** Id of the cap that an unresolved incident puts on its artifact. */
export const OPEN_INCIDENT_CAP = 'open-incident';

/** An unresolved incident of high severity limits every workload of the same artifact. */
export function incidentCaps(incidents: Iterable<IncidentDocument>, artifact: Artifact, policy: Policy): Cap[] {
  const open = [...incidents].filter(
    ({ artifact: digest, state, severity }) =>
      digest === artifact.digest && state !== 'resolved' && (severity === 'high' || severity === 'critical'),
  );
  const [first] = open;
  if (first === undefined) return [];
  return [
    {
      id: OPEN_INCIDENT_CAP,
      max: policy.trust.caps.openHighIncident.max,
      reason: `${open.length} open incident${open.length === 1 ? '' : 's'} of high severity, such as ${first.id} (${first.kind})`,
      lift: `a person resolves it: provost incident resolve ${first.id} --reason …`,
    },
  ];
}
