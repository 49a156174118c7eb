// What a chain is: what was found about an artifact, and about all that it was made from.
import type { Digest } from '../../artifact/index.ts';
import type { SignatureVerdict } from '../judge-signature.ts';
import type { Claim, LinkKind } from './claims.ts';

/**
 * `verified`: a trusted key says it, and where it is logged the log's entry is its own; `missing`: nobody whose word counts says
 * it; `failed`: it is not what it claims to be, is by a revoked key, or is not in the log that it is said to be in.
 */
export type LinkStatus = 'verified' | 'missing' | 'failed';

/** Where a log has the entry of an attestation. */
export interface EntryPlace {
  readonly index: number;
  /** Name of another log, whose receipt was checked; null for the home's own. */
  readonly log: string | null;
}

/** One link: what an attestation says of a thing, and where it leads. */
export interface ChainLink {
  readonly kind: LinkKind;
  readonly status: LinkStatus;
  /** True for a failed link whose key was revoked. */
  readonly isRevoked: boolean;
  /** Null for a link that nobody made. */
  readonly envelopeDigest: Digest | null;
  readonly signatures: readonly SignatureVerdict[];
  /** Null for one that is in no log that was looked at. */
  readonly entry: EntryPlace | null;
  /** For people: one clause. */
  readonly reason: string;
  /** What it says; null unless it is verified. */
  readonly claim: Claim | null;
  /** What it leads to. */
  readonly nodes: readonly ChainNode[];
  /** Materials or contents that it names, and that nothing is known of. */
  readonly unknownCount: number;
}

/** What a thing of the chain is to the one before it. */
export type NodeRole = 'artifact' | 'commit' | 'material' | 'content';

/** A thing of the chain. One that is reached by several ways is one object. */
export interface ChainNode {
  /** Null for a commit of which nobody says the SHA-256. */
  readonly digest: Digest | null;
  readonly role: NodeRole;
  /** What the link to it calls it: escaped and cut, for people. */
  readonly name: string | null;
  readonly links: readonly ChainLink[];
  /** True where the chain comes back to something on its own way: it is not followed. */
  readonly isLoop: boolean;
}

/** The whole chain of an artifact. */
export interface Chain {
  readonly root: ChainNode;
  /** True when it was larger than what is looked at: then nothing of it counts. */
  readonly isTruncated: boolean;
}

/** A link that nobody made. */
export function missingLink(kind: LinkKind, reason: string): ChainLink {
  return {
    kind,
    status: 'missing',
    isRevoked: false,
    envelopeDigest: null,
    signatures: [],
    entry: null,
    reason,
    claim: null,
    nodes: [],
    unknownCount: 0,
  };
}

/** Each node once, from the artifact on. */
export function nodesOf(root: ChainNode): ChainNode[] {
  const found = new Set([root]);
  for (const node of found) for (const { nodes } of node.links) for (const next of nodes) found.add(next);
  return [...found];
}

/** The verified links of one kind, with what they say. */
export function verifiedLinks<K extends LinkKind>(
  { links }: ChainNode,
  kind: K,
): { readonly link: ChainLink; readonly claim: Extract<Claim, { readonly kind: K }> }[] {
  return links.flatMap((link) =>
    link.status === 'verified' && link.claim?.kind === kind
      ? [{ link, claim: link.claim as Extract<Claim, { readonly kind: K }> }]
      : [],
  );
}

/** Owners of the trusted keys that signed a link. */
export function ownersOf({ signatures }: ChainLink): string[] {
  return signatures.flatMap(({ status, owner }) => (status === 'trusted' && owner !== null ? [owner] : []));
}
