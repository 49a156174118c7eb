// What a chain proves, as evidence. What is a proof (built from a recorded commit, which its publisher signed) is worth the best way
// from the artifact to its commits; what is a judgement (of dependencies, tests, build files) the worst that a trusted key signed.
import type { Digest } from '../../artifact/index.ts';
import type { Evidence } from '../../trust/index.ts';
import { shown } from '../excerpt.ts';
import { type Chain, type ChainLink, type ChainNode, nodesOf, verifiedLinks } from './chain.ts';

/** Checks that a chain answers, in the order of the evidence. */
export const chainChecks = [
  'build.provenance',
  'build.source',
  'build.environment',
  'build.dependencies',
  'build.tests',
] as const;
type ChainCheck = (typeof chainChecks)[number];

/** Recorded, but not as good as it can be: a build of an unrecorded commit, a commit that nobody provably signed. */
const HALF = 0.5;

/** Log entries that a reason names. */
const ENTRIES_SHOWN = 6;

/** A verified build, with what it says. */
type Build = ReturnType<typeof verifiedLinks<'build'>>[number];

/** What something is worth, why, and the links that say it. */
interface Finding {
  readonly score: number;
  readonly reason: string;
  readonly links: readonly ChainLink[];
}

/** One piece of evidence a check; what is unknown is 0. Never throws. */
export function scoreChain({ root, isTruncated }: Chain, artifact: Digest): Evidence[] {
  if (isTruncated) return chainChecks.map((check) => evidenceOf(check, TOO_LARGE, artifact));
  const findings: Readonly<Record<ChainCheck, Finding>> = {
    'build.provenance': alongBuilds(root, provenanceOf, 'no trusted key says how it was built'),
    'build.source': alongBuilds(root, sourceOf, 'no recorded commit is known to be its source'),
    'build.environment': alongBuilds(root, environmentOf, 'nobody judged the files that say how it is built'),
    'build.dependencies': worstJudgement(root, 'deps', 'no trusted key says what it depends on'),
    'build.tests': worstJudgement(root, 'test', 'no trusted key says that tests were run'),
  };
  return chainChecks.map((check) => evidenceOf(check, findings[check], artifact));
}

const TOO_LARGE: Finding = { score: 0, reason: 'its chain is larger than what is looked at', links: [] };

function evidenceOf(check: ChainCheck, { score, reason, links }: Finding, artifact: Digest): Evidence {
  const source = links.find(({ envelopeDigest }) => envelopeDigest !== null)?.envelopeDigest ?? artifact;
  const ends = links.map(endOf).filter((end) => end !== null);
  const expiresMs = ends.length === 0 ? null : Math.min(...ends);
  return { check, score, reason: `${reason}${entriesText(links)}`, source, expiresMs };
}

/** When the last trust in those who signed it ends; null: never. */
function endOf({ signatures }: ChainLink): number | null {
  const trusted = signatures.filter(({ status }) => status === 'trusted').map(({ expiresMs }) => expiresMs);
  return trusted.includes(null) ? null : Math.max(...trusted.filter((end) => end !== null));
}

/** Where the log has what a finding rests on. */
function entriesText(links: readonly ChainLink[]): string {
  if (links.length === 0) return '';
  const entries = links.flatMap(({ entry }) => (entry === null ? [] : [entry]));
  const unlogged = links.length - entries.length;
  const parts = [
    ...[...Map.groupBy(entries, ({ log }) => log)].map(([log, of]) =>
      indexesText(
        of.map(({ index }) => index),
        log,
      ),
    ),
    ...(unlogged === 0 ? [] : [`${unlogged} not logged`]),
  ];
  return ` (${parts.join('; ')})`;
}

function indexesText(all: readonly number[], log: string | null): string {
  const indexes = [...new Set(all)].sort((a, b) => a - b);
  const more = indexes.length > ENTRIES_SHOWN ? [`${indexes.length - ENTRIES_SHOWN} more`] : [];
  const shownOf = [...indexes.slice(0, ENTRIES_SHOWN), ...more].join(', ');
  return `log ${indexes.length === 1 ? 'entry' : 'entries'} ${shownOf}${log === null ? '' : ` of ${log}`}`;
}

function best(findings: readonly Finding[], otherwise: string): Finding {
  const none: Finding = { score: 0, reason: otherwise, links: [] };
  // The first of equals, but anything that was said before nothing.
  return findings.reduce(
    (most, one) => (one.score > most.score || most.links.length === 0 ? one : most),
    findings[0] ?? none,
  );
}

