// What each signature on one attestation is worth: whose it is, and whether that key may say this. Pure.
import { type Digest, digestOf } from '../artifact/index.ts';
import { messageOf, rfc3339 } from '../base/index.ts';
import type { StoredAttestation } from './attestation-store.ts';
import { type Envelope, findSigners, parseEnvelope } from './dsse.ts';
import { excerptOf } from './excerpt.ts';
import { isInScope } from './glob.ts';
import type { KeyringState, KnownKey, TrustRecord, TrustRole } from './key-records.ts';
import { parseSlsaProvenance } from './slsa/provenance.ts';
import { parseStatement, SLSA_PROVENANCE_TYPE, type Statement, STATEMENT_MEDIA_TYPE } from './statement.ts';

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

/** By what an attestation is judged. */
export interface Judging extends Omit<SignatureJudging, 'name'> {
  /** What the attestation must be about; the name is what scopes are matched with. */
  readonly artifact: { readonly name: string; readonly digest: Digest };
}

/** By what signatures are judged. */
export interface SignatureJudging {
  /** What scopes are matched with; null: trust in any scope will do. */
  readonly name: string | null;
  readonly keyring: KeyringState;
  /** Predicate types that a role may say when its trust record lists none; a role without any has no say. */
  readonly typesByRole: Readonly<Record<TrustRole, readonly string[]>>;
  readonly nowMs: number;
}

/** Judges every signature on an attestation. Never throws on what it holds: that is a verdict. */
export function judgeAttestation(attestation: StoredAttestation, input: Judging): SignatureVerdict[] {
  const read = readAttestation(attestation, input.artifact.digest);
  if (typeof read === 'string') return [failed(attestation, read)];
  return judgeSignatures({ ...read, digest: attestation.digest }, { ...input, name: input.artifact.name });
}

/** An envelope as it was read, and its digest. */
export interface ReadAttestation {
  readonly envelope: Envelope;
  readonly statement: Statement;
  readonly digest: Digest;
}

/** Judges every signature on an attestation, one verdict each, in their order. */
export function judgeSignatures(
  { envelope, statement, digest }: ReadAttestation,
  input: SignatureJudging,
): SignatureVerdict[] {
  const { keys } = input.keyring;
  const signers = findSigners(
    envelope,
    keys.map((key) => key.public),
  );
  return signers.map((signer, at) => {
    const base = { envelopeDigest: digest, predicateType: statement.predicateType };
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

function judgeKey(
  key: KnownKey,
  predicateType: string,
  { name, keyring, typesByRole, nowMs }: SignatureJudging,
): Judgement {
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
  const inScope = records.filter(({ scope }) => name === null || isInScope(scope, name));
  if (inScope.length === 0) return verdict('untrusted', `key '${key.name}' is not trusted for '${name}'`);
  const speaking = inScope.filter((record) => allowsType(record, predicateType, typesByRole));
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

function allowsType(
  { role, predicateTypes }: TrustRecord,
  predicateType: string,
  typesByRole: SignatureJudging['typesByRole'],
): boolean {
  const types = typesByRole[role];
  // A list narrows or widens what a role says, but gives none to a role that has no say here.
  return types.length > 0 && (predicateTypes.length > 0 ? predicateTypes : types).includes(predicateType);
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
