// Verifying an artifact: what each signature on each attestation is worth, and what that says about the artifact. Pure.
import { type Digest, digestOf } from '../artifact/index.ts';
import { formatDuration, messageOf, rfc3339 } from '../base/index.ts';
import type { Cap, Findings } from '../trust/index.ts';
import type { StoredAttestation } from './attestation-store.ts';
import { type Envelope, findSigners, parseEnvelope } from './dsse.ts';
import { excerptOf } from './excerpt.ts';
import { isInScope } from './glob.ts';
import type { KeyringState, KnownKey, TrustRecord, TrustRole } from './key-records.ts';
import { parseSlsaProvenance } from './slsa/provenance.ts';
import {
  parseStatement,
  RELEASE_TYPE,
  SLSA_PROVENANCE_TYPE,
  type Statement,
  STATEMENT_MEDIA_TYPE,
} from './statement.ts';

/**
 * What one signature is worth: `trusted` by a key in scope; `untrusted`: valid, by a key that may not speak for this, or over
 * provenance that cannot be read;
 * `unknown`: by no key of the keyring; `revoked`: valid, by a revoked key; `failed`: not what it claims to be.
 */
export type SignatureStatus = 'trusted' | 'untrusted' | 'unknown' | 'revoked' | 'failed';

export interface SignatureVerdict {
  readonly envelopeDigest: Digest;
  readonly status: SignatureStatus;
  readonly keyId: string | null;
  readonly keyName: string | null;
  /** The publisher behind the key. */
  readonly owner: string | null;
  readonly predicateType: string | null;
  /** For people: one clause. */
  readonly reason: string;
  /** When the trust that it rests on ends; null: never. */
  readonly expiresMs: number | null;
}

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

/** Predicate types by which a role speaks for an artifact, when its trust record lists none. */
const ROLE_PREDICATE_TYPES: Readonly<Record<TrustRole, readonly string[]>> = {
  publisher: [RELEASE_TYPE, SLSA_PROVENANCE_TYPE],
  builder: [SLSA_PROVENANCE_TYPE],
  // A reviewer's or an operator's word is not the origin of an artifact.
  reviewer: [],
  operator: [],
};

