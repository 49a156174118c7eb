// Verifying an artifact by its whole chain: from what was signed about it back to the commits, and what all of that says. Pure.
import { summarise, type Summary, type Verification, type VerifyInput } from '../verify-artifact.ts';
import { type Chain, type ChainLink, type ChainNode, missingLink, nodesOf } from './chain.ts';
import type { ChainCache } from './chain-cache.ts';
import type { LinkKind } from './claims.ts';
import type { LinkContext, LogPorts } from './judge-link.ts';
import { scoreChain } from './score-chain.ts';
import { findReproduction, findReview } from './second-opinion.ts';
import { walkChain, type WalkPorts } from './walk.ts';

export interface ChainInput
  extends Omit<VerifyInput, 'attestations'>, WalkPorts, LogPorts, Pick<LinkContext, 'isOwnKey'> {
  /** Of the home's policy of origins; what it keeps makes judging again cheap. */
  readonly cache: ChainCache;
}

/** What an artifact's attestations and those about all that it was made from add up to. */
export interface ChainVerification extends Verification {
  readonly chain: Chain;
  /** The links that failed, wherever they are. */
  readonly failures: readonly ChainLink[];
}

/**
 * Verifies an artifact and all that leads to it. The verdict is that of its own signatures; a link that failed anywhere on the
 * chain fails the artifact. Never throws on what an attestation holds.
 */
export function verifyChain(input: ChainInput): ChainVerification {
  const { artifact } = input;
  const chain = walkChain(artifact, { ...input, artifactName: artifact.name });
  const nodes = nodesOf(chain.root);
  const failures = nodes.flatMap(({ links }) => links.filter(({ status }) => status === 'failed'));
  const own = summarise({ ...summaryOf(chain.root, failures), artifact: artifact.digest, caps: input.caps });
  const evidence = [...own.findings.evidence, ...scoreChain(chain, artifact.digest)];
  const caps = own.findings.caps.filter(({ id }) => id !== 'provenance-only' || !hasSecondOpinion(chain, input));
  const root = withMissing(chain.root, nodes);
  return { ...own, findings: { evidence, caps }, failures, chain: { ...chain, root } };
}

/** Kinds by which somebody says that the artifact is what it should be; `other` where a trust record lists its type. */
const ORIGIN_KINDS: ReadonlySet<LinkKind> = new Set(['release', 'build', 'other']);

function summaryOf(root: ChainNode, failures: readonly ChainLink[]): Omit<Summary, 'artifact' | 'caps'> {
  const signatures = root.links.flatMap((link) => link.signatures);
  const counting = root.links.filter(({ kind, status }) => status === 'verified' && ORIGIN_KINDS.has(kind));
  // Who released it is its publisher, before whoever built it.
  const first = counting.toSorted((a, b) => Number(b.kind === 'release') - Number(a.kind === 'release'));
  const origins = first.flatMap((link) => link.signatures).filter(({ status }) => status === 'trusted');
  // The worst decides: what was tampered with or revoked is never outvoted by what is good.
  const failure = failures.find(({ isRevoked }) => !isRevoked) ?? failures[0];
  if (failure !== undefined) {
    const verdict = failure.isRevoked ? 'revoked' : 'failed';
    return { verdict, signatures, origins, decisive: failure };
  }
  const [trusted] = origins;
  if (trusted !== undefined) return { verdict: 'verified', signatures, origins, decisive: trusted };
  // That it was started here, or how it behaved, says nothing of who made it.
  const claimed = root.links
    .filter(({ kind }) => kind !== 'deploy' && kind !== 'runtime')
    .flatMap((link) => link.signatures);
  const verdict = claimed.length > 0 ? 'untrusted' : 'unsigned';
  return { verdict, signatures, origins, decisive: claimed[0] ?? null };
}

function hasSecondOpinion({ root, isTruncated }: Chain, { caps }: ChainInput): boolean {
  if (isTruncated) return false;
  const { liftedByReview, liftedByReproduction } = caps.provenanceOnly;
  return (liftedByReview && findReview(root) !== null) || (liftedByReproduction && findReproduction(root) !== null);
}

/** What a whole life has, in its order, and what is said where nobody recorded it. */
const STAGES: readonly (readonly [LinkKind, string])[] = [
  ['source', 'no commit is known that it comes from'],
  ['build', 'nobody says how it was built'],
  ['deps', 'nobody says what it depends on'],
  ['test', 'nobody says that it was tested'],
  ['package', 'nobody says what it was packed from'],
  ['deploy', 'it was never started here'],
];

function withMissing(root: ChainNode, nodes: readonly ChainNode[]): ChainNode {
  const found = new Set(nodes.flatMap(({ links }) => links.map(({ kind }) => kind)));
  const missing: ChainLink[] = STAGES.filter(([kind]) => !found.has(kind)).map(([kind, why]) => missingLink(kind, why));
  return { ...root, links: [...root.links, ...missing] };
}
