// What a log of attestations takes: an envelope whose signatures are trusted here. It makes the leaf itself. Pure.
import { type Digest, digestOf } from '../artifact/index.ts';
import { exitStatus } from '../base/index.ts';
import { encodeEnvelope, type Envelope, ENVELOPE_MEDIA_TYPE, parseEnvelope } from './dsse.ts';
import { ProvenanceError } from './errors.ts';
import { excerptOf } from './excerpt.ts';
import { judgeSignaturesAsync, type SignatureStatus, type SignatureVerdict } from './judge-signature.ts';
import type { KeyringState } from './key-records.ts';
import { makeLeaf } from './leaf.ts';
import { kindOfPredicate, LOGGED_PREDICATE_TYPES } from './lifecycle.ts';
import { parseStatement, type Statement, STATEMENT_MEDIA_TYPE } from './statement.ts';

/** By what envelopes are admitted. */
export interface AdmissionInput {
  readonly keyring: KeyringState;
  readonly nowMs: number;
  /** What scopes are matched with; null or left out: trust in any scope will do. */
  readonly name?: string | null;
  /** Who the leaf says wrote it: the log's home or name. */
  readonly issuer: string;
}

/** An envelope in the one form that is kept, and the leaf that the log gets for it. */
export interface AdmittedEnvelope {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly leaf: Buffer;
  readonly predicateType: string;
  /** Each once. */
  readonly subjects: readonly Digest[];
}

/**
 * Verifies an envelope of an in-toto statement for a log. At least one signature must be by a key that is trusted, in whatever scope unless
 * a name is given, for this predicate type; one by a revoked key, or that is not of the key that it names, refuses all. Kept are the signatures by known keys,
 * one a key: others may be added by anybody, and would make a new entry of an old statement.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_ENVELOPE, PROVENANCE_STATEMENT, PROVENANCE_SIGNATURE, PROVENANCE_UNTRUSTED,
 * PROVENANCE_LEAF for more subjects than a leaf names
 */
export async function admitEnvelope(
  given: Uint8Array,
  { keyring, nowMs, issuer, name = null }: AdmissionInput,
): Promise<AdmittedEnvelope> {
  const envelope = parseEnvelope(given);
  const statement = statementOf(envelope);
  const judging = { name, keyring, nowMs, typesByRole: LOGGED_PREDICATE_TYPES };
  // It will be the newest entry: what the log has of a key's rotation or revocation comes before it.
  const logIndex = Number.MAX_SAFE_INTEGER;
  const verdicts = await judgeSignaturesAsync({ envelope, statement, digest: digestOf(given), logIndex }, judging);
  refuseUnless(verdicts);
  const kept = signaturesByKnown(envelope, verdicts);
  const bytes = encodeEnvelope({ ...envelope, signatures: kept });
  const subjects = [...new Set(statement.subjects.map(({ digest }) => digest))];
  const leaf = makeLeaf({
    kind: kindOfPredicate(statement.predicateType),
    document: bytes,
    type: ENVELOPE_MEDIA_TYPE,
    subjects,
    keys: kept.map(({ keyId }) => keyId),
    parents: [],
    issuer,
  });
  return { bytes, digest: digestOf(bytes), leaf, predicateType: statement.predicateType, subjects };
}

/** One a key, in the order of their ids: neither another form nor another order makes another entry. */
function signaturesByKnown(
  { signatures }: Envelope,
  verdicts: readonly SignatureVerdict[],
): { readonly keyId: string; readonly signature: Buffer }[] {
  const byKey = new Map<string, Buffer>();
  for (const [at, { status, keyId }] of verdicts.entries()) {
    const signature = signatures[at]?.signature;
    if (status !== 'unknown' && keyId !== null && signature !== undefined && !byKey.has(keyId))
      byKey.set(keyId, signature);
  }
  return [...byKey]
    .map(([keyId, signature]) => ({ keyId, signature }))
    .toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1));
}

function statementOf({ payloadType, payload }: Envelope): Statement {
  if (payloadType !== STATEMENT_MEDIA_TYPE)
    throw noStatement(`its payload is '${excerptOf(payloadType, 80)}', no in-toto statement`);
  const statement = parseStatement(payload);
  if (statement.subjects.length === 0) throw noStatement('its statement names no subject by SHA-256');
  return statement;
}

/** The worst decides, as everywhere: a trusted signature does not outvote one that was forged or revoked. */
function refuseUnless(verdicts: readonly SignatureVerdict[]): void {
  const find = (status: SignatureStatus): SignatureVerdict | undefined =>
    verdicts.find((verdict) => verdict.status === status);
  const forged = find('failed');
  if (forged !== undefined) {
    throw new ProvenanceError('PROVENANCE_SIGNATURE', `the log does not take this envelope: ${forged.reason}`, {
      exit: exitStatus.verificationFailed,
      hint: 'Send it as it was signed.',
    });
  }
  const faulty = find('revoked') ?? (find('trusted') === undefined ? (find('untrusted') ?? verdicts[0]) : undefined);
  if (faulty === undefined) return;
  throw new ProvenanceError('PROVENANCE_UNTRUSTED', `the log does not take this envelope: ${faulty.reason}`, {
    exit: exitStatus.denied,
    hint: 'Sign it with a key that is trusted here for its predicate type: provost key trust.',
  });
}

function noStatement(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_STATEMENT', `the log does not take this envelope: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'A log of Provost holds in-toto statements about artifacts.',
  });
}
