// Gathers what is known of an artifact: one line a source of evidence.
import type { IncidentDocument } from '../api/index.ts';
import { hygieneEvidence } from '../analysis/index.ts';
import { type Artifact, type Digest, layerFacts, type LayerFacts } from '../artifact/index.ts';
import type { Policy } from '../policy/index.ts';
import {
  type ChainInput,
  type ChainVerification,
  type KeyringState,
  type StoredAttestation,
  verifyChain,
} from '../provenance/index.ts';
import { publisherReputation } from '../reputation/index.ts';
import type { Cap, Evidence, Findings } from '../trust/index.ts';
import type { AssessContext } from './context.ts';

/** Who is behind an artifact, and what is known of it but for how it behaves (which changes every window). */
export interface Assessment {
  readonly findings: Findings;
  readonly verification: ChainVerification;
}

/** Asks every source. The cap that clean running time lifts is still in: a decision takes it out once it is earned. */
export async function assess(context: AssessContext, artifact: Artifact, policy: Policy): Promise<Assessment> {
  const nowMs = context.clock.nowMs();
  const verification = await verifyLoaded(context, artifact, policy);
  const evidence: Evidence[] = [
    ...hygieneEvidence({ artifact, facts: await factsOf(context, artifact), nowMs }),
    ...verification.findings.evidence,
    reputationOf(context, verification.publishers, policy),
  ];
  const caps = [...verification.findings.caps, ...incidentCaps(context.incidents.values(), artifact, policy)];
  return { findings: { evidence, caps }, verification };
}

/** What is known beside what the home keeps. */
export type Beside = Pick<ChainInput, 'commitDigestOf' | 'receipts'> & {
  readonly attestationsOf: (subject: Digest) => readonly StoredAttestation[];
};

const NOTHING_BESIDE: Beside = { attestationsOf: () => [] };

/** One look at many artifacts: keys and time are the same for all, and nothing is read or judged twice. */
export class Look {
  readonly #context: AssessContext;
  readonly #beside: Beside;
  readonly #keyring: KeyringState;
  readonly #nowMs: number;
  readonly #read = new Map<Digest, readonly StoredAttestation[]>();
  readonly #found = new Map<string, ChainVerification>();
  /** Entries of the journal that were asked for, and have to be read first. */
  readonly unread = new Set<number>();

  constructor(context: AssessContext, beside: Beside = NOTHING_BESIDE) {
    this.#context = context;
    this.#beside = beside;
    this.#keyring = context.keyring.state();
    this.#nowMs = context.clock.nowMs();
  }

  /** What the attestations about an artifact, and about what it was made from, are worth under a policy. */
  verify(artifact: Pick<Artifact, 'digest' | 'name'>, policy: Policy): ChainVerification {
    const key = JSON.stringify([artifact.digest, artifact.name, policy.digest]);
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = verifyChain({
      ...this.#beside,
      artifact,
      attestationsOf: (subject) => this.#attestationsOf(subject),
      commitDigestOf: (commit) => this.#commitDigestOf(commit),
      leafAt: (index) => this.#leafAt(index),
      keyring: this.#keyring,
      isOwnKey: (keyId) => this.#context.keyring.hasPrivate(keyId),
      nowMs: this.#nowMs,
      caps: policy.trust.caps,
      cache: this.#context.chains,
    });
    if (this.unread.size === 0) this.#found.set(key, found);
    return found;
  }

  #attestationsOf(subject: Digest): readonly StoredAttestation[] {
    const known = this.#read.get(subject);
    if (known !== undefined) return known;
    const kept = this.#context.attestations.list(subject).map(placed);
    const all = [...kept, ...this.#beside.attestationsOf(subject)];
    this.#read.set(subject, all);
    return all;
  }

  /** What the home recorded comes before what a file says. */
  #commitDigestOf(commit: string): Digest | null {
    return this.#context.attestations.commitDigest(commit) ?? this.#beside.commitDigestOf?.(commit) ?? null;
  }

  #leafAt(index: number): Buffer | null {
    const leaf = this.#context.leaves.at(index);
    if (leaf === undefined) this.unread.add(index);
    return leaf ?? null;
  }
}

/** An index that no log has. */
const NOWHERE = -1;

/** What a home keeps was logged: one whose place is not known has lost it, and is none that came in a file. */
function placed(attestation: StoredAttestation): StoredAttestation {
  return attestation.logIndex === null ? { ...attestation, logIndex: NOWHERE } : attestation;
}

/** The same, reading what it needs of a journal that another process writes: each step of the chain names the entries of the next. */
export async function verifyLoaded(
  context: AssessContext,
  artifact: Pick<Artifact, 'digest' | 'name'>,
  policy: Policy,
  beside?: Beside,
): Promise<ChainVerification> {
  const look = new Look(context, beside);
  for (;;) {
    const found = look.verify(artifact, policy);
    if (look.unread.size === 0) return found;
    await context.leaves.load([...look.unread]);
    look.unread.clear();
  }
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
