// Target of the attack corpus that walks a chain: who says what of which thing, where it is logged, and what is asked of it.
import { z } from 'zod';

import { digestOf } from '../../src/artifact/index.ts';
import type { ChainVerification, StoredAttestation } from '../../src/provenance/index.ts';
import { ChainFixture, COMMIT, resourceOf, type Said, says, things } from '../chain-fixture.ts';
import type { Outcome, Target } from './provenance-outcome.ts';

const person = z.enum(['alice', 'ci', 'rebuilder', 'lead', 'alice-reviews', 'mallory', 'stranger']);
const thing = z.enum(['image', 'product', 'lockfile', 'commit', 'other']);

const word = z.strictObject({
  by: person,
  says: z.enum(['release', 'build', 'source', 'deps', 'test', 'package', 'review', 'reproduction']),
  about: thing,
  /** Of a build: commits and other materials; git's id of the commits, where it is not the one of all cases. */
  commits: z.array(thing).optional(),
  materials: z.array(thing).optional(),
  commit: z.string().optional(),
  contents: z.array(thing).optional(),
  publisher: z.string().nullable().optional(),
  status: z.string().optional(),
  result: z.string().optional(),
  failedTests: z.array(z.string()).optional(),
  registry: z.string().optional(),
  isEqual: z.boolean().optional(),
  /** Where its entry is: that of another word, in no place of the log, or in no log at all. */
  entry: z.enum(['own', 'of another', 'none', 'in no log']).optional(),
  isTampered: z.boolean().optional(),
});
type Word = z.infer<typeof word>;

const chainSetup = z.strictObject({
  /** What the valid twin passes: a check with the best score, the lifted cap, the verdict, or that all is logged. */
  asks: z.enum(['provenance', 'source', 'dependencies', 'tests', 'lift', 'verdict', 'logged']).optional(),
  words: z.array(word).optional(),
  /** Taken into the words by their number, and behind them. */
  change: z.record(z.string(), word.partial()).optional(),
  add: z.array(word).optional(),
  revoked: z.enum(['alice', 'ci', 'lead']).optional(),
});

/** The release of an image from a package of one product, built from one commit. */
const WORDS: readonly Word[] = [
  { by: 'alice', says: 'release', about: 'image' },
  { by: 'ci', says: 'package', about: 'image', contents: ['product'] },
  { by: 'ci', says: 'build', about: 'product', commits: ['commit'], materials: ['lockfile'] },
  { by: 'alice', says: 'source', about: 'commit' },
  { by: 'ci', says: 'deps', about: 'lockfile' },
  { by: 'ci', says: 'test', about: 'commit' },
];

function saidOf(one: Word, before: readonly StoredAttestation[]): Said {
  switch (one.says) {
    case 'build': {
      const commits = (one.commits ?? []).map((name) => resourceOf(things[name], one.commit ?? COMMIT));
      return says.build([...commits, ...(one.materials ?? []).map((name) => resourceOf(things[name]))]);
    }
    case 'source': {
      const { status, publisher } = one;
      const more = { ...(status !== undefined && { status }), ...(publisher !== undefined && { publisher }) };
      return says.source(one.commit ?? COMMIT, things[one.about], more);
    }
    case 'deps':
      return says.deps(one.registry);
    case 'test': {
      const [type, predicate] = says.test(one.result);
      return [type, { ...(predicate as object), ...(one.failedTests && { failedTests: one.failedTests }) }];
    }
    case 'package':
      return says.package((one.contents ?? []).map((name) => things[name]));
    case 'reproduction':
      // The third word is the build, unless a case has another one of it.
      return says.reproduction(before[2]?.digest ?? digestOf('none'), one.isEqual);
    default:
      return says[one.says]();
  }
}

function tryChain(setup: unknown): Outcome {
  const { asks = 'verdict', words = WORDS, change = {}, add = [], revoked } = chainSetup.parse(setup);
  using fixture = new ChainFixture();
  const missing = new Set<number>();
  const said: StoredAttestation[] = [];
  const changed = words.map((each, at) => word.parse({ ...each, ...change[at] }));
  for (const one of [...changed, ...add]) {
    const made = fixture.make(one.by, saidOf(one, said), things[one.about]);
    const isLogged = one.entry !== 'in no log';
    const leaf = one.entry === 'of another' ? (fixture.log[0] ?? made.leaf) : made.leaf;
    const logIndex = isLogged ? fixture.log.push(leaf) - 1 : null;
    if (one.entry === 'none' && logIndex !== null) missing.add(logIndex);
    const bytes =
      one.isTampered === true ? Buffer.from(made.bytes.toString().replace('"sig":"', '"sig":"A')) : made.bytes;
    said.push(fixture.keep({ digest: made.digest, bytes, logIndex }, things[one.about]));
  }
  if (revoked !== undefined) fixture.revoke(revoked);
  const leafAt = (index: number): Buffer | null => (missing.has(index) ? null : (fixture.log[index] ?? null));
  return outcomeFor(asks, fixture.verify(things.image, { leafAt }));
}

function outcomeFor(asks: string, { verdict, findings, failures }: ChainVerification): Outcome {
  const { evidence, caps } = findings;
  const asked = evidence.find(({ check }) => check === `build.${asks}`);
  const all = evidence.map(({ reason }) => reason);
  const passed: Readonly<Record<string, boolean>> = {
    lift: caps.length === 0,
    verdict: verdict === 'verified',
    logged: all.every((reason) => !reason.includes('not logged')),
  };
  if (passed[asks] ?? asked?.score === 1) return { kind: 'accepted' };
  const reasons = [...failures, ...(asked === undefined ? evidence : [asked]), ...caps].map(({ reason }) => reason);
  return { kind: 'judged', verdict, cap: caps.map(({ id }) => id).join(), message: reasons.join('; ') };
}

/** Targets about a whole chain. */
export const chainTargets: Readonly<Record<string, Target>> = { chain: tryChain };
