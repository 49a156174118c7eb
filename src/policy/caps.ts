// Which of the policy's caps apply: facts about an artifact in, caps out.
import { formatDuration } from '../base/index.ts';
import type { Cap } from '../trust/index.ts';
import type { Policy } from './parse.ts';

/** What is known of an artifact's standing. */
export interface CapFacts {
  /** The best attestation: by a trusted key, by a key that nobody trusts here, none; or one that failed, or by a revoked key. */
  readonly attestation: 'trusted' | 'unknown-key' | 'none' | 'failed' | 'revoked';
  /** Id of an open incident of high or critical severity, null without one. */
  readonly openHighIncident: string | null;
  /** Clean active runtime of this digest on this host. */
  readonly cleanActiveMs: number;
  /** A second person reviewed what it was made from. */
  readonly isReviewed: boolean;
  /** Somebody else built the same from the same source. */
  readonly isReproduced: boolean;
}

const ATTEST = 'attest the digest with a key that this host trusts: provost attest ARTIFACT --key NAME';

/** The caps that apply, lowest first. */
export function planCaps(policy: Policy, facts: CapFacts): Cap[] {
  const { caps } = policy.trust;
  const found: Cap[] = [];
  const add = (id: string, max: number, reason: string, lift: string): void => {
    found.push({ id, max, reason, lift });
  };
  const { attestation, openHighIncident, cleanActiveMs } = facts;
  if (attestation === 'revoked') {
    add(
      'revoked',
      caps.revoked.max,
      'the key that attested it is revoked',
      'attest it anew with a key that is not revoked',
    );
  }
  if (attestation === 'failed') {
    add(
      'failed-verification',
      caps.failedVerification.max,
      'an attestation did not verify',
      'find out who changed it, then attest it anew',
    );
  }
  if (attestation === 'none') add('unsigned', caps.unsigned.max, 'nobody attested this digest', ATTEST);
  if (attestation === 'unknown-key')
    add('unsigned', caps.unsigned.max, 'only keys that this host does not trust attested it', ATTEST);
  if (openHighIncident !== null) {
    const lift = `look into it, then provost incident resolve ${openHighIncident}`;
    add('open-incident', caps.openHighIncident.max, `incident ${openHighIncident} is open`, lift);
  }
  if (!isProvenanceOnlyLifted(policy, facts)) {
    const reason = `only its provenance speaks for it, with ${formatDuration(cleanActiveMs)} of clean activity`;
    add('provenance-only', caps.provenanceOnly.max, reason, waysToLift(policy));
  }
  return found.sort((a, b) => a.max - b.max);
}

function isProvenanceOnlyLifted({ trust }: Policy, facts: CapFacts): boolean {
  const { liftedByCleanMs, liftedByReview, liftedByReproduction } = trust.caps.provenanceOnly;
  if (liftedByCleanMs !== null && facts.cleanActiveMs >= liftedByCleanMs) return true;
  return (liftedByReview && facts.isReviewed) || (liftedByReproduction && facts.isReproduced);
}

function waysToLift({ trust }: Policy): string {
  const { liftedByCleanMs, liftedByReview, liftedByReproduction } = trust.caps.provenanceOnly;
  const ways = [
    ...(liftedByCleanMs === null ? [] : [`let it run cleanly for ${formatDuration(liftedByCleanMs)} here`]),
    ...(liftedByReview ? ['have a second person review it'] : []),
    ...(liftedByReproduction ? ['have somebody else reproduce the build'] : []),
  ];
  return ways.length === 0 ? 'this policy never lifts it' : ways.join(', or ');
}
