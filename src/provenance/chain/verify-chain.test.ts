import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Digest, digestOf } from '../../artifact/index.ts';
import {
  CHAIN_CAPS,
  ChainFixture,
  COMMIT,
  ORIGINS,
  resourceOf,
  says,
  sayWholeLife,
  things,
} from '../../../test/chain-fixture.ts';
import { ChainCache, type ChainVerification, RUNTIME_TRACE_TYPE } from '../index.ts';

const { image, product, lockfile, commit, other } = things;
let made: ChainFixture;

beforeEach(() => {
  made = new ChainFixture();
});

afterEach(() => {
  made[Symbol.dispose]();
});

function scoresOf({ findings }: ChainVerification): Record<string, number> {
  return Object.fromEntries(findings.evidence.map(({ check, score }) => [check.slice('build.'.length), score]));
}

function reasonOf({ findings }: ChainVerification, check: string): string {
  return findings.evidence.find((evidence) => evidence.check === `build.${check}`)?.reason ?? '';
}

function capsOf({ findings }: ChainVerification): string[] {
  return findings.caps.map(({ id }) => id);
}

/** Each link of the artifact and of what it leads to, one a line. */
function linesOf({ chain }: ChainVerification): string[] {
  const lines: string[] = [];
  const visit = (node: ChainVerification['chain']['root'], depth: number): void => {
    for (const { kind, status, nodes } of node.links) {
      lines.push(`${'  '.repeat(depth)}${kind} ${status}`);
      for (const next of nodes) visit(next, depth + 1);
    }
  };
  visit(chain.root, 0);
  return lines;
}

it('tells links in the order of the log, and takes who released it for its publisher, also where it was built before', () => {
  made.say('ci', says.build([resourceOf(commit, COMMIT)]), image);
  made.say('ci', says.test(), image);
  made.say('alice', says.release(), image);
  const stored = made.attestations.get(image) ?? [];
  const attestationsOf = (subject: Digest) => (subject === image ? stored.toReversed() : []);
  const found = made.verify(image, { attestationsOf });
  expect(linesOf(found).slice(0, 4)).toEqual([
    'build verified',
    '  source missing',
    'test verified',
    'release verified',
  ]);
  expect(found.publishers).toEqual(['alice', 'ci']);
  expect(reasonOf(found, 'attestation')).toBe("signed by 'alice', a trusted publisher");
});

it('walks from an image through package and build to the commit, and says what each link proves', () => {
  made.say('alice', says.release(), image);
  sayWholeLife(made);
  const found = made.verify(image);
  expect(found.verdict).toBe('verified');
  expect(found.publishers).toEqual(['alice']);
  expect(linesOf(found)).toEqual([
    'release verified',
    'package verified',
    '  build verified',
    '    source verified',
    '    test verified',
    '    deps verified',
    'deploy verified',
  ]);
  expect(scoresOf(found)).toEqual({
    attestation: 1,
    provenance: 1,
    source: 1,
    environment: 1,
    dependencies: 1,
    tests: 1,
  });
  expect(reasonOf(found, 'provenance')).toBe("built by 'ci' from a recorded commit (log entries 1, 3, 5)");
  expect(reasonOf(found, 'source')).toBe("its commit is signed by publisher 'alice' (log entries 1, 5)");
  expect(reasonOf(found, 'tests')).toBe('tests passed (1 passed) (log entry 4)');
  expect(capsOf(found)).toEqual(['provenance-only']);
});

it('verifies what has a release alone, and lists all that is missing', () => {
  made.say('alice', says.release(), product);
  const found = made.verify(product);
  expect(found.verdict).toBe('verified');
  expect(linesOf(found)).toEqual([
    'release verified',
    ...['source', 'build', 'deps', 'test', 'package', 'deploy'].map((kind) => `${kind} missing`),
  ]);
  expect(scoresOf(found)).toEqual({
    attestation: 1,
    provenance: 0,
    source: 0,
    environment: 0,
    dependencies: 0,
    tests: 0,
  });
});

it('knows nothing of what nobody speaks of', () => {
  const found = made.verify(product);
  expect([found.verdict, capsOf(found), found.signatures]).toEqual(['unsigned', ['unsigned'], []]);
  expect(found.chain.root.links.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'missing'));
});

