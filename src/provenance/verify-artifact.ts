// Verifying an artifact: what each signature on each attestation is worth, and what that says about the artifact. Pure.
import type { Digest } from '../artifact/index.ts';
import { formatDuration } from '../base/index.ts';
import type { Cap, Findings } from '../trust/index.ts';
import type { StoredAttestation } from './attestation-store.ts';
import { judgeAttestation, type SignatureStatus, type SignatureVerdict } from './judge-signature.ts';
import type { KeyringState } from './key-records.ts';
import { DEPLOY_TYPE, ORIGIN_PREDICATE_TYPES } from './lifecycle.ts';

export type ArtifactVerdict = 'verified' | 'unsigned' | 'untrusted' | 'revoked' | 'failed';

/** What an artifact's attestations add up to. */
export interface Verification {
  readonly verdict: ArtifactVerdict;
  readonly signatures: readonly SignatureVerdict[];
  /** Publishers whose trusted keys signed, each once, in the order of the signatures. */
  readonly publishers: readonly string[];
  readonly findings: Findings;
}

/** The caps that the policy gives, as its file has them; each `max` is 0..1. */
export interface ProvenanceCaps {
  readonly unsigned: { readonly max: number };
  /** Always given with a verified artifact: whoever knows its clean running time takes it out. Null: no time lifts it. */
  readonly provenanceOnly: { readonly max: number; readonly liftedByCleanMs: number | null };
  readonly revoked: { readonly max: number };
  readonly failedVerification: { readonly max: number };
}

export interface VerifyInput {
  /** The name is what scopes are matched with: as the operator refers to it. */
  readonly artifact: { readonly name: string; readonly digest: Digest };
  readonly attestations: readonly StoredAttestation[];
  readonly keyring: KeyringState;
  readonly caps: ProvenanceCaps;
  readonly nowMs: number;
}

/**
 * Verifies every attestation about an artifact. Never throws on what an attestation holds: that is a verdict. That somebody started it
 * says nothing of where it comes from, whoever signs it: it neither raises nor lowers the verdict.
 */
export function verifyArtifact(input: VerifyInput): Verification {
  const { artifact, keyring, nowMs } = input;
  const judging = { artifact, keyring, nowMs, typesByRole: ORIGIN_PREDICATE_TYPES };
  const signatures = input.attestations.flatMap((attestation) => judgeAttestation(attestation, judging));
  const claims = signatures.filter(({ predicateType }) => predicateType !== DEPLOY_TYPE);
  const verdict = verdictOf(claims);
  const trusted = signatures.filter(({ status }) => status === 'trusted');
  return {
    verdict,
    signatures,
    publishers: verdict === 'verified' ? [...new Set(trusted.flatMap(({ owner }) => owner ?? []))] : [],
    findings: {
      evidence: [evidenceOf(verdict, claims, artifact.digest)],
      caps: capsOf(verdict, claims, input.caps),
    },
  };
}

/** The worst decides: an attestation that was tampered with or revoked is never outvoted by a good one. */
function verdictOf(signatures: readonly SignatureVerdict[]): ArtifactVerdict {
  const has = (status: SignatureStatus): boolean => signatures.some((signature) => signature.status === status);
  if (has('failed')) return 'failed';
  if (has('revoked')) return 'revoked';
  if (has('trusted')) return 'verified';
  return signatures.length > 0 ? 'untrusted' : 'unsigned';
}

/** The signature that decided the verdict. */
function decisive(verdict: ArtifactVerdict, signatures: readonly SignatureVerdict[]): SignatureVerdict | undefined {
  const status = verdict === 'verified' ? 'trusted' : verdict;
  return signatures.find((signature) => signature.status === status) ?? signatures[0];
}

function evidenceOf(
  verdict: ArtifactVerdict,
  signatures: readonly SignatureVerdict[],
  artifact: Digest,
): Findings['evidence'][number] {
  const signature = decisive(verdict, signatures);
  return {
    check: 'build.attestation',
    score: verdict === 'verified' ? 1 : 0,
    reason: signature?.reason ?? 'no attestation',
    source: signature?.envelopeDigest ?? artifact,
    expiresMs: verdict === 'verified' ? (signature?.expiresMs ?? null) : null,
  };
}

function capsOf(verdict: ArtifactVerdict, signatures: readonly SignatureVerdict[], caps: ProvenanceCaps): Cap[] {
  const reason = decisive(verdict, signatures)?.reason ?? 'no attestation';
  if (verdict === 'failed') {
    const lift = 'remove the attestation that was tampered with and attest again';
    return [{ id: 'verification-failed', max: caps.failedVerification.max, reason, lift }];
  }
  if (verdict === 'revoked') {
    const lift = 'remove that attestation and sign with a key that is not revoked';
    return [{ id: 'revoked-key', max: caps.revoked.max, reason, lift }];
  }
  if (verdict !== 'verified') {
    const lift = 'sign it with a key that this host trusts: provost attest';
    return [{ id: 'unsigned', max: caps.unsigned.max, reason, lift }];
  }
  const { max, liftedByCleanMs } = caps.provenanceOnly;
  const only = 'a valid signature alone does not make code trustworthy';
  const lift = liftedByCleanMs === null ? 'the policy lifts it for nothing yet' : cleanTimeText(liftedByCleanMs);
  return [{ id: 'provenance-only', max, reason: only, lift }];
}

function cleanTimeText(ms: number): string {
  return `${formatDuration(ms)} of clean active running of this artifact`;
}
