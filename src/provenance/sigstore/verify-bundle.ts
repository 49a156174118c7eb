// Verifies Sigstore bundles offline: certificate, log and signature by the library; identity, artifact and validity of logs here.
import { createHash } from 'node:crypto';

import type { BundleWithMessageSignature } from '@sigstore/bundle';
import { HashAlgorithm } from '@sigstore/protobuf-specs';
import { type Signer, toSignedEntity, VerificationError, Verifier } from '@sigstore/verify';

import { type Digest, digestOf } from '../../artifact/index.ts';
import { exitStatus, messageOf } from '../../base/index.ts';
import { ProvenanceError, type ProvenanceErrorCode } from '../errors.ts';
import { excerptOf } from '../excerpt.ts';
import { isInScope } from '../glob.ts';
import { parseStatement, type Statement, STATEMENT_MEDIA_TYPE } from '../statement.ts';
import { badBundle, type SigstoreBundle } from './bundle.ts';
import { parseTrustedRoot, type TrustMaterial } from './trusted-root.ts';

/** Who may have signed. */
export interface SigstoreIdentity {
  /** The identity provider's URL, compared as text: `https://token.actions.githubusercontent.com`. */
  readonly issuer: string;
  /** Pattern of the certificate's subject alternative name, matched whole, see {@link isInScope}. */
  readonly subjectPattern: string;
}

/** What a bundle is held against. */
export interface SigstoreCheck {
  /** `trusted_root.json` of the instance, pinned by the caller. */
  readonly trustedRoot: Uint8Array;
  /** One of the identities must have signed; none accepts nobody. */
  readonly policy: { readonly identities: readonly SigstoreIdentity[] };
  /** What the bundle must speak of: its digest, or its bytes, which a message signature is over. */
  readonly artifact: Digest | Uint8Array;
  /** SHA-512 of its bytes, in hex: asked for when a statement names its artifacts by nothing else, as those of npm do. */
  readonly sha512?: () => string;
}

/** What a verified bundle says. */
export interface SigstoreVerification {
  readonly signer: { readonly issuer: string; readonly subject: string };
  readonly artifact: Digest;
  /** From the verified bytes; null for a message signature. */
  readonly statement: Statement | null;
  /** Where the first log entry lies: what the log promised, else where it proved it. */
  readonly logIndex: number;
  /** When that log took it, by the log's word; null when it gave none. */
  readonly integratedMs: number | null;
  /** The earliest time that a timestamp authority vouched for; null: none did. */
  readonly timestampMs: number | null;
}

type Entity = ReturnType<typeof toSignedEntity>;
type MessageDigest = BundleWithMessageSignature['content']['messageSignature']['messageDigest'];
type LogEntry = Entity['tlogEntries'][number];

/**
 * Verifies a bundle without network: certificate chain and its log's promise at the time of signing, inclusion in the log, a
 * verified time, the signature, the identity, and that it is about the artifact.
 *
 * @throws ProvenanceError PROVENANCE_SIGSTORE_BUNDLE, PROVENANCE_SIGSTORE_ROOT, PROVENANCE_SIGSTORE_TIME,
 * PROVENANCE_SIGSTORE_CERTIFICATE, PROVENANCE_SIGSTORE_LOG, PROVENANCE_SIGSTORE_SIGNATURE, PROVENANCE_SIGSTORE_IDENTITY,
 * PROVENANCE_SIGSTORE_ARTIFACT; PROVENANCE_JSON, PROVENANCE_STATEMENT for what an envelope holds
 * @source https://docs.sigstore.dev/about/bundle/, Sigstore client specification, section 4
 */
export function verifySigstoreBundle(
  bundle: SigstoreBundle,
  { trustedRoot, policy, artifact, sha512 }: SigstoreCheck,
): SigstoreVerification {
  const trust = parseTrustedRoot(trustedRoot);
  const bytes = typeof artifact === 'string' ? null : Buffer.from(artifact);
  const digest = typeof artifact === 'string' ? artifact : digestOf(artifact);
  const { content } = bundle.content;
  if (content.$case === 'messageSignature') checkMessageDigest(content.messageSignature.messageDigest, bytes);
  const { entity, stamps } = readEntity(bundle, bytes);
  checkLogsWithoutTime(entity, stamps, trust);
  const signer = checkIdentity(verifyEntity(entity, trust), policy.identities);
  const statement = readStatement(bundle.content, digest, sha512);
  return { signer, artifact: digest, statement, ...timesOf(entity, stamps) };
}

/** What the library verifies, and what timestamp authorities are said to say, in milliseconds: read here, where odd ones show. */
function readEntity({ content }: SigstoreBundle, bytes: Buffer | null): { entity: Entity; stamps: number[] } {
  try {
    const entity = toSignedEntity(content, bytes ?? undefined);
    const stamps = entity.timestamps.flatMap((each) =>
      each.$case === 'timestamp-authority' ? [each.timestamp.signingTime.getTime()] : [],
    );
    return { entity, stamps };
  } catch (error) {
    throw badBundle(messageOf(error), error);
  }
}

function verifyEntity(entity: Entity, trust: TrustMaterial): Signer {
  try {
    return new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 }).verify(entity);
  } catch (error) {
    throw error instanceof VerificationError ? refusalOf(error) : badBundle(messageOf(error), error);
  }
}

