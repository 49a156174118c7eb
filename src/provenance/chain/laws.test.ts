// What holds of every chain: nothing that is taken away makes an artifact better, and strangers change nothing.
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';

import { type Digest, digestOf } from '../../artifact/index.ts';
import { ChainFixture, COMMIT, type Person, resourceOf, type Said, says, things } from '../../../test/chain-fixture.ts';
import type { ChainVerification, StoredAttestation } from '../index.ts';
import { chainChecks } from './score-chain.ts';

const OTHER_COMMIT = 'd0'.repeat(20);
const { image, product, lockfile, commit, other } = things;
const RUNS = 150;
const keys = new ChainFixture();

afterAll(() => {
  keys[Symbol.dispose]();
});

/** One thing that somebody may say, by which an artifact may only look worse. */
interface Statement {
  readonly who: Person;
  readonly about: Digest;
  readonly said: Said;
  /** It speaks against the artifact, or leads to what does: without it the artifact may look better. */
  readonly isAdverse: boolean;
}

const person = fc.constantFrom<Person>('alice', 'ci', 'rebuilder', 'lead', 'alice-reviews', 'mallory', 'stranger');
const thing = fc.constantFrom(image, product, lockfile, commit, other);
const materials = fc.subarray([
  resourceOf(commit, COMMIT),
  resourceOf(other, OTHER_COMMIT),
  resourceOf(lockfile),
  resourceOf(null, COMMIT),
]);

const BUILD_OF_COMMIT = keys.make('ci', says.build([resourceOf(commit, COMMIT)]), product).digest;

const what = fc.oneof(
  fc.constantFrom(
    { said: says.release(), isAdverse: false },
    { said: says.review(), isAdverse: false },
    { said: says.deploy(), isAdverse: false },
    { said: says.deps(), isAdverse: false },
    { said: says.deps('https://registry.evil.test/'), isAdverse: true },
    { said: says.reproduction(BUILD_OF_COMMIT), isAdverse: false },
    { said: says.reproduction(BUILD_OF_COMMIT, false), isAdverse: true },
    { said: says.test(), isAdverse: false },
    { said: says.test('WARNED'), isAdverse: true },
    { said: says.test('FAILED'), isAdverse: true },
    { said: ['https://example.com/unknown', { x: 1 }] as const, isAdverse: false },
    { said: says.build([resourceOf(commit, COMMIT)]), isAdverse: false },
    { said: says.build([resourceOf(commit, COMMIT)], false), isAdverse: false },
  ),
  materials.map((all) => ({ said: says.build(all), isAdverse: false })),
  fc.subarray([product, lockfile]).map((all) => ({ said: says.package(all), isAdverse: false })),
);

const statement: fc.Arbitrary<Statement> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ who: person, about: thing, what }).map(({ what: it, ...rest }) => ({ ...rest, ...it })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        who: person,
        isOther: fc.boolean(),
        publisher: fc.constantFrom('alice', null),
        status: fc.constantFrom('verified', 'unsigned'),
        environment: fc.constantFrom(null, 1, 0.5),
      })
      .map(({ who, isOther, environment, ...rest }) => {
        const about = isOther ? other : commit;
        const said = says.source(isOther ? OTHER_COMMIT : COMMIT, about, { ...rest, environment });
        return { who, about, said, isAdverse: environment === 0.5 };
      }),
  },
);

const statements = fc.array(statement, { maxLength: 9 });

/** A chain of its own over the keys of all. */
function say(all: readonly Statement[]): { readonly world: World; readonly made: readonly StoredAttestation[] } {
  const world: World = { log: [], attestations: new Map() };
  const made = all.map(({ who, about, said }) => {
    const { bytes, digest, leaf } = keys.make(who, said, about);
    const attestation = { bytes, digest, logIndex: world.log.push(leaf) - 1 };
    world.attestations.set(about, [...(world.attestations.get(about) ?? []), attestation]);
    return attestation;
  });
  return { world, made };
}

interface World {
  readonly log: Buffer[];
  readonly attestations: Map<Digest, StoredAttestation[]>;
}

function verify({ log, attestations }: World, without: StoredAttestation | null = null): ChainVerification {
  return keys.verify(image, {
    attestationsOf: (subject) => (attestations.get(subject) ?? []).filter((one) => one !== without),
    leafAt: (index) => log[index] ?? null,
  });
}

