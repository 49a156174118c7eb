import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Digest, digestOf } from '../../artifact/index.ts';
import {
  CHAIN_CAPS,
  ChainFixture,
  COMMIT,
  type Person,
  resourceOf,
  says,
  sayWholeLife,
  things,
} from '../../../test/chain-fixture.ts';

const { image, product, commit, other } = things;
let made: ChainFixture;

beforeEach(() => {
  made = new ChainFixture();
});

afterEach(() => {
  made[Symbol.dispose]();
});

/** Whether the cap on provenance alone is lifted; the artifact must be verified, or there would be no such cap. */
function isLifted(artifact: Digest = product, lifts: Partial<(typeof CHAIN_CAPS)['provenanceOnly']> = {}): boolean {
  const caps = { ...CHAIN_CAPS, provenanceOnly: { ...CHAIN_CAPS.provenanceOnly, ...lifts } };
  const { verdict, findings } = made.verify(artifact, { caps });
  expect(verdict).toBe('verified');
  return findings.caps.length === 0;
}

function build(who: Person = 'ci', artifact: Digest = product): Digest {
  return made.say(who, says.build([resourceOf(commit, COMMIT)]), artifact).digest;
}

describe('a review', () => {
  it.each([
    ['the commit', commit],
    ['the artifact', product],
  ])('of %s by a third person lifts the cap, where the policy says so', (_, about) => {
    made.say('ci', says.source(COMMIT, commit), commit);
    build();
    expect(isLifted()).toBe(false);
    made.say('lead', says.review(), about);
    expect(isLifted()).toBe(true);
    expect(isLifted(product, { liftedByReview: false })).toBe(false);
  });

  it('by the author, in whatever spelling, lifts nothing', () => {
    made.say('ci', says.source(COMMIT, commit, { publisher: 'LEAD' }), commit);
    build();
    made.say('lead', says.review(), product);
    expect(isLifted()).toBe(false);
  });

  it('by who built it lifts nothing', () => {
    made.keyring.trustKey({
      ...{ key: 'lead', publicPem: null, role: 'builder', scope: '*', predicateTypes: [] },
      ...{ expiresMs: null, nowMs: 0 },
    });
    made.say('ci', says.source(COMMIT, commit), commit);
    build('lead');
    made.say('lead', says.review(), product);
    expect(isLifted()).toBe(false);
  });

  it.each([
    ['whom nobody knows', { publisher: null }],
    ['whose signature was not verified', { status: 'unsigned' }],
  ])('of a commit by somebody %s lifts nothing: the author may be the reviewer', (_, more) => {
    made.say('ci', says.source(COMMIT, commit, more), commit);
    build();
    made.say('lead', says.review(), commit);
    expect(isLifted()).toBe(false);
  });

  it('of what has no provenance lifts nothing', () => {
    made.say('alice', says.release(), product);
    made.say('lead', says.review(), product);
    expect(isLifted()).toBe(false);
  });

  it.each(['ci', 'mallory'] as const)('by %s, who is no reviewer, lifts nothing', (who) => {
    made.say('alice', says.source(COMMIT, commit), commit);
    build();
    made.say(who, says.review(), product);
    expect(isLifted()).toBe(false);
  });

  it('of a commit lifts nothing where more than the commit was built', () => {
    made.say('ci', says.source(COMMIT, commit), commit);
    made.say('ci', says.build([resourceOf(commit, COMMIT)], false), product);
    made.say('lead', says.review(), commit);
    expect(isLifted()).toBe(false);
  });

  it('must be of every commit that went in', () => {
    const id = 'd0'.repeat(20);
    made.say('ci', says.source(COMMIT, commit), commit);
    made.say('ci', says.source(id, other), other);
    made.say('ci', says.build([resourceOf(commit, COMMIT), resourceOf(other, id)]), product);
    made.say('lead', says.review(), commit);
    expect(isLifted()).toBe(false);
    made.say('lead', says.review(), other);
    expect(isLifted()).toBe(true);
  });

  it('of a package is one of all that is in it, by none who packed it', () => {
    made.say('alice', says.release(), image);
    sayWholeLife(made);
    made.say('alice-reviews', says.review(), image);
    // It was `alice` who released it, and another owner who read it: that the two are one person, only their owner says.
    expect(isLifted(image)).toBe(true);
  });

  it('of a package whose contents nobody built lifts nothing', () => {
    made.say('alice', says.release(), image);
    made.say('ci', says.package([product]), image);
    made.say('lead', says.review(), image);
    expect(isLifted(image)).toBe(false);
  });

  it('gives up on more ways than a chain has', () => {
    made.say('alice', says.release(), image);
    const layer = (depth: number, n: number): Digest => (depth === 0 ? image : digestOf(`layer ${depth} ${n}`));
    const all = (depth: number): Digest[] => Array.from({ length: 3 }, (_, n) => layer(depth, n));
    for (let depth = 0; depth < 14; depth += 1) {
      for (const one of new Set(all(depth))) made.say('ci', says.package([...all(depth + 1)]), one);
    }
    made.say('ci', says.source(COMMIT, commit), commit);
    for (const one of all(14)) build('ci', one);
    made.say('lead', says.review(), image);
    const startMs = performance.now();
    expect(isLifted(image)).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});

describe('a reproduction', () => {
  it('by another builder lifts the cap, where the policy says so', () => {
    const provenance = build();
    expect(isLifted()).toBe(false);
    made.say('rebuilder', says.reproduction(provenance), product);
    expect(isLifted()).toBe(true);
    expect(isLifted(product, { liftedByReproduction: false })).toBe(false);
  });

  it.each<[string, (provenance: Digest) => void]>([
    ['by the builder itself', (it) => made.say('ci', says.reproduction(it), product)],
    ['by nobody who builds', (it) => made.say('lead', says.reproduction(it), product)],
    ['that got something else', (it) => made.say('rebuilder', says.reproduction(it, false), product)],
    ['of other provenance', () => made.say('rebuilder', says.reproduction(digestOf('x')), product)],
    ['of another product', (it) => made.say('rebuilder', says.reproduction(it), other)],
  ])('%s lifts nothing', (_, say) => {
    say(build());
    expect(isLifted()).toBe(false);
  });

  it('lifts nothing where another one got something else', () => {
    const provenance = build();
    made.say('rebuilder', says.reproduction(provenance), product);
    made.say('ci', says.reproduction(provenance, false), product);
    expect(isLifted()).toBe(false);
  });

  it('of a package is one of all that is in it', () => {
    const second = digestOf('second');
    made.say('alice', says.release(), image);
    made.say('ci', says.package([product, second, product]), image);
    made.say('rebuilder', says.reproduction(build()), product);
    const provenance = build('ci', second);
    expect(isLifted(image)).toBe(false);
    made.say('rebuilder', says.reproduction(provenance), second);
    expect(isLifted(image)).toBe(true);
  });
});
