// One attestation about one thing of the chain: is it a link, and of what worth.
import type { Digest } from '../../artifact/index.ts';
import type { StoredAttestation } from '../attestation-store.ts';
import type { SignatureVerdict } from '../judge-signature.ts';
import type { ChainLink, EntryPlace } from './chain.ts';
import type { ChainCache, Moment, ReadAttestation } from './chain-cache.ts';
import type { Claim } from './claims.ts';
import { leafFault } from './leaf-check.ts';

/** The entry of an attestation in another log, under a receipt that was checked. */
export interface ReceiptedEntry {
  readonly log: string;
  readonly index: number;
  readonly leaf: Uint8Array;
}

/** Where entries are found. */
export interface LogPorts {
  /** The entry of the home's own log at this index, as the log really has it; null when it has none. */
  readonly leafAt: (index: number) => Uint8Array | null;
  /** Entries of other logs by the digest of the envelope; a text says why a receipt does not hold. None when left out. */
  readonly receipts?: ReadonlyMap<Digest, ReceiptedEntry | string>;
}

export interface LinkContext extends LogPorts, Moment {
  /** Of the artifact whose chain it is: what scopes are matched with. */
  readonly artifactName: string;
  /** True for a key whose private part the home has: what it says of its deployments is shown, whoever trusts it. */
  readonly isOwnKey?: (keyId: string) => boolean;
  readonly cache: ChainCache;
}

/** A thing of the chain, as what leads to it names it. */
export interface Subject {
  readonly digest: Digest;
  /** Git's id, for a commit that was named by it; null otherwise. */
  readonly commit: string | null;
}

const UNLED = { nodes: [], unknownCount: 0 } as const;

/** Judges an attestation. Never throws on what it holds. */
export function judgeLink(attestation: StoredAttestation, subject: Subject, context: LinkContext): ChainLink {
  const read = context.cache.read(attestation);
  const kind = read?.kind ?? 'other';
  const about = {
    digest: subject.digest,
    name: context.artifactName,
    kind,
    predicateType: read?.statement.predicateType ?? '',
  };
  const signatures = context.cache.judge(attestation, about, { keyring: context.keyring, nowMs: context.nowMs });
  const place = entryOf(attestation, context);
  const base = { kind, envelopeDigest: attestation.digest, signatures, entry: place?.entry ?? null, ...UNLED };
  const failed = (reason: string, isRevoked = false): ChainLink => ({
    ...base,
    status: 'failed',
    isRevoked,
    reason,
    claim: null,
  });
  const { reason, status } = worstOf(signatures);
  if (status === 'failed' || status === 'revoked') return failed(reason, status === 'revoked');
  const isOwn = kind === 'deploy' && signatures.some((one) => isByOwnKey(one, context));
  if ((status !== 'trusted' && !isOwn) || read === null)
    return { ...base, status: 'missing', isRevoked: false, reason, claim: null };
  const fault = place === null ? null : (place.fault ?? leafFault(place.leaf, attestation, read));
  if (fault !== null) return failed(fault);
  const signed = isOwn ? 'signed by a key of this home' : reason;
  return { ...base, isRevoked: false, ...judgeClaim(read, subject, signed) };
}

/** A signature that holds, by a key that may be trusted with nothing. */
function isByOwnKey({ status, keyId }: SignatureVerdict, { isOwnKey }: LinkContext): boolean {
  return status === 'untrusted' && keyId !== null && isOwnKey?.(keyId) === true;
}

/** The worst decides; of what is not that bad, one trusted key suffices. */
function worstOf(signatures: readonly SignatureVerdict[]): Pick<SignatureVerdict, 'status' | 'reason'> {
  const order = ['failed', 'revoked', 'trusted', 'untrusted'] as const;
  for (const status of order) {
    const found = signatures.find((signature) => signature.status === status);
    if (found !== undefined) return found;
  }
  return { status: 'unknown', reason: signatures[0]?.reason ?? 'nobody signed it' };
}

interface Place {
  readonly entry: EntryPlace | null;
  readonly leaf: Uint8Array | null;
  readonly fault: string | null;
}

/** Null for an attestation that is in no log. */
function entryOf({ digest, logIndex }: StoredAttestation, { leafAt, receipts }: LogPorts): Place | null {
  if (logIndex !== null) return { entry: { index: logIndex, log: null }, leaf: leafAt(logIndex), fault: null };
  const receipt = receipts?.get(digest);
  if (receipt === undefined) return null;
  if (typeof receipt === 'string') return { entry: null, leaf: null, fault: receipt };
  return { entry: { index: receipt.index, log: receipt.log }, leaf: receipt.leaf, fault: null };
}

function judgeClaim(
  read: ReadAttestation,
  subject: Subject,
  signed: string,
): Pick<ChainLink, 'status' | 'reason' | 'claim'> {
  const claim = read.claim();
  if (typeof claim === 'string') return { status: 'missing', reason: claim, claim: null };
  const contradiction = claim.kind === 'source' ? contradictionOf(claim, subject) : null;
  if (contradiction !== null) return { status: 'failed', reason: contradiction, claim: null };
  return { status: 'verified', reason: signed, claim };
}

/** A commit is the one that was built only when all its names agree. */
function contradictionOf(
  claim: Extract<Claim, { readonly kind: 'source' }>,
  { digest, commit }: Subject,
): string | null {
  if (claim.digest !== digest) return 'it speaks of a commit with another digest';
  return commit === null || claim.commit === commit ? null : `it speaks of commit ${claim.commit}, not of ${commit}`;
}
