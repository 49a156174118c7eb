import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import { digestOf } from '../../artifact/index.ts';
import { canonicalJson } from '../../base/index.ts';
import { parseCycloneDx } from './cyclonedx.ts';
import {
  type Dependency,
  type DependencyParts,
  type FindingKind,
  type Inventory,
  makeDependency,
} from './dependency.ts';
import {
  CYCLONEDX_PREDICATE_TYPE,
  type DependencyDescription,
  describeDependencies,
  type DescribeInput,
} from './describe.ts';
import { inventoryOf } from './findings.ts';
import { HASH_ALGORITHMS, type Hash, type HashAlgorithm } from './hash.ts';
import { parseOriginPolicy } from './origin-policy.ts';
import { schemaFaults } from '../../../test/json-schema.ts';

const artifact = { name: 'acme/shop', digest: digestOf('an artifact') };
const policy = parseOriginPolicy({
  registries: [{ ecosystem: 'npm', urlPrefixes: ['https://registry.npmjs.org/'] }],
  signers: [{ ecosystem: 'npm', patterns: ['signed'], identities: ['key-1'] }],
});
const strong: Hash = { algorithm: 'sha512', hex: 'ab'.repeat(64) };

function npm(name: string, more: Partial<DependencyParts> = {}): Dependency {
  const origin = `https://registry.npmjs.org/${name}/-/${name}-1.0.0.tgz`;
  return makeDependency({ ecosystem: 'npm', name, version: '1.0.0', hashes: [strong], origin, ...more }, 'the test');
}

function describeAll(dependencies: readonly Dependency[], more: Partial<DescribeInput> = {}): DependencyDescription {
  return describeDependencies({ artifact, inventory: inventoryOf(dependencies), policy, ...more });
}

const evidenceOf = ({ findings }: DependencyDescription) => findings.evidence[0];

it('gives full marks to what is pinned by hash and comes from where the policy trusts', () => {
  const described = describeAll([npm('b'), npm('a')]);
  expect(described.findings).toEqual({
    evidence: [
      {
        check: 'build.dependencies',
        score: 1,
        reason: 'all of 2 dependencies are pinned by hash and come from where the policy trusts',
        source: digestOf(canonicalJson(described.predicate)),
        expiresMs: null,
      },
    ],
    caps: [],
  });
});

it.each<[string, Dependency, Partial<DescribeInput>, { score: number; reason: string }]>([
  [
    'a dependency without a hash',
    npm('x', { hashes: [] }),
    {},
    { score: 0.5, reason: 'of 2 dependencies: 1 no-integrity (x@1.0.0)' },
  ],
  [
    'an unknown origin',
    npm('x', { origin: null }),
    {},
    { score: 0.5, reason: 'of 2 dependencies: 1 unknown-origin (x@1.0.0)' },
  ],
  [
    'an untrusted origin',
    npm('x', { origin: 'https://evil.example/' }),
    {},
    { score: 0, reason: 'of 2 dependencies: 1 untrusted-origin (x@1.0.0)' },
  ],
  [
    'a signature that is missing',
    npm('signed'),
    {},
    { score: 0, reason: 'of 2 dependencies: 1 untrusted-origin (signed@1.0.0)' },
  ],
  [
    'a signature',
    npm('signed'),
    { signersOf: () => ['key-1'] },
    { score: 1, reason: 'all of 2 dependencies are pinned by hash and come from where the policy trusts' },
  ],
  [
    'content that is another',
    npm('x'),
    { integrityOf: ({ name }) => (name === 'x' ? { status: 'failed', reason: '' } : null) },
    { score: 0, reason: 'of 2 dependencies: 1 failed-integrity (x@1.0.0)' },
  ],
  [
    'content that was checked',
    npm('x'),
    { integrityOf: () => ({ status: 'verified', reason: '' }) },
    { score: 1, reason: 'all of 2 dependencies are pinned by hash and come from where the policy trusts' },
  ],
  [
    'content that could not be checked',
    npm('x'),
    { integrityOf: ({ name }) => (name === 'x' ? { status: 'missing', reason: '' } : null) },
    { score: 0.5, reason: 'of 2 dependencies: 1 missing-integrity (x@1.0.0)' },
  ],
])('goes by the worst: %s', (_, dependency, more, expected) => {
  expect(evidenceOf(describeAll([npm('a'), dependency], more))).toMatchObject(expected);
});