/** A checkpoint proves inclusion at no time of its own, and the library asks no validity of its key: another's word must fall into it. */
function checkLogsWithoutTime({ tlogEntries }: Entity, stamps: readonly number[], { tlogs }: TrustMaterial): void {
  for (const { logId, inclusionPromise } of tlogEntries) {
    if (inclusionPromise !== undefined) continue;
    const isValid = tlogs.some(
      ({ logID, validFor: { start, end } }) =>
        logID.equals(logId.keyId) && stamps.every((time) => start.getTime() <= time && time <= end.getTime()),
    );
    if (!isValid) throw refused('PROVENANCE_SIGSTORE_LOG', 'no key of its log was valid when it was signed');
  }
}

const HASHES: ReadonlyMap<number, string> = new Map([
  [HashAlgorithm.SHA2_384, 'sha384'],
  [HashAlgorithm.SHA2_512, 'sha512'],
]);

/** The digest that a message signature states is signed by nobody: it must be the artifact's, or the bundle is about another. */
function checkMessageDigest({ algorithm, digest }: MessageDigest, bytes: Buffer | null): void {
  if (bytes === null) {
    throw refused(
      'PROVENANCE_SIGSTORE_ARTIFACT',
      'it signs the bytes of an artifact, of which only the digest is known',
    );
  }
  const hash = createHash(HASHES.get(algorithm) ?? 'sha256');
  if (hash.update(bytes).digest().equals(digest)) return;
  throw refused('PROVENANCE_SIGSTORE_ARTIFACT', 'it names another digest than that of the artifact');
}

/** The issuer's and subject's names, when one of the identities has them. */
export function checkIdentity(
  { identity }: Signer,
  identities: readonly SigstoreIdentity[],
): { readonly issuer: string; readonly subject: string } {
  const issuer = identity?.extensions?.issuer;
  const subject = identity?.subjectAlternativeName;
  const extensions = identity?.oids ?? [];
  // attacker-controlled: the library reads 7 bits of each byte, so that other letters come out as these. The bytes decide.
  const isSpelled = (text: string | undefined): text is string =>
    text !== undefined && text !== '' && extensions.some(({ value }) => value.includes(text));
  if (!isSpelled(issuer) || !isSpelled(subject)) {
    throw refused('PROVENANCE_SIGSTORE_IDENTITY', 'its certificate names no issuer or no subject');
  }
  const isExpected = identities.some((one) => one.issuer === issuer && isInScope(one.subjectPattern, subject));
  if (isExpected) return { issuer, subject };
  const who = `'${excerptOf(subject, 160)}' by '${excerptOf(issuer, 80)}'`;
  throw refused('PROVENANCE_SIGSTORE_IDENTITY', `it was signed by ${who}, which is not expected`);
}

/** The statement from the very bytes that were verified; null when there is none to be had. */
function readStatement(
  { content }: SigstoreBundle['content'],
  digest: Digest,
  sha512: SigstoreCheck['sha512'],
): Statement | null {
  if (content.$case === 'messageSignature') return null;
  const { payloadType, payload } = content.dsseEnvelope;
  if (payloadType !== STATEMENT_MEDIA_TYPE) {
    throw refused('PROVENANCE_STATEMENT', 'its envelope holds no in-toto statement');
  }
  const statement = parseStatement(payload);
  if (statement.subjects.some((subject) => subject.digest === digest)) return statement;
  const { sha512Subjects } = statement;
  if (sha512 !== undefined && sha512Subjects.length > 0 && sha512Subjects.includes(sha512())) return statement;
  throw refused('PROVENANCE_SIGSTORE_ARTIFACT', 'its statement speaks of another artifact');
}

function timesOf(
  entity: Entity,
  stamps: readonly number[],
): Pick<SigstoreVerification, 'logIndex' | 'integratedMs' | 'timestampMs'> {
  // The verifier asked for at least one.
  const [entry] = entity.tlogEntries as [LogEntry, ...LogEntry[]];
  const isPromised = entry.inclusionPromise !== undefined;
  return {
    // The log's promise signs index and time of the entry; its proof the index in one shard, and no time.
    logIndex: Number(isPromised ? entry.logIndex : entry.inclusionProof?.logIndex),
    integratedMs: isPromised ? Number(entry.integratedTime) * 1000 : null,
    timestampMs: stamps.length === 0 ? null : Math.min(...stamps),
  };
}

function refusalOf(error: VerificationError): ProvenanceError {
  const why = excerptOf(error.message, 200);
  switch (error.code) {
    case 'TIMESTAMP_ERROR':
      return refused('PROVENANCE_SIGSTORE_TIME', `its time is not proved: ${why}`, error);
    case 'CERTIFICATE_ERROR':
      return refused('PROVENANCE_SIGSTORE_CERTIFICATE', `its certificate is not good: ${why}`, error);
    case 'SIGNATURE_ERROR':
      return refused('PROVENANCE_SIGSTORE_SIGNATURE', `its signature is not over this: ${why}`, error);
    default:
      return refused('PROVENANCE_SIGSTORE_LOG', `its log does not prove it: ${why}`, error);
  }
}

function refused(code: ProvenanceErrorCode, why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError(code, `the Sigstore bundle does not verify: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Check artifact, identity and trusted root, then get the bundle again from where it was made.',
    cause,
  });
}
