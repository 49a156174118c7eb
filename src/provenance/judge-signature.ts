// What each signature on one attestation is worth: whose it is, and whether that key may say this. Pure.
import { type Digest, digestOf } from '../artifact/index.ts';
import { messageOf, rfc3339 } from '../base/index.ts';
import type { StoredAttestation } from './attestation-store.ts';
import { type Envelope, findSigners, findSignersAsync, parseEnvelope } from './dsse.ts';
import { excerptOf } from './excerpt.ts';
import { isInScope } from './glob.ts';
import type { KeyringState, KnownKey, TrustRecord, TrustRole } from './key-records.ts';
import { parseSlsaProvenance } from './slsa/provenance.ts';
import { parseStatement, SLSA_PROVENANCE_TYPE, type Statement, STATEMENT_MEDIA_TYPE } from './statement.ts';

/**
 * What one signature is worth: `trusted` by a key in scope; `untrusted`: valid, by a key that may not speak for this, or over
 * provenance that cannot be read;
 * `unknown`: by no key of the keyring; `revoked`: valid, by a revoked key, and not known to be older than its theft; `failed`: not
 * what it claims to be. What is older is told by places in the log alone: a stolen key can lie about time.
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
  const { digest, logIndex } = attestation;
  return judgeSignatures({ ...read, digest, logIndex }, { ...input, name: input.artifact.name });
}

/** An envelope as it was read, its digest, and where the log has it or will have it; null: nowhere. */
export interface ReadAttestation {
  readonly envelope: Envelope;
  readonly statement: Statement;
  readonly digest: Digest;
  readonly logIndex: number | null;
}

/** Judges every signature on an attestation, one verdict each, in their order. */
function judgeSignatures(read: ReadAttestation, input: SignatureJudging): SignatureVerdict[] {
  const keys = input.keyring.keys.map((key) => key.public);
  return judgeSigners(read, findSigners(read.envelope, keys), input);
}

/** As {@link judgeSignatures}, with the signatures verified on other threads: for whoever judges many. */
export async function judgeSignaturesAsync(
  read: ReadAttestation,
  input: SignatureJudging,
): Promise<SignatureVerdict[]> {
  const keys = input.keyring.keys.map((key) => key.public);
  return judgeSigners(read, await findSignersAsync(read.envelope, keys), input);
}

/** @param signers for each signature the id of the key that made it */
function judgeSigners(
  { envelope, statement, digest, logIndex }: ReadAttestation,
  signers: readonly (string | null)[],
  input: SignatureJudging,
): SignatureVerdict[] {
  const { keys } = input.keyring;
  return signers.map((signer, at) => {
    const base = { envelopeDigest: digest, predicateType: statement.predicateType };
    const key = keys.find(({ id }) => id === signer);
    if (key !== undefined) {
      const judged = judgeKey(key, { ...input, predicateType: statement.predicateType, at: logIndex });
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

interface Said extends SignatureJudging {
  readonly predicateType: string;
  /** Where the log has it; null: nowhere. */
  readonly at: number | null;
}

function verdictOf(status: SignatureStatus, reason: string, expiresMs: number | null = null): Judgement {
  return { status, reason, expiresMs };
}

function judgeKey(key: KnownKey, said: Said): Judgement {
  return judgeRetirement(key, said.at) ?? judgeTrust(key, said);
}

/** Null when the key was in use where the log has what it signed. */
function judgeRetirement({ name, revoked, rotated }: KnownKey, at: number | null): Judgement | null {
  if (revoked !== null && !isUpTo(revoked.lastValidIndex, at)) {
    const when = `key '${name}' was revoked at ${rfc3339(revoked.atMs)}: ${revoked.reason}`;
    const last =
      revoked.lastValidIndex === null
        ? ''
        : `; it counts up to log index ${revoked.lastValidIndex}, and ${placeOf(at)}`;
    return verdictOf('revoked', `${when}${last}`);
  }
  if (rotated === null || isUpTo(rotated.logIndex, at)) return null;
  return verdictOf('untrusted', `key '${name}' was rotated at log index ${rotated.logIndex}, and ${placeOf(at)}`);
}

/** What is not in the log may have been signed at any time. */
function isUpTo(last: number | null, at: number | null): boolean {
  return last !== null && at !== null && at <= last;
}

function placeOf(at: number | null): string {
  return at === null ? 'this is not in the log' : `this is at ${at}`;
}

function judgeTrust(key: KnownKey, { name, keyring, typesByRole, nowMs, predicateType, at }: Said): Judgement {
  const records = keyring.trust.filter(({ keyId }) => keyId === key.id);
  if (records.length === 0) return verdictOf('untrusted', `key '${key.name}' is not trusted here`);
  const inScope = records.filter(({ scope }) => name === null || isInScope(scope, name));
  if (inScope.length === 0) return verdictOf('untrusted', `key '${key.name}' is not trusted for '${name}'`);
  const speaking = inScope.filter((record) => allowsType(record, predicateType, typesByRole));
  if (speaking.length === 0)
    return verdictOf('untrusted', `key '${key.name}' is not trusted for ${excerptOf(predicateType, 200)}`);
  const placed = speaking.filter(({ sinceIndex }) => sinceIndex === null || (at !== null && at >= sinceIndex));
  if (placed.length === 0) {
    const since = Math.min(...speaking.map(({ sinceIndex }) => sinceIndex ?? 0));
    return verdictOf('untrusted', `the trust in key '${key.name}' begins at log index ${since}, and ${placeOf(at)}`);
  }
  const begun = placed.filter(({ sinceMs }) => sinceMs <= nowMs);
  if (begun.length === 0) return verdictOf('untrusted', `the trust in key '${key.name}' has not begun`);
  const endOf = ({ expiresMs }: TrustRecord): number => expiresMs ?? Number.POSITIVE_INFINITY;
  const lasting = begun.reduce((best, record) => (endOf(record) > endOf(best) ? record : best));
  if (endOf(lasting) <= nowMs) return verdictOf('untrusted', `the trust in key '${key.name}' has expired`);
  return verdictOf('trusted', `signed by '${key.name}', a trusted ${lasting.role}`, lasting.expiresMs);
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