it.each<[FindingKind, number]>([
  ['conflicting-integrity', 0],
  ['name-mismatch', 0],
  ['weak-integrity', 0.5],
  ['not-from-registry', 0.5],
  ['not-pinned', 0.5],
  ['ambiguous-origin', 0.5],
  ['manifest-mismatch', 0.5],
  ['not-read', 0.5],
])('a finding of %s leaves %d', (kind, score) => {
  const inventory: Inventory = { dependencies: [npm('a')], findings: [{ kind, subject: 'a@1.0.0', detail: 'why' }] };
  expect(evidenceOf(describeDependencies({ artifact, inventory, policy }))).toMatchObject({ score });
});

it('speaks of the worst alone, counts each once, and names five', () => {
  const bad = ['g', 'f', 'e', 'd', 'c', 'b', 'a'].map((name) => npm(name, { origin: 'https://evil.example/' }));
  const { reason } = evidenceOf(describeAll([...bad, npm('half', { hashes: [] })])) ?? {};
  expect(reason).toBe('of 8 dependencies: 7 untrusted-origin (a@1.0.0, b@1.0.0, c@1.0.0, d@1.0.0, e@1.0.0 and 2 more)');
});

it('keeps a reason short, whatever names there are', () => {
  const bad = Array.from({ length: 50 }, (_, at) =>
    npm(`${'n'.repeat(200)}${at}`, { origin: 'https://evil.example/' }),
  );
  expect(evidenceOf(describeAll(bad))?.reason.length).toBeLessThan(600);
});

it('has no evidence without an inventory, and half for one of nothing', () => {
  expect(describeDependencies({ artifact, inventory: null, policy })).toEqual({
    faults: [],
    predicateType: CYCLONEDX_PREDICATE_TYPE,
    predicate: null,
    dependencies: [],
    findings: { evidence: [], caps: [] },
  });
  expect(evidenceOf(describeAll([]))).toMatchObject({ score: 0.5, reason: 'its files name no dependency' });
});

it('says of each dependency what was found out', () => {
  const [judged] = describeAll([npm('a')], {
    integrityOf: () => ({ status: 'verified', reason: 'fits' }),
  }).dependencies;
  expect(judged).toMatchObject({ origin: { status: 'trusted' }, integrity: { status: 'verified', reason: 'fits' } });
});

const ofGo = makeDependency(
  {
    ecosystem: 'golang',
    name: 'a.example/x',
    version: 'v1.0.0',
    hashes: [{ algorithm: 'h1', hex: '07'.repeat(32) }],
    origin: 'https://a.example/x',
  },
  'the test',
);

const everything: readonly Dependency[] = [
  npm('a', { scope: 'development', alias: 'b' }),
  npm('c', { scope: 'optional', version: null, origin: null }),
  npm('d', { origin: 'https://user:secret@npm.acme.example/d?token=secret' }),
  npm('e', { origin: '../e' }),
  ofGo,
  { ...npm('f'), purl: null, ecosystem: 'generic' },
  npm('g', {
    hashes: (Object.keys(HASH_ALGORITHMS) as HashAlgorithm[]).map((algorithm) => ({
      algorithm,
      hex: 'a'.repeat(HASH_ALGORITHMS[algorithm].hexChars),
    })),
  }),
];

