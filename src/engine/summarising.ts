// Verification summaries of SLSA: what this home found of an artifact, signed, so that others need not verify its attestations again.
import { pathToFileURL } from 'node:url';

import { type Artifact, hexOf, parseDigest, parseReference } from '../artifact/index.ts';
import {
  attest,
  makeVerificationSummary,
  type Signer,
  SLSA_PROVENANCE_TYPE,
  type Verification,
  VERIFICATION_SUMMARY_TYPE,
  verifyArtifact,
  type VerifyInput,
} from '../provenance/index.ts';
import type { Home } from './home.ts';
import { issuerOf } from './recording.ts';

/** Who verified: this, and the id of the home. */
const VERIFIER = 'https://provost.dev/verifier';

/** Levels of SLSA's build track that are ever claimed. What a build was isolated from is not verified here, so no more than the first. */
const NO_PROVENANCE = 'SLSA_BUILD_LEVEL_0';
const WITH_PROVENANCE = 'SLSA_BUILD_LEVEL_1';

/** The version of the specification whose levels are meant. */
const SLSA_VERSION = '1.0';

/** What a summary sums up, and who signs it. */
export interface SummaryInput {
  readonly home: Home;
  readonly artifact: Artifact;
  readonly input: VerifyInput;
  readonly verification: Verification;
  readonly policyDigest: string;
  readonly signer: Signer;
}

/** A signed summary: an in-toto statement in a DSSE envelope. */
export interface SignedSummary {
  readonly envelope: Buffer;
  readonly isPassed: boolean;
  readonly levels: readonly string[];
}

/**
 * Makes and signs the summary of a verification; FAILED unless it is `verified`.
 *
 * @throws ProvenanceError PROVENANCE_VSA when the artifact's name or the number of attestations is beyond what a summary may hold
 * @source https://slsa.dev/spec/v1.0/verification_summary
 */
export function summarise({ home, artifact, input, verification, policyDigest, signer }: SummaryInput): SignedSummary {
  const isPassed = verification.verdict === 'verified';
  const level = hasBuilderProvenance(input) ? WITH_PROVENANCE : NO_PROVENANCE;
  const levels = isPassed ? [level] : ['FAILED'];
  const predicate = makeVerificationSummary({
    verifier: { id: `${VERIFIER}/${home.id}`, version: new Map() },
    verifiedMs: input.nowMs,
    resourceUri: resourceUriOf(artifact),
    policy: { uri: `${VERIFIER}/${home.id}/policy`, digests: sha256Of(policyDigest) },
    inputAttestations: usedBy(verification).map((digest) => ({ uri: null, digests: sha256Of(digest) })),
    isPassed,
    verifiedLevels: levels,
    dependencyLevels: new Map(),
    slsaVersion: SLSA_VERSION,
  });
  const predicateType = VERIFICATION_SUMMARY_TYPE;
  const { bytes } = attest({ subjects: [artifact], predicateType, predicate, signer, issuer: issuerOf(home) });
  return { envelope: bytes, isPassed, levels };
}

/** True when SLSA provenance would be trusted if builders alone were: a publisher's word is not that of who built it. */
function hasBuilderProvenance(input: VerifyInput): boolean {
  const { keys, trust } = input.keyring;
  const builders = { keys, trust: trust.filter(({ role }) => role === 'builder') };
  return verifyArtifact({ ...input, keyring: builders }).signatures.some(
    ({ status, predicateType }) => status === 'trusted' && predicateType === SLSA_PROVENANCE_TYPE,
  );
}

/** Of a verified artifact the attestations that count; else all, as each may be why. */
function usedBy({ verdict, signatures }: Verification): string[] {
  const used = signatures.filter(({ status }) => verdict !== 'verified' || status === 'trusted');
  return [...new Set(used.map(({ envelopeDigest }) => envelopeDigest))];
}

function sha256Of(digest: string): ReadonlyMap<string, string> {
  return new Map([['sha256', hexOf(parseDigest(digest))]]);
}

/** The name under which the artifact was verified, as a URI. */
function resourceUriOf({ kind, reference }: Artifact): string {
  if (kind === 'rootfs' || kind === 'host') return pathToFileURL(reference).href;
  const named = parseReference(reference);
  switch (named.kind) {
    case 'path':
      return pathToFileURL(named.path).href;
    case 'registry':
      // Docker's own registry has a host that nobody writes.
      return `docker://${named.text}`;
    default:
      return encodeURI(reference.toWellFormed());
  }
}