describe('provenance', () => {
  it.each([
    ['a commit that is not recorded', [resourceOf(other, COMMIT)], 0.5, 'from a commit that is not recorded'],
    ['a commit by the id of git alone', [resourceOf(null, COMMIT)], 0.5, 'from a commit that is not recorded'],
    ['no commit', [resourceOf(lockfile)], 0.5, 'from no commit that it names'],
    [
      'a recorded and an unrecorded one',
      [resourceOf(commit, COMMIT), resourceOf(other, 'd0'.repeat(20))],
      0.5,
      'not recorded',
    ],
    ['a recorded commit', [resourceOf(commit, COMMIT)], 1, 'from a recorded commit'],
  ])('of %s counts by what it leads to', (_, materials, score, reason) => {
    made.say('alice', says.source(COMMIT, commit), commit);
    made.say('ci', says.build(materials), product);
    const found = made.verify(product);
    expect(scoresOf(found)['provenance']).toBe(score);
    expect(reasonOf(found, 'provenance')).toContain(reason);
  });

  it('by the id of git alone counts where somebody knows the commit', () => {
    made.say('alice', says.source(COMMIT, commit), commit);
    made.say('ci', says.build([resourceOf(null, COMMIT)]), product);
    const commitDigestOf = (id: string): Digest | null => (id === COMMIT ? commit : null);
    expect(scoresOf(made.verify(product, { commitDigestOf }))).toMatchObject({ provenance: 1, source: 1 });
  });

  it('counts by the best of several builds', () => {
    made.say('alice', says.source(COMMIT, commit), commit);
    made.say('rebuilder', says.build([]), product);
    made.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
    expect(scoresOf(made.verify(product))['provenance']).toBe(1);
  });

  it('of a package counts by the worst of its contents, and of none not at all', () => {
    made.say('alice', says.source(COMMIT, commit), commit);
    made.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
    made.say('ci', says.package([product, digestOf('slipped in')]), image);
    expect(scoresOf(made.verify(image))['provenance']).toBe(0);
    const empty = digestOf('empty');
    made.say('ci', says.package([]), empty);
    expect(scoresOf(made.verify(empty))['provenance']).toBe(0);
  });
});

it('counts a build of more than its commit by half, as nobody recorded or signed the rest', () => {
  made.say('alice', says.source(COMMIT, commit), commit);
  made.say('ci', says.build([resourceOf(commit, COMMIT)], false), product);
  const found = made.verify(product);
  expect(scoresOf(found)).toMatchObject({ provenance: 0.5, source: 0.5, environment: 1 });
  expect(reasonOf(found, 'provenance')).toBe("built by 'ci' from more than its commit (log entries 0, 1)");
});

it('shows a deployment that a key of this home signed, which makes nobody its author', () => {
  made.say('mallory', says.deploy(), product);
  const own = made.keyring.findKey('mallory').id;
  const found = made.verify(product, { isOwnKey: (keyId) => keyId === own });
  expect([found.verdict, found.chain.root.links[0]?.status]).toEqual(['unsigned', 'verified']);
  const strange = made.verify(product, { isOwnKey: () => false });
  expect([strange.verdict, strange.chain.root.links[0]?.status]).toEqual(['unsigned', 'missing']);
});

it('shows how it behaved elsewhere, which makes nobody its author and moves no score', () => {
  made.say('alice', [RUNTIME_TRACE_TYPE, { monitor: { type: 'https://example.com/monitor' } }], product);
  const found = made.verify(product);
  expect([found.verdict, capsOf(found), found.publishers]).toEqual(['unsigned', ['unsigned'], []]);
  expect(linesOf(found)).toContain('runtime verified');
  expect(new Set(Object.values(scoresOf(found)))).toEqual(new Set([0]));
});

it.each([
  ['a verified signature of a publisher', {}, 1],
  ['a verified signature of nobody in particular', { publisher: null }, 0.5],
  ['no signature', { status: 'unsigned', publisher: null }, 0.5],
  ['a bad signature with a publisher', { status: 'bad' }, 0.5],
])('scores the source by %s', (_, more, score) => {
  made.say('ci', says.source(COMMIT, commit, more), commit);
  made.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
  expect(scoresOf(made.verify(product))['source']).toBe(score);
});

it('takes the environment from the worst judgement of the build files, and 0 from none', () => {
  made.say('ci', says.source(COMMIT, commit, { environment: null }), commit);
  made.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
  expect(scoresOf(made.verify(product))['environment']).toBe(0);
  made.say('ci', says.source(COMMIT, commit, { environment: 0.9 }), commit);
  expect(scoresOf(made.verify(product))['environment']).toBe(0.9);
  made.say('alice', says.source(COMMIT, commit, { environment: 0.25 }), commit);
  expect(scoresOf(made.verify(product))['environment']).toBe(0.25);
});

