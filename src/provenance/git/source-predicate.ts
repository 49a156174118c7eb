// What a commit proves about where code came from: the predicate of a source attestation, and the publisher behind it.
import { rfc3339 } from '../../base/index.ts';
import { type CommitSignature, verifyCommit } from './commit-signature.ts';
import { type GitCommit, type GitPerson } from './git-commit.ts';
import type { KnownSigners } from './known-signers.ts';

/** Predicate type of a source attestation: our own, its predicate is a {@link SourcePredicate}. */
export const SOURCE_PREDICATE_TYPE = 'https://provost.dev/attestation/source/v1';

/** A person in a predicate: what the commit says, proven or not. */
export interface SourcePerson {
  readonly name: string;
  readonly email: string;
  /** RFC 3339 in UTC. */
  readonly time: string;
  /** Such as `+0200`. */
  readonly zone: string;
}

/** The facts about one commit, as they are signed and recorded. */
export interface SourcePredicate {
  /** Object id, and the SHA-256 of the commit's bytes. */
  readonly commit: string;
  readonly digest: string;
  readonly tree: string;
  /** SHA-256 id that git would give to the tree in a SHA-256 repository; null where nobody computed it. */
  readonly treeSha256: string | null;
  readonly parents: readonly string[];
  readonly author: SourcePerson;
  readonly committer: SourcePerson;
  /** When it was committed, by the committer's clock. */
  readonly time: string;
  readonly signature: CommitSignature;
  /** Who is behind it; null unless a verified signature says so. */
  readonly publisher: string | null;
  /** Why it is this publisher, or none. */
  readonly publisherReason: string;
}

/**
 * Describes where a commit came from. A publisher is named only by a verified signature with one of its keys, on a commit whose
 * committer uses one of its addresses: an author or an e-mail address alone is text that anyone can write.
 *
 * @param treeSha256 the tree's SHA-256 id where it was computed, see {@link readTreeSha256}
 */
export async function describeSource(
  commit: GitCommit,
  {
    signers,
    nowMs,
    treeSha256,
  }: { readonly signers: KnownSigners; readonly nowMs: number; readonly treeSha256?: string | null },
): Promise<SourcePredicate> {
  const signature = await verifyCommit(commit, signers, nowMs);
  const { publisher, reason } = publisherOf(commit, signature, signers);
  return {
    commit: commit.id,
    digest: commit.digest,
    tree: commit.tree,
    treeSha256: treeSha256 ?? (commit.format === 'sha256' ? commit.tree : null),
    parents: commit.parents,
    author: personOf(commit.author),
    committer: personOf(commit.committer),
    time: rfc3339(commit.committer.seconds * 1000),
    signature,
    publisher,
    publisherReason: reason,
  };
}

function personOf({ name, email, seconds, zone }: GitPerson): SourcePerson {
  return { name, email, time: rfc3339(seconds * 1000), zone };
}

function publisherOf(
  { committer }: GitCommit,
  { status, format, key, principal }: CommitSignature,
  { publishers }: KnownSigners,
): { readonly publisher: string | null; readonly reason: string } {
  if (status !== 'verified' || key === null)
    return none('Without a verified signature the author and committer are text that anyone can write.');
  const owner = publishers.get(key);
  if (owner === undefined) return none('The key that signed belongs to no known publisher.');
  const email = committer.email.toLowerCase();
  if (!owner.emails.has(email)) return none('The key’s publisher does not use the address of the committer.');
  // The list of allowed signers may let the key speak for other addresses than its publisher uses.
  if (format === 'ssh' && principal?.toLowerCase() !== email)
    return none('The allowed signers do not let this key speak for the address of the committer.');
  return { publisher: owner.id, reason: 'A key of this publisher signed, and the committer uses its address.' };
}

function none(reason: string): { readonly publisher: null; readonly reason: string } {
  return { publisher: null, reason };
}