describe('the document', () => {
  const described = describeAll(everything, { integrityOf: () => ({ status: 'verified', reason: '' }) });
  const predicate = described.predicate ?? {};
  const components = predicate['components'] as Record<string, unknown>[];

  it('has the type that in-toto gives it', () => {
    expect(described.predicateType).toBe(CYCLONEDX_PREDICATE_TYPE);
  });

  it('is about the artifact, by digest', () => {
    expect(predicate['metadata']).toMatchObject({ component: { name: 'acme/shop', 'bom-ref': artifact.digest } });
  });

  it('holds one component for each dependency', () => {
    expect(components.find(({ name }) => name === 'a')).toEqual({
      type: 'library',
      'bom-ref': expect.stringMatching(/^sha256:/),
      name: 'a',
      scope: 'excluded',
      version: '1.0.0',
      purl: 'pkg:npm/a@1.0.0',
      hashes: [{ alg: 'SHA-512', content: strong.hex }],
      externalReferences: [{ type: 'distribution', url: 'https://registry.npmjs.org/a/-/a-1.0.0.tgz' }],
      properties: [
        { name: 'provost:alias', value: 'b' },
        { name: 'provost:origin', value: 'trusted' },
        { name: 'provost:integrity', value: 'verified' },
      ],
    });
    expect(components.find(({ name }) => name === 'a.example/x')).toMatchObject({
      properties: [{ name: 'provost:h1', value: `h1:${Buffer.alloc(32, 7).toString('base64')}` }, {}, {}],
    });
  });

  it('holds no secrets of URLs', () => {
    expect(canonicalJson(predicate)).not.toContain('secret');
  });

  it('is read again as it was written', () => {
    const clean = [
      npm('JSONStream', { alias: 'streaming' }),
      npm('@acme/lib', { scope: 'development', origin: 'https://npm.acme.example/@acme/lib' }),
      npm('c', { scope: 'optional', version: null, origin: null }),
      ofGo,
      makeDependency(
        { ecosystem: 'deb', vendor: 'debian', name: 'libc6', version: '1:2+b1', qualifiers: { arch: 'amd64' } },
        'the test',
      ),
    ];
    const again = parseCycloneDx(Buffer.from(canonicalJson(describeAll(clean).predicate)));
    expect(again).toEqual(inventoryOf(clean));
  });

  it.skipIf(needs('vectors'))('keeps to the public schema of 1.6', () => {
    const path = join(VECTORS_FOLDER, 'cyclonedx/schema/bom-1.6.schema.json');
    const schema = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    expect(schemaFaults(JSON.parse(canonicalJson(predicate)), schema)).toEqual([]);
    // The check itself finds what is wrong.
    expect(schemaFaults({ ...predicate, bomFormat: 'x' }, schema)).not.toEqual([]);
    expect(schemaFaults({ ...predicate, other: 1 }, schema)).not.toEqual([]);
    expect(schemaFaults({ ...predicate, components: [{ type: 'library' }] }, schema)).not.toEqual([]);
    expect(schemaFaults({ ...predicate, components: [{ type: 'spell', name: 'x' }] }, schema)).not.toEqual([]);
    const hashes = [{ alg: 'SHA-256', content: 'x' }];
    expect(schemaFaults({ ...predicate, components: [{ type: 'library', name: 'x', hashes }] }, schema)).not.toEqual(
      [],
    );
  });
});

it('lists all that is wrong, worst first, with why', () => {
  const stranger = npm('stranger', { origin: 'https://evil.test/x.tgz' });
  const described = describeAll([
    npm('good'),
    npm('bare', { hashes: [] }),
    npm('homeless', { origin: null }),
    stranger,
  ]);
  expect(described.faults.map(({ kind, subject, score }) => [kind, subject, score])).toEqual([
    ['untrusted-origin', 'stranger@1.0.0', 0],
    ['no-integrity', 'bare@1.0.0', 0.5],
    ['unknown-origin', 'homeless@1.0.0', 0.5],
  ]);
  expect(described.faults[0]?.detail).toBe("the policy does not trust 'https://evil.test/x.tgz'");
});