it('derives what dependencies are worth from the signed list, the worst of several', () => {
  made.say('ci', says.deps(), product);
  expect(scoresOf(made.verify(product))['dependencies']).toBe(1);
  made.say('alice', says.deps('https://registry.evil.test/'), product);
  const found = made.verify(product);
  expect(scoresOf(found)['dependencies']).toBe(0);
  expect(reasonOf(found, 'dependencies')).toContain('untrusted-origin');
});

it.each([
  [['PASSED'], 1],
  [['PASSED', 'WARNED'], 0.5],
  [['PASSED', 'FAILED'], 0],
])('takes the worst of test results %j', (results, score) => {
  for (const result of results) made.say('ci', says.test(result), product);
  expect(scoresOf(made.verify(product))['tests']).toBe(score);
});

it('does not believe a result that passes over its own failed tests', () => {
  const [type] = says.test();
  made.say('ci', [type, { result: 'PASSED', failedTests: ['login'] }], product);
  const found = made.verify(product);
  expect([scoresOf(found)['tests'], reasonOf(found, 'tests')]).toEqual([0, 'tests passed (1 failed) (log entry 0)']);
});

it.each([
  ['source', 'source'],
  ['test', 'tests'],
  ['package', 'provenance'],
  ['reproduction', 'provenance'],
  ['deps', 'dependencies'],
] as const)('gives a %s that cannot be read no worth, and does not take it for tampering', (kind, check) => {
  const types = {
    source: says.source(COMMIT, commit),
    test: says.test(),
    package: says.package([]),
    reproduction: says.reproduction(product),
    deps: says.deps(),
  };
  made.say('ci', [types[kind][0], { nonsense: true }], product);
  const found = made.verify(product);
  expect([scoresOf(found)[check], capsOf(found)]).toEqual([0, ['unsigned']]);
  expect(found.chain.root.links[0]).toMatchObject({ kind, status: 'missing', claim: null });
});

describe('what failed', () => {
  const changed = (bytes: Buffer): Buffer => Buffer.from(bytes.toString().replace('"sig":"', '"sig":"A'));

  it.each(['source', 'deps', 'build', 'test', 'package', 'deploy'] as const)(
    'anywhere on the chain fails the artifact: a tampered %s',
    (kind) => {
      made.say('alice', says.release(), image);
      const { digest } = sayWholeLife(made)[kind];
      for (const [subject, all] of made.attestations)
        made.attestations.set(
          subject,
          all.map((one) => (one.digest === digest ? { ...one, bytes: changed(one.bytes) } : one)),
        );
      const found = made.verify(image);
      expect([found.verdict, capsOf(found), scoresOf(found)['attestation']]).toEqual([
        'failed',
        ['verification-failed'],
        0,
      ]);
    },
  );

  it('is a revoked key anywhere on the chain', () => {
    made.say('alice', says.release(), image);
    sayWholeLife(made);
    made.revoke('ci');
    const found = made.verify(image);
    expect([found.verdict, capsOf(found), found.publishers]).toEqual(['revoked', ['revoked-key'], []]);
  });

  it.each([
    ['that the log does not have', () => null],
    ['that is no entry', () => Buffer.from('{}')],
    ['of another attestation', (log: readonly Buffer[]) => log[1] ?? null],
  ])('is an entry %s', (_, leafOf) => {
    made.say('alice', says.release(), product);
    made.say('alice', says.test(), product);
    const found = made.verify(product, {
      leafAt: (index) => (index === 0 ? leafOf(made.log) : (made.log[index] ?? null)),
    });
    expect([found.verdict, capsOf(found)]).toEqual(['failed', ['verification-failed']]);
  });

  it('is not an entry of what nobody here knows', () => {
    made.say('alice', says.release(), product);
    made.say('mallory', says.test(), product);
    expect(made.verify(product, { leafAt: (index) => (index === 0 ? (made.log[0] ?? null) : null) }).verdict).toBe(
      'verified',
    );
  });

  it('is a commit that is another one than the build says', () => {
    made.say('alice', says.source(COMMIT, commit), commit);
    made.say('ci', says.build([resourceOf(commit, 'd0'.repeat(20))]), product);
    expect(made.verify(product).verdict).toBe('failed');
  });

  it('is a source that speaks of another digest than that of its subject', () => {
    made.say('alice', says.source(COMMIT, other), commit);
    made.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
    expect(made.verify(product).verdict).toBe('failed');
  });
});