function worth({ findings }: ChainVerification): { readonly scores: number[]; readonly max: number } {
  const checks = ['build.attestation', ...chainChecks];
  const scores = checks.map((check) => findings.evidence.find((one) => one.check === check)?.score ?? 0);
  return { scores, max: Math.min(1, ...findings.caps.map(({ max }) => max)) };
}

/** Everything that leads to something that speaks against the artifact does so too. */
function leadsToAdverse(all: readonly Statement[], at: number): boolean {
  const [one] = all.slice(at, at + 1);
  if (one === undefined || one.isAdverse) return true;
  const isLink = one.said[0].includes('slsa.dev') || one.said[0].includes('/package/');
  return isLink && all.some(({ isAdverse }) => isAdverse);
}

it('taking an attestation away never raises a check or a cap, unless it speaks against the artifact or leads to what does', () => {
  let tried = 0;
  fc.assert(
    fc.property(statements, (all) => {
      const { world, made } = say(all);
      const whole = worth(verify(world));
      for (const [at, one] of made.entries()) {
        if (leadsToAdverse(all, at)) continue;
        tried += 1;
        const less = worth(verify(world, one));
        for (const [n, score] of less.scores.entries()) expect(score).toBeLessThanOrEqual(whole.scores[n] ?? 0);
        expect(less.max).toBeLessThanOrEqual(whole.max);
      }
    }),
    { numRuns: RUNS },
  );
  expect(tried).toBeGreaterThan(RUNS);
});

it('what strangers say changes no score, no cap and no publisher', () => {
  fc.assert(
    fc.property(statements, fc.array(statement, { minLength: 1, maxLength: 4 }), (all, more) => {
      const strange = more.map((one, at) => ({
        ...one,
        who: at % 2 === 0 ? ('stranger' as const) : ('mallory' as const),
      }));
      const before = verify(say(all).world);
      const after = verify(say([...all, ...strange]).world);
      expect(worth(after)).toEqual(worth(before));
      expect(after.publishers).toEqual(before.publishers);
      const proven = ({ findings }: ChainVerification) =>
        findings.evidence.filter(({ check }) => check !== 'build.attestation');
      expect(proven(after)).toEqual(proven(before));
    }),
    { numRuns: RUNS },
  );
});

it('a byte that was changed in any attestation that counts fails the artifact, or counts for nothing', () => {
  fc.assert(
    fc.property(statements, fc.nat(), fc.nat(), (all, which, where) => {
      const { world, made } = say(all);
      const [one] = made.slice(which % Math.max(1, made.length));
      if (one === undefined) return;
      const whole = worth(verify(world));
      const bytes = Buffer.from(one.bytes);
      const at = where % bytes.length;
      bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
      for (const [subject, list] of world.attestations)
        world.attestations.set(
          subject,
          list.map((each) => (each === one ? { ...one, bytes } : each)),
        );
      const changed = verify(world);
      const isReached = changed.verdict === 'failed';
      if (!isReached) expect(worth(changed)).toEqual(whole);
      else expect(worth(changed).max).toBe(0);
    }),
    { numRuns: RUNS },
  );
});

it('never throws on what a trusted key signs', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(person, thing, what, fc.dictionary(fc.string(), fc.jsonValue())), { maxLength: 6 }),
      (all) => {
        const { world } = say(
          all.map(([who, about, { said }, predicate]) => ({
            ...{ who, about, isAdverse: false },
            said: [said[0], predicate] as const,
          })),
        );
        const { scores } = worth(verify(world));
        for (const score of scores) expect(score >= 0 && score <= 1).toBe(true);
      },
    ),
    { numRuns: RUNS },
  );
});

it('finds no circle too round, and no chain too long', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(6), fc.array(fc.nat(6), { maxLength: 4 })), { maxLength: 12 }), (edges) => {
      const step = (n: number): Digest => (n === 0 ? image : digestOf(`step ${n}`));
      const { world } = say(
        edges.map(([from, to]) => ({
          ...{ who: 'ci' as const, about: step(from), isAdverse: false },
          said: says.package(to.map(step)),
        })),
      );
      // Nothing was ever built: no circle of packages makes it so.
      expect(worth(verify(world)).scores[1]).toBe(0);
    }),
    { numRuns: RUNS },
  );
});
