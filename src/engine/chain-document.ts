// A chain as a document: for `verify --json`, its tree and its graph. What is reached by several ways is written out once.
import type { Digest } from '../artifact/index.ts';
import { excerptOf, type Chain, type ChainLink, type ChainNode } from '../provenance/index.ts';

/** Characters of a git commit's id that people see. */
const COMMIT_CHARS_SHOWN = 12;
const TEXT_CHARS_MAX = 300;

/** A thing of the chain. */
export interface ChainNodeDocument {
  /** Null for a commit of which nobody says the SHA-256. */
  readonly digest: string | null;
  readonly role: string;
  readonly name: string | null;
  /** `again`: written out before; `loop`: the chain comes back to it. */
  readonly repeated: 'again' | 'loop' | null;
  readonly links: readonly ChainLinkDocument[];
}

/** One link, and what it leads to. */
export interface ChainLinkDocument {
  readonly kind: string;
  readonly status: 'verified' | 'missing' | 'failed';
  readonly reason: string;
  /** What it says; null for one that does not count. */
  readonly says: string | null;
  readonly signers: readonly { readonly keyName: string; readonly owner: string | null; readonly status: string }[];
  readonly predicateType: string | null;
  readonly envelopeDigest: string | null;
  /** Entry of the home's log, or of the one that is named. */
  readonly entry: { readonly index: number; readonly log: string | null } | null;
  /** Where it stands in the file that was given; left out for the home's own. */
  readonly line?: number;
  readonly leadsTo: readonly ChainNodeDocument[];
  /** Materials or contents beside, of which nothing is known. */
  readonly unknownCount: number;
}

/** The whole chain. */
export function chainDocument({ root }: Chain, lines: ReadonlyMap<Digest, number>): ChainNodeDocument {
  const written = new Set<ChainNode>();
  const nodeOf = (node: ChainNode): ChainNodeDocument => {
    const { digest, role, name, isLoop } = node;
    const isAgain = written.has(node) && node.links.length > 0;
    written.add(node);
    const repeated = isLoop ? 'loop' : isAgain ? 'again' : null;
    return { digest, role, name, repeated, links: isAgain ? [] : node.links.map(linkOf) };
  };
  const linkOf = (link: ChainLink): ChainLinkDocument => {
    const line = link.envelopeDigest === null ? undefined : lines.get(link.envelopeDigest);
    return { ...plainLink(link), ...(line === undefined ? {} : { line }), leadsTo: link.nodes.map(nodeOf) };
  };
  return nodeOf(root);
}

function plainLink(link: ChainLink): Omit<ChainLinkDocument, 'leadsTo'> {
  const { kind, status, reason, signatures, envelopeDigest, entry, unknownCount } = link;
  return {
    kind,
    status,
    reason,
    says: saysOf(link),
    signers: signatures.map(({ keyName, keyId, owner, status: worth }) => ({
      keyName: keyName ?? (keyId === null ? 'unknown' : excerptOf(keyId, 12)),
      owner,
      status: worth,
    })),
    predicateType: signatures[0]?.predicateType ?? null,
    envelopeDigest,
    entry,
    unknownCount,
  };
}

function saysOf({ claim }: ChainLink): string | null {
  switch (claim?.kind) {
    case 'source': {
      const { publisher, isSignatureVerified, commit } = claim;
      const by = publisher === null ? 'no known publisher' : `publisher ${excerptOf(publisher, TEXT_CHARS_MAX)}`;
      return `commit ${commit.slice(0, COMMIT_CHARS_SHOWN)} ${isSignatureVerified ? 'signed' : 'not provably signed'} by ${by}`;
    }
    case 'build':
      return `built by ${excerptOf(claim.builderId, TEXT_CHARS_MAX)}`;
    case 'deps':
    case 'test':
      return excerptOf(claim.reason, TEXT_CHARS_MAX);
    case 'reproduction':
      return claim.isEqual ? 'built again with the same result' : 'built again with another result';
    default:
      return null;
  }
}