it('counts what came in a file, and says that it is in no log', () => {
  const { bytes, digest } = made.make('alice', says.release(), product);
  made.keep({ digest, bytes, logIndex: null }, product);
  const build = made.make('ci', says.build([]), product);
  made.keep({ digest: build.digest, bytes: build.bytes, logIndex: null }, product);
  const found = made.verify(product);
  expect(found.verdict).toBe('verified');
  expect(reasonOf(found, 'provenance')).toBe("built by 'ci', from no commit that it names (1 not logged)");
});

it('counts an entry of another log by its receipt, and fails by one that does not hold', () => {
  const build = made.make('ci', says.build([]), product);
  made.keep({ digest: build.digest, bytes: build.bytes, logIndex: null }, product);
  const place = { log: 'log.test', index: 7, leaf: build.leaf };
  const good = made.verify(product, { receipts: new Map([[build.digest, place]]) });
  expect(reasonOf(good, 'provenance')).toBe("built by 'ci', from no commit that it names (log entry 7 of log.test)");
  const swapped = { ...place, leaf: made.make('ci', says.test(), product).leaf };
  expect(made.verify(product, { receipts: new Map([[build.digest, swapped]]) }).verdict).toBe('failed');
  const bad = made.verify(product, { receipts: new Map([[build.digest, 'the proof does not hold']]) });
  expect([bad.verdict, bad.findings.caps[0]?.reason]).toEqual(['failed', 'the proof does not hold']);
});

it('does not follow a circle, which proves nothing', () => {
  made.say('ci', says.package([product]), image);
  made.say('ci', says.package([image]), product);
  made.say('ci', says.build([resourceOf(image), resourceOf(product)]), product);
  const found = made.verify(image);
  expect([scoresOf(found)['provenance'], capsOf(found)]).toEqual([0.5, ['unsigned']]);
});

it('gives nothing for a chain that is larger than what it looks at', () => {
  const step = (n: number): Digest => digestOf(`step ${n}`);
  for (let n = 0; n < 20; n += 1) made.say('ci', says.package([step(n + 1)]), step(n));
  made.say('ci', says.test(), step(0));
  const deep = made.verify(step(0));
  expect([deep.chain.isTruncated, scoresOf(deep)['tests']]).toEqual([true, 0]);
  expect(reasonOf(deep, 'tests')).toBe('its chain is larger than what is looked at');
  const wide = digestOf('wide');
  const contents = Array.from({ length: 600 }, (_, n) => digestOf(`part ${n}`));
  made.say('ci', says.package(contents), wide);
  expect(made.verify(wide).chain.isTruncated).toBe(true);
  const many = Array.from({ length: 4096 }, (_, n) => resourceOf(digestOf(`material ${n}`)));
  const big = digestOf('big');
  for (const who of ['ci', 'alice', 'rebuilder'] as const) made.say(who, says.build(many), big);
  expect(made.verify(big).chain.isTruncated).toBe(false);
  made.say('ci', says.build([...many.slice(1), resourceOf(big)]), big);
  expect(made.verify(big).chain.root.links[0]).toMatchObject({ unknownCount: 4096, nodes: [] });
  made.say('alice', says.build(many.slice(1)), big);
  expect(made.verify(big).chain.isTruncated).toBe(true);
});

it('keeps what it judged only as long as keys, time and bytes are the same', () => {
  made.say('alice', says.release(), product);
  expect(made.verify(product).verdict).toBe('verified');
  expect(made.verify(product, { artifact: { name: 'bank/web', digest: product } }).verdict).toBe('untrusted');
  expect(made.verify(product).verdict).toBe('verified');
  made.revoke('alice');
  expect(made.verify(product).verdict).toBe('revoked');
});

it('judges the same with a cache that keeps nothing, and one that keeps all', () => {
  sayWholeLife(made);
  const before = made.verify(image).findings;
  const cache = new ChainCache(ORIGINS, 0);
  expect(made.verify(image, { cache }).findings).toEqual(before);
  expect(made.verify(image, { cache }).findings).toEqual(before);
});

it('finds nothing in an envelope that nobody signed', () => {
  const { bytes, digest } = made.make('alice', says.release(), product);
  const unsigned = Buffer.from(bytes.toString().replace(/"signatures":\[.*\]/, '"signatures":[]'));
  expect(unsigned).not.toEqual(bytes);
  made.keep({ digest, bytes: unsigned, logIndex: null }, product);
  expect(made.verify(product).verdict).toBe('failed');
});

it('caps by what the policy says', () => {
  made.say('alice', says.release(), product);
  const caps = { ...CHAIN_CAPS, provenanceOnly: { ...CHAIN_CAPS.provenanceOnly, max: 0.6 } };
  expect(made.verify(product, { caps }).findings.caps).toMatchObject([{ id: 'provenance-only', max: 0.6 }]);
});
