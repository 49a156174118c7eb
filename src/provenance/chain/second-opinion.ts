// Whether somebody else than its makers stands behind an artifact: a reviewer of what was built, or a builder who got the same.
import { type ChainLink, type ChainNode, ownersOf, verifiedLinks } from './chain.ts';
import { commitsOf } from './score-chain.ts';

/** People and teams, as the keyring and the list of publishers call them. */
type Parties = ReadonlySet<string>;

/** Ways that are tried; a chain has few, and one that was made to have many finds no review. */
const WAYS_MAX = 4096;

/**
 * The reviews that make two parties of an artifact: one way from it to its commits on which, beside who built it and who wrote
 * each commit, a reviewer read the artifact, or every commit. Null without. Whose commit it is must be proven: an author whom
 * nobody knows may be the reviewer.
 */
export function findReview(root: ChainNode): Links | null {
  return new ReviewSearch().ofNode(root, { reviews: [], parties: new Set() });
}

type Links = readonly ChainLink[];

interface Inherited {
  /** Of what it was put into. */
  readonly reviews: Links;
  /** Who put it there. */
  readonly parties: Parties;
}

class ReviewSearch {
  #ways = 0;

  ofNode(node: ChainNode, { reviews, parties }: Inherited): Links | null {
    this.#ways += 1;
    if (this.#ways > WAYS_MAX) return null;
    const about = [...reviews, ...verifiedLinks(node, 'review').map(({ link }) => link)];
    for (const { link, claim } of verifiedLinks(node, 'build')) {
      // Nobody has read what lay beside the commit.
      if (!claim.isClean) continue;
      const found = reviewOfBuild(link, { reviews: about, parties });
      if (found !== null) return found;
    }
    for (const { link } of verifiedLinks(node, 'package')) {
      const within = { reviews: about, parties: new Set([...parties, ...ownersOf(link).map(plain)]) };
      const found = allOf(link.nodes, (content) => this.ofNode(content, within));
      if (found !== null) return found;
    }
    return null;
  }
}

function reviewOfBuild(build: ChainLink, { reviews, parties }: Inherited): Links | null {
  const commits = commitsOf(build);
  const authors = commits.map(publishersOf);
  if (authors.some((publishers) => publishers.length === 0)) return null;
  const makers = new Set([...parties, ...ownersOf(build).map(plain), ...authors.flat().map(plain)]);
  return allOf(commits, (commit) => {
    const ofCommit = [...reviews, ...verifiedLinks(commit, 'review').map(({ link }) => link)];
    const review = ofCommit.find((link) => ownersOf(link).some((owner) => !makers.has(plain(owner))));
    return review === undefined ? null : [review];
  });
}

/** All or nothing; of nothing, nothing. */
function allOf(nodes: readonly ChainNode[], find: (node: ChainNode) => Links | null): Links | null {
  if (nodes.length === 0) return null;
  // Each once: what is reached by many ways would be more than memory holds.
  const found = new Set<ChainLink>();
  for (const node of nodes) {
    const links = find(node);
    if (links === null) return null;
    for (const link of links) found.add(link);
  }
  return [...found];
}

/** Who provably wrote a commit. */
function publishersOf(commit: ChainNode): string[] {
  return verifiedLinks(commit, 'source').flatMap(({ claim: { isSignatureVerified, publisher } }) =>
    isSignatureVerified && publisher !== null ? [publisher] : [],
  );
}

/** One person in two spellings is one. */
function plain(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

/**
 * The reproductions of an artifact: a builder of another owner built it again by its provenance and got the same, and none got
 * something else. Of a package, of all that is in it. Null without.
 */
export function findReproduction(root: ChainNode): Links | null {
  const known = new Map<ChainNode, Links | null>();
  const from = (node: ChainNode): Links | null => {
    const before = known.get(node);
    if (before !== undefined) return before;
    const found = reproductionOf(node) ?? contentsReproduced(node, from);
    known.set(node, found);
    return found;
  };
  return from(root);
}

function reproductionOf(node: ChainNode): Links | null {
  for (const { link: build } of verifiedLinks(node, 'build')) {
    const makers = new Set(ownersOf(build).map(plain));
    const tried = verifiedLinks(node, 'reproduction').filter(({ claim }) => claim.provenance === build.envelopeDigest);
    const equal = tried.find(({ link }) => ownersOf(link).some((owner) => !makers.has(plain(owner))));
    if (equal !== undefined && tried.every(({ claim }) => claim.isEqual)) return [build, equal.link];
  }
  return null;
}

function contentsReproduced(node: ChainNode, from: (content: ChainNode) => Links | null): Links | null {
  for (const { link } of verifiedLinks(node, 'package')) {
    const found = allOf(link.nodes, from);
    if (found !== null) return found;
  }
  return null;
}