function worst(findings: readonly Finding[], otherwise: string): Finding {
  const none: Finding = { score: 0, reason: otherwise, links: [] };
  return findings.reduce((least, one) => (one.score < least.score ? one : least), findings[0] ?? none);
}

/** The best of the ways from a thing to its commits: its own builds, or packages all of whose contents have one. */
function alongBuilds(node: ChainNode, judge: (build: Build) => Finding, otherwise: string): Finding {
  const known = new Map<ChainNode, Finding>();
  const from = (one: ChainNode): Finding => {
    const before = known.get(one);
    if (before !== undefined) return before;
    const builds = verifiedLinks(one, 'build').map(judge);
    const packages = verifiedLinks(one, 'package').map(({ link }) => throughPackage(link, from));
    const found = best([...builds, ...packages], otherwise);
    known.set(one, found);
    return found;
  };
  return from(node);
}

function throughPackage(link: ChainLink, from: (node: ChainNode) => Finding): Finding {
  const contents = link.nodes.map(from);
  const least = worst(contents, 'its package names no contents');
  // Each once: what is reached by many ways would be more than memory holds.
  const links = new Set([link, ...contents.flatMap((content) => content.links)]);
  return { score: least.score, reason: least.reason, links: [...links] };
}

/** Commits of a build; each must be known for the build to be. */
export function commitsOf({ nodes }: ChainLink): ChainNode[] {
  return nodes.filter(({ role }) => role === 'commit');
}

function provenanceOf({ link: build, claim: { isClean } }: Build): Finding {
  const commits = commitsOf(build);
  const recorded = commits.flatMap((commit) =>
    verifiedLinks(commit, 'source')
      .slice(0, 1)
      .map(({ link }) => link),
  );
  const by = signersText(build);
  if (commits.length === 0)
    return { score: HALF, reason: `built by ${by}, from no commit that it names`, links: [build] };
  if (recorded.length < commits.length)
    return { score: HALF, reason: `built by ${by}, from a commit that is not recorded`, links: [build] };
  if (!isClean) return { score: HALF, reason: `built by ${by} from more than its commit`, links: [build, ...recorded] };
  return { score: 1, reason: `built by ${by} from a recorded commit`, links: [build, ...recorded] };
}

function signersText({ signatures }: ChainLink): string {
  const names = signatures.flatMap(({ status, keyName }) =>
    status === 'trusted' && keyName !== null ? [keyName] : [],
  );
  return [...new Set(names)].map((name) => `'${name}'`).join(' and ');
}

function sourceOf({ link: build, claim: { isClean } }: Build): Finding {
  const commits = commitsOf(build).map((commit) => {
    const sources = verifiedLinks(commit, 'source').map(({ link, claim }): Finding => {
      const { publisher, isSignatureVerified } = claim;
      if (isSignatureVerified && publisher !== null)
        return { score: 1, reason: `its commit is signed by publisher ${shown(publisher)}`, links: [link] };
      const reason = isSignatureVerified
        ? 'its commit is signed by a key of no known publisher'
        : 'its commit is recorded, and nobody provably signed it';
      return { score: HALF, reason, links: [link] };
    });
    return best(sources, NO_COMMIT);
  });
  const found = worst(commits, NO_COMMIT);
  // Whoever signed the commit signed nothing of what lay beside it.
  return isClean || found.score <= HALF
    ? found
    : { ...found, score: HALF, reason: `${found.reason}, but more was built` };
}

const NO_COMMIT = 'its commit is not recorded';

function environmentOf({ link: build }: Build): Finding {
  const commits = commitsOf(build).map((commit) => {
    const judged = verifiedLinks(commit, 'source').flatMap(({ link, claim: { environment } }): Finding[] =>
      environment === null
        ? []
        : [{ score: environment, reason: 'the files that say how its commit is built', links: [link] }],
    );
    return worst(judged, NO_ENVIRONMENT);
  });
  return worst(commits, NO_ENVIRONMENT);
}

const NO_ENVIRONMENT = 'nobody judged the files that say how its commit is built';

function worstJudgement(root: ChainNode, kind: 'deps' | 'test', otherwise: string): Finding {
  const judged = nodesOf(root).flatMap((node) =>
    verifiedLinks(node, kind).map(({ link, claim: { score, reason } }): Finding => ({ score, reason, links: [link] })),
  );
  return worst(judged, otherwise);
}
