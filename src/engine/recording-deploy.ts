// Deployments as statements: what this home started, attested with a key of its own.
import type { Digest } from '../artifact/index.ts';
import { exitStatus, messageOf, rfc3339 } from '../base/index.ts';
import {
  attest,
  DEPLOY_TYPE,
  parseEnvelope,
  parseStatement,
  ProvenanceError,
  type StoredAttestation,
} from '../provenance/index.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { documentTypes, issuerOf, logKeyEvent, record } from './recording.ts';
import type { Running } from './running.ts';

/** Name of the key by which a home speaks for itself. Nobody trusts it but who says so. */
const HOST_KEY = 'host';

/** Deployments that are kept beside an artifact, one a workload: each is verified at every admission. The log has all. */
const KEPT_MAX = 8;

/** What `record deploy` answers. */
export interface DeployRecord {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly workload: string;
  readonly revision: number;
  readonly envelopeDigest: string;
  readonly logIndex: number;
  /** False: its start had recorded it. */
  readonly isNew: boolean;
}

type DeployContext = Pick<EngineContext, 'attestations' | 'clock' | 'content' | 'home' | 'journal' | 'keyring' | 'log'>;
type Deployed = Pick<Running, 'instance' | 'name' | 'revision' | 'standing'>;

/** Makes the home's own key where it has none yet. A keyring that cannot be used keeps no supervisor from watching what runs. */
export async function makeHostKey(context: DeployContext): Promise<void> {
  try {
    if (context.keyring.state().keys.some(({ name }) => name === HOST_KEY)) return;
    const event = context.keyring.generateKey({ name: HOST_KEY, nowMs: context.clock.nowMs() });
    context.keyring.commit(event, await logKeyEvent(context, event));
  } catch (error) {
    context.log.error({ error: messageOf(error) }, 'the key of this home cannot be made; deployments go unsigned');
  }
}

/**
 * Records that a workload's present revision was deployed, with a person's reason when there is one. Where the home's key cannot sign, the
 * same is recorded unsigned: the log never lacks a deployment.
 */
export async function recordDeploy(
  context: DeployContext,
  running: Deployed,
  { reason }: { readonly reason: string | null } = { reason: null },
): Promise<number> {
  const { revision, standing } = running;
  const document = deployment(context, running, reason);
  const parents = [standing.logIndex];
  const { digest, name } = revision.artifact;
  try {
    const signer = context.keyring.openSigner(HOST_KEY);
    const made = attest({
      subjects: [{ digest, name }],
      predicateType: DEPLOY_TYPE,
      predicate: document,
      signer,
      issuer: issuerOf(context.home),
      parents,
    });
    await context.content.put(made.bytes);
    const logIndex = await context.journal.append(made.leaf, { flush: false });
    await keep(context, { subject: digest, workload: running.name, bytes: made.bytes, logIndex });
    return logIndex;
  } catch (error) {
    if (!(error instanceof ProvenanceError)) throw error;
    context.log.error({ workload: running.name, error: error.message }, 'its deployment cannot be signed');
    const entry = { kind: 'deploy', type: documentTypes.deploy, document, subjects: [digest], parents } as const;
    return record(context, { ...entry, flush: false });
  }
}

/** Records a deployment that no start recorded, or names the attestation that is there. @throws EngineError ENGINE_STATE when it does not run */
export async function recordDeployOnce(context: DeployContext, running: Deployed): Promise<DeployRecord> {
  const { name, instance, revision } = running;
  const { digest } = revision.artifact;
  if (instance === null) {
    throw new EngineError('ENGINE_STATE', `${name} does not run`, {
      exit: exitStatus.usage,
      hint: `Start it first; provost ps -a shows its state.`,
    });
  }
  const find = (): KeptDeployment | undefined =>
    deploymentsOf(context.attestations.list(digest)).find((kept) => kept.instance === instance.id);
  const before = find();
  if (before === undefined) await recordDeploy(context, running);
  const kept = before ?? find();
  if (kept === undefined) {
    throw new EngineError(
      'ENGINE_STATE',
      `the deployment of ${name} is in the log, but cannot be kept as an attestation`,
      {
        exit: exitStatus.unavailable,
        hint: `See that the key '${HOST_KEY}' can sign (provost key list), and that the artifact has room for attestations.`,
      },
    );
  }
  return {
    artifact: { digest, name: revision.artifact.name },
    workload: name,
    revision: revision.number,
    envelopeDigest: kept.digest,
    logIndex: kept.logIndex,
    isNew: before === undefined,
  };
}

function deployment({ home, clock }: DeployContext, running: Deployed, reason: string | null): Record<string, unknown> {
  const { revision, standing, name, instance } = running;
  return {
    home: home.id,
    workload: name,
    revision: revision.number,
    instance: instance?.id ?? null,
    requestDigest: revision.requestDigest,
    policyDigest: revision.policy.digest,
    decision: standing.logIndex,
    grant: standing.grant,
    time: rfc3339(clock.nowMs()),
    ...(reason === null ? {} : { reason }),
  };
}

interface KeptDeployment {
  readonly digest: Digest;
  readonly logIndex: number;
  readonly workload: unknown;
  readonly instance: unknown;
}

/** Newest first. What cannot be read is left for verification to find. */
function deploymentsOf(attestations: readonly StoredAttestation[]): KeptDeployment[] {
  return attestations
    .flatMap(({ digest, bytes, logIndex }) => {
      const predicate = deployPredicate(bytes);
      if (predicate === null || logIndex === null) return [];
      return [{ digest, logIndex, workload: predicate['workload'], instance: predicate['instance'] }];
    })
    .sort((a, b) => b.logIndex - a.logIndex);
}

function deployPredicate(bytes: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const { predicateType, predicate } = parseStatement(parseEnvelope(bytes).payload);
    return predicateType === DEPLOY_TYPE ? (predicate as Record<string, unknown> | null) : null;
  } catch (error) {
    if (error instanceof ProvenanceError) return null;
    throw error;
  }
}

interface Deployment {
  readonly subject: Digest;
  readonly workload: string;
  readonly bytes: Buffer;
  readonly logIndex: number;
}

/** Keeps it beside the artifact, in the place of older ones of this workload and of the oldest of all. */
async function keep(context: DeployContext, { subject, workload, bytes, logIndex }: Deployment): Promise<void> {
  const known = deploymentsOf(context.attestations.list(subject));
  const others = known.filter((kept) => kept.workload !== workload);
  const staying = new Set(others.slice(0, KEPT_MAX - 1));
  const replaced = new Set(known.filter((kept) => !staying.has(kept)).map(({ digest }) => digest));
  try {
    await context.attestations.replace(bytes, logIndex, replaced);
  } catch (error) {
    // An artifact with as many attestations as it may have: the deployment is in the log, and the others stay.
    if (!(error instanceof ProvenanceError && error.code === 'PROVENANCE_ATTESTATIONS_FULL')) throw error;
  }
}