/** Verifies every attestation about an artifact. Never throws on what an attestation holds: that is a verdict. */
export function verifyArtifact(input: VerifyInput): Verification {
  const signatures = input.attestations.flatMap((attestation) => judgeAttestation(attestation, input));
  const verdict = verdictOf(signatures);
  const trusted = signatures.filter(({ status }) => status === 'trusted');
  return {
    verdict,
    signatures,
    publishers: verdict === 'verified' ? [...new Set(trusted.flatMap(({ owner }) => owner ?? []))] : [],
    findings: {
      evidence: [evidenceOf(verdict, signatures, input.artifact.digest)],
      caps: capsOf(verdict, signatures, input.caps),
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

function judgeAttestation(attestation: StoredAttestation, input: VerifyInput): SignatureVerdict[] {
  const read = readAttestation(attestation, input.artifact.digest);
  if (typeof read === 'string') return [failed(attestation, read)];
  const { envelope, statement } = read;
  const { keys } = input.keyring;
  const signers = findSigners(
    envelope,
    keys.map((key) => key.public),
  );
  return signers.map((signer, at) => {
    const base = { envelopeDigest: attestation.digest, predicateType: statement.predicateType };
    const key = keys.find(({ id }) => id === signer);
    if (key !== undefined) {
      const judged = judgeKey(key, statement.predicateType, input);
      return { ...base, ...ofKey(key), ...(judged.status === 'trusted' ? judgePredicate(statement, judged) : judged) };
    }
    const claimed = envelope.signatures[at]?.keyId ?? null;
    const known = keys.find(({ id }) => id === claimed);
    if (known !== undefined) {
      const reason = `the signature is not that of key '${known.name}', which it names`;
      return { ...base, ...ofKey(known), status: 'failed', reason, expiresMs: null };
    }
    const reason = `signed by key ${claimed === null ? 'without an id' : excerptOf(claimed, 12)}, which this host does not know`;
    return { ...base, keyId: claimed, keyName: null, owner: null, status: 'unknown', reason, expiresMs: null };
  });
}

/** The envelope and its statement, or why it proves that something was tampered with. */
function readAttestation(
  { digest, bytes }: StoredAttestation,
  artifact: Digest,
): { envelope: Envelope; statement: Statement } | string {
  if (digestOf(bytes) !== digest) return 'the attestation was changed since it was stored';
  try {
    const envelope = parseEnvelope(bytes);
    if (envelope.payloadType !== STATEMENT_MEDIA_TYPE) return 'the envelope holds no in-toto statement';
    const statement = parseStatement(envelope.payload);
    const isAbout = statement.subjects.some((subject) => subject.digest === artifact);
    return isAbout ? { envelope, statement } : 'the attestation speaks of another artifact';
  } catch (error) {
    // Whatever keeps it from being read makes it a failed one.
    return messageOf(error);
  }
}

type Judgement = Pick<SignatureVerdict, 'status' | 'reason' | 'expiresMs'>;

function judgeKey(key: KnownKey, predicateType: string, { artifact, keyring, nowMs }: VerifyInput): Judgement {
  const verdict = (status: SignatureStatus, reason: string, expiresMs: number | null = null): Judgement => ({
    status,
    reason,
    expiresMs,
  });
  if (key.revoked !== null) {
    return verdict('revoked', `key '${key.name}' was revoked at ${rfc3339(key.revoked.atMs)}: ${key.revoked.reason}`);
  }
  const records = keyring.trust.filter(({ keyId }) => keyId === key.id);
  if (records.length === 0) return verdict('untrusted', `key '${key.name}' is not trusted here`);
  const inScope = records.filter(({ scope }) => isInScope(scope, artifact.name));
  if (inScope.length === 0) return verdict('untrusted', `key '${key.name}' is not trusted for '${artifact.name}'`);
  const speaking = inScope.filter((record) => allowsType(record, predicateType));
  if (speaking.length === 0)
    return verdict('untrusted', `key '${key.name}' is not trusted for ${excerptOf(predicateType, 200)}`);
  const begun = speaking.filter(({ sinceMs }) => sinceMs <= nowMs);
  if (begun.length === 0) return verdict('untrusted', `the trust in key '${key.name}' has not begun`);
  const endOf = ({ expiresMs }: TrustRecord): number => expiresMs ?? Number.POSITIVE_INFINITY;
  const lasting = begun.reduce((best, record) => (endOf(record) > endOf(best) ? record : best));
  if (endOf(lasting) <= nowMs) return verdict('untrusted', `the trust in key '${key.name}' has expired`);
  return verdict('trusted', `signed by '${key.name}', a trusted ${lasting.role}`, lasting.expiresMs);
}

/** What a trusted key said counts when it can be read: provenance that says nothing is not provenance. */
function judgePredicate({ predicateType, predicate }: Statement, judged: Judgement): Judgement {
  if (predicateType !== SLSA_PROVENANCE_TYPE) return judged;
  try {
    parseSlsaProvenance(predicate);
    return judged;
  } catch (error) {
    // Not tampering, as the signature holds; but worth nothing.
    return { status: 'untrusted', reason: messageOf(error), expiresMs: null };
  }
}

function allowsType({ role, predicateTypes }: TrustRecord, predicateType: string): boolean {
  if (role !== 'publisher' && role !== 'builder') return false;
  return (predicateTypes.length > 0 ? predicateTypes : ROLE_PREDICATE_TYPES[role]).includes(predicateType);
}

function ofKey({ id, name, owner }: KnownKey): Pick<SignatureVerdict, 'keyId' | 'keyName' | 'owner'> {
  return { keyId: id, keyName: name, owner };
}

function failed({ digest }: StoredAttestation, reason: string): SignatureVerdict {
  return {
    envelopeDigest: digest,
    status: 'failed',
    keyId: null,
    keyName: null,
    owner: null,
    predicateType: null,
    reason,
    expiresMs: null,
  };
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
