// The walk from an artifact back to its commits, along what trusted keys say. Bounded in depth, things and look-ups.
import type { Digest } from '../../artifact/index.ts';
import type { StoredAttestation } from '../attestation-store.ts';
import { excerptOf } from '../excerpt.ts';
import { digestOfResource, type Resource } from '../resource.ts';
import { type Chain, type ChainLink, type ChainNode, missingLink, type NodeRole } from './chain.ts';
import { type Claim, gitCommitOf } from './claims.ts';
import { judgeLink, type LinkContext } from './judge-link.ts';

/** Steps from the artifact: image, bundle, program, object, generated source, commit leave as much again. */
const DEPTH_MAX = 16;
/** Things about which anything is known; each costs what its attestations cost. */
const NODES_MAX = 512;
/** Materials that are looked up: those of a large build, and of what it is made from. */
const LOOKUPS_MAX = 16_384;
const NAME_CHARS_MAX = 120;

export interface WalkPorts {
  readonly attestationsOf: (subject: Digest) => readonly StoredAttestation[];
  /** The SHA-256 of a commit by git's id, where somebody knows it; nobody does when left out. */
  readonly commitDigestOf?: (commit: string) => Digest | null;
}

export interface WalkContext extends LinkContext, WalkPorts {}

/** Walks from an artifact. Never throws on what attestations hold. */
export function walkChain(artifact: { readonly digest: Digest }, context: WalkContext): Chain {
  const walk = new Walk(context);
  const root = walk.visit({ role: 'artifact', digest: artifact.digest, commit: null, name: null }, 0);
  return { root, isTruncated: walk.isTruncated };
}

interface Step {
  readonly role: NodeRole;
  readonly digest: Digest;
  readonly commit: string | null;
  readonly name: string | null;
}

class Walk {
  readonly #context: WalkContext;
  readonly #nodes = new Map<string, ChainNode>();
  readonly #way = new Set<Digest>();
  #lookups = 0;
  isTruncated = false;

  constructor(context: WalkContext) {
    this.#context = context;
  }

  visit(step: Step, depth: number): ChainNode {
    const { digest, role, commit, name } = step;
    if (this.#way.has(digest)) return { digest, role, name, links: [], isLoop: true };
    const key = `${role} ${digest} ${commit ?? ''}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    if (depth > DEPTH_MAX || this.#nodes.size >= NODES_MAX) {
      this.isTruncated = true;
      return { digest, role, name, links: [], isLoop: false };
    }
    this.#way.add(digest);
    const links = this.#attestationsOf(digest)
      .toSorted(byPlace)
      .map((attestation) => {
        const link = judgeLink(attestation, step, this.#context);
        return link.claim === null ? link : { ...link, ...this.#follow(link.claim, depth + 1) };
      });
    this.#way.delete(digest);
    const node: ChainNode = { digest, role, name, links: withMissing(role, links), isLoop: false };
    this.#nodes.set(key, node);
    return node;
  }

  #attestationsOf(digest: Digest): readonly StoredAttestation[] {
    this.#lookups += 1;
    if (this.#lookups <= LOOKUPS_MAX) return this.#context.attestationsOf(digest);
    this.isTruncated = true;
    return [];
  }

  #follow(claim: Claim, depth: number): Pick<ChainLink, 'nodes' | 'unknownCount'> {
    if (claim.kind === 'build') return this.#followAll(claim.materials, (one) => this.#material(one, depth));
    if (claim.kind === 'package') return this.#followAll(claim.contents, (one) => this.#content(one, depth));
    return { nodes: [], unknownCount: 0 };
  }

  #followAll(
    resources: readonly Resource[],
    follow: (resource: Resource) => ChainNode | null,
  ): Pick<ChainLink, 'nodes' | 'unknownCount'> {
    const nodes = resources.map(follow).filter((node) => node !== null);
    return { nodes: [...new Set(nodes)], unknownCount: resources.length - nodes.length };
  }

  /** A commit in any case, as whether it is recorded counts; another material where anything is known of it. */
  #material(resource: Resource, depth: number): ChainNode | null {
    const name = nameOf(resource);
    const commit = gitCommitOf(resource);
    const digest =
      digestOfResource(resource) ?? (commit === null ? null : (this.#context.commitDigestOf?.(commit) ?? null));
    if (commit !== null) {
      if (digest === null) return { digest, role: 'commit', name, links: withMissing('commit', []), isLoop: false };
      return this.visit({ role: 'commit', digest, commit, name }, depth);
    }
    if (digest === null || this.#attestationsOf(digest).length === 0) return null;
    return this.visit({ role: 'material', digest, commit, name }, depth);
  }

  /** Each of the contents in any case: all of them must have been built. */
  #content(resource: Resource, depth: number): ChainNode {
    const [digest, name] = [digestOfResource(resource), nameOf(resource)];
    if (digest === null) return { digest, role: 'content', name, links: withMissing('content', []), isLoop: false };
    return this.visit({ role: 'content', digest, commit: null, name }, depth);
  }
}

/** In the order of the log, which nobody can choose; what came in a file last. */
function byPlace(a: StoredAttestation, b: StoredAttestation): number {
  return (a.logIndex ?? Number.MAX_SAFE_INTEGER) - (b.logIndex ?? Number.MAX_SAFE_INTEGER);
}

/** A commit that nobody recorded, and contents that nobody built, are links that are missing. */
function withMissing(role: NodeRole, links: readonly ChainLink[]): readonly ChainLink[] {
  const has = (kind: ChainLink['kind']): boolean => links.some((link) => link.kind === kind);
  if (role === 'commit' && !has('source')) return [...links, missingLink('source', 'nobody recorded this commit')];
  if (role === 'content' && !has('build') && !has('package'))
    return [...links, missingLink('build', 'nobody says how it was built')];
  return links;
}

function nameOf({ name, uri }: Resource): string | null {
  const text = name ?? uri;
  return text === null ? null : excerptOf(text, NAME_CHARS_MAX);
}
