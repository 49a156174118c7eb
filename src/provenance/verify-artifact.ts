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
  readonly provenanceOnly: {
    readonly max: number;
    readonly liftedByCleanMs: number | null;
    /** By a review of somebody who neither wrote nor built it. */
    readonly liftedByReview: boolean;
    /** By another builder who got the same. */
    readonly liftedByReproduction: boolean;
  };
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
 * Verifies the attestations about an artifact by themselves, without what it was made from and without the log. Never throws on
 * what an attestation holds: that is a verdict. That somebody started it says nothing of where it comes from, whoever signs it: it
 * neither raises nor lowers the verdict.
 */
export function verifyArtifact(input: VerifyInput): Verification {
  const { artifact, keyring, nowMs, caps } = input;
  const judging = { artifact, keyring, nowMs, typesByRole: ORIGIN_PREDICATE_TYPES };
  const signatures = input.attestations.flatMap((attestation) => judgeAttestation(attestation, judging));
  const claims = signatures.filter(({ predicateType }) => predicateType !== DEPLOY_TYPE);
  const verdict = verdictOf(claims);
  const decisive = decisiveOf(verdict, claims);
  const origins = signatures.filter(({ status }) => status === 'trusted');
  return summarise({ verdict, signatures, origins, decisive, artifact: artifact.digest, caps });
}

/** The worst decides: an attestation that was tampered with or revoked is never outvoted by a good one. */
function verdictOf(signatures: readonly SignatureVerdict[]): ArtifactVerdict {
  const has = (status: SignatureStatus): boolean => signatures.some((signature) => signature.status === status);
  if (has('failed')) return 'failed';
  if (has('revoked')) return 'revoked';
  if (has('trusted')) return 'verified';
  return signatures.length > 0 ? 'untrusted' : 'unsigned';
}

function decisiveOf(verdict: ArtifactVerdict, signatures: readonly SignatureVerdict[]): SignatureVerdict | null {
  const status = verdict === 'verified' ? 'trusted' : verdict;
  return signatures.find((signature) => signature.status === status) ?? signatures[0] ?? null;
}

/** A verdict with all that it rests on. */
export interface Summary {
  readonly verdict: ArtifactVerdict;
  readonly signatures: readonly SignatureVerdict[];
  /** Those of trusted keys that say where it comes from: their owners are its publishers. */
  readonly origins: readonly SignatureVerdict[];
  /** What decided it; null for an artifact about which nobody said anything. */
  readonly decisive: {
    readonly envelopeDigest: Digest | null;
    readonly reason: string;
    readonly expiresMs?: number | null;
  } | null;
  readonly artifact: Digest;
  readonly caps: ProvenanceCaps;
}

/** What a verdict says about an artifact: evidence for `build.attestation`, and caps. */
export function summarise({ verdict, signatures, origins, decisive, artifact, caps }: Summary): Verification {
  const isVerified = verdict === 'verified';
  const reason = decisive?.reason ?? 'no attestation';
  const evidence = {
    check: 'build.attestation',
    score: isVerified ? 1 : 0,
    reason,
    source: decisive?.envelopeDigest ?? artifact,
    expiresMs: isVerified ? (decisive?.expiresMs ?? null) : null,
  };
  return {
    verdict,
    signatures,
    publishers: isVerified ? [...new Set(origins.flatMap(({ owner }) => owner ?? []))] : [],
    findings: { evidence: [evidence], caps: [capOf(verdict, reason, caps)] },
  };
}

function capOf(verdict: ArtifactVerdict, reason: string, caps: ProvenanceCaps): Cap {
  switch (verdict) {
    case 'failed': {
      const lift = 'remove the attestation that was tampered with and attest again';
      return { id: 'verification-failed', max: caps.failedVerification.max, reason, lift };
    }
    case 'revoked': {
      const lift = 'remove that attestation and sign with a key that is not revoked';
      return { id: 'revoked-key', max: caps.revoked.max, reason, lift };
    }
    case 'verified': {
      const only = 'a valid signature alone does not make code trustworthy';
      return { id: 'provenance-only', max: caps.provenanceOnly.max, reason: only, lift: liftText(caps) };
    }
    default: {
      const lift = 'sign it with a key that this host trusts: provost attest';
      return { id: 'unsigned', max: caps.unsigned.max, reason, lift };
    }
  }
}

function liftText({ provenanceOnly }: ProvenanceCaps): string {
  const { liftedByCleanMs, liftedByReview, liftedByReproduction } = provenanceOnly;
  const ways = [
    ...(liftedByReview ? ['a review by somebody who neither wrote nor built it'] : []),
    ...(liftedByReproduction ? ['a rebuild by another builder that gives the same'] : []),
    ...(liftedByCleanMs === null
      ? []
      : [`${formatDuration(liftedByCleanMs)} of clean active running of this artifact`]),
  ];
  return ways.length === 0 ? 'the policy lifts it for nothing' : ways.join(', or ');
}
