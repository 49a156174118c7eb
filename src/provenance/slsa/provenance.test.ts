import fc from 'fast-check';
import { expect, it } from 'vitest';

import { digestOf, hexOf } from '../../artifact/index.ts';
import { canonicalJson } from '../../base/index.ts';
import { digestOfResource, type Resource } from '../resource.ts';
import { makeSlsaProvenance, parseSlsaProvenance, type SlsaProvenance } from './provenance.ts';

const START_MS = Date.UTC(2026, 0, 2);
const source: Resource = {
  name: null,
  uri: 'git+https://forge.test/shop/web@refs/heads/main',
  digests: new Map([['gitCommit', 'ab'.repeat(20)]]),
};
const base: Resource = { name: 'base', uri: null, digests: new Map([['sha256', hexOf(digestOf('base image'))]]) };
const provenance: SlsaProvenance = {
  buildType: 'https://provost.test/build/v1',
  externalParameters: { command: ['make'], nested: { a: 1 } },
  internalParameters: { cpus: 2 },
  resolvedDependencies: [source, base],
  builder: { id: 'https://provost.test/builder', version: new Map([['provost', '1.2']]), dependencies: [base] },
  metadata: { invocationId: 'run 7', startedMs: START_MS, finishedMs: START_MS + 1500 },
  byproducts: [{ name: 'log', uri: 'file:build.log', digests: new Map() }],
};

const wire = (): Record<string, Record<string, unknown>> =>
  JSON.parse(canonicalJson(makeSlsaProvenance(provenance))) as Record<string, Record<string, unknown>>;
const refused = expect.objectContaining({ code: 'PROVENANCE_SLSA', exit: 4 });

it('writes the predicate as the specification has it', () => {
  expect(makeSlsaProvenance(provenance)).toEqual({
    buildDefinition: {
      buildType: 'https://provost.test/build/v1',
      externalParameters: { command: ['make'], nested: { a: 1 } },
      internalParameters: { cpus: 2 },
      resolvedDependencies: [
        { uri: source.uri, digest: { gitCommit: 'ab'.repeat(20) } },
        { name: 'base', digest: { sha256: hexOf(digestOf('base image')) } },
      ],
    },
    runDetails: {
      builder: {
        id: 'https://provost.test/builder',
        version: { provost: '1.2' },
        builderDependencies: [{ name: 'base', digest: { sha256: hexOf(digestOf('base image')) } }],
      },
      metadata: {
        invocationId: 'run 7',
        startedOn: '2026-01-02T00:00:00.000Z',
        finishedOn: '2026-01-02T00:00:01.500Z',
      },
      byproducts: [{ name: 'log', uri: 'file:build.log' }],
    },
  });
});

it('reads back what it writes', () => {
  expect(parseSlsaProvenance(wire())).toEqual(provenance);
  const resource = fc.record({
    name: fc.option(fc.stringMatching(/^[a-z ]{1,20}$/)),
    uri: fc.stringMatching(/^[a-z]{1,9}:[!-~]{1,20}$/),
    digests: fc
      .uniqueArray(fc.stringMatching(/^x[a-z0-9]{1,9}$/), { maxLength: 3 })
      .map((names) => new Map(names.map((name) => [name, 'ff']))),
  });
  const times = fc.option(fc.integer({ min: 0, max: 4e12 }));
  fc.assert(
    fc.property(fc.array(resource, { maxLength: 5 }), times, (resources, startedMs) => {
      const one = {
        ...provenance,
        resolvedDependencies: resources,
        metadata: { invocationId: null, startedMs, finishedMs: startedMs },
        builder: { id: 'x:y', version: new Map<string, string>(), dependencies: resources },
      };
      expect(parseSlsaProvenance(JSON.parse(canonicalJson(makeSlsaProvenance(one))))).toEqual(one);
    }),
  );
});

it('reads the least that is valid, and ignores what it does not know', () => {
  const least = {
    buildDefinition: { buildType: 'x:y', externalParameters: {}, later: 1 },
    runDetails: { builder: { id: 'x:z', later: [] } },
    later: {},
  };
  expect(parseSlsaProvenance(least)).toEqual({
    buildType: 'x:y',
    externalParameters: {},
    internalParameters: {},
    resolvedDependencies: [],
    builder: { id: 'x:z', version: new Map(), dependencies: [] },
    metadata: { invocationId: null, startedMs: null, finishedMs: null },
    byproducts: [],
  });
});

it('gives the SHA-256 by which the chain goes on, when a material has one', () => {
  expect(parseSlsaProvenance(wire()).resolvedDependencies.map(digestOfResource)).toEqual([
    null,
    digestOf('base image'),
  ]);
});

it.each<[string, (predicate: ReturnType<typeof wire>) => void]>([
  ['no build definition', (p) => delete p['buildDefinition']],
  ['a build type that is no URI', (p) => Object.assign(p['buildDefinition'] ?? {}, { buildType: 'make' })],
  ['no external parameters', (p) => delete p['buildDefinition']?.['externalParameters']],
  ['parameters that are no object', (p) => Object.assign(p['buildDefinition'] ?? {}, { externalParameters: [] })],
  ['no builder', (p) => delete p['runDetails']?.['builder']],
  ['a builder without an id', (p) => Object.assign(p['runDetails'] ?? {}, { builder: {} })],
  [
    'a time with an offset',
    (p) => Object.assign(p['runDetails'] ?? {}, { metadata: { startedOn: '2026-01-02T00:00:00+01:00' } }),
  ],
  [
    'an end before its start',
    (p) =>
      Object.assign(p['runDetails'] ?? {}, {
        metadata: { startedOn: '2026-01-02T00:00:01Z', finishedOn: '2026-01-02T00:00:00Z' },
      }),
  ],
  ...[
    {},
    { name: 'x' },
    { digest: {} },
    { digest: { sha256: 'AB'.repeat(32) } },
    { uri: 'no uri' },
    { content: '?' },
  ].map((each): [string, (p: ReturnType<typeof wire>) => void] => [
    `the material ${JSON.stringify(each).slice(0, 40)}`,
    (p) => Object.assign(p['buildDefinition'] ?? {}, { resolvedDependencies: [each] }),
  ]),
  [
    'too many materials',
    (p) => {
      const resolvedDependencies = Array.from({ length: 4097 }, () => ({ uri: 'x:y' }));
      Object.assign(p['buildDefinition'] ?? {}, { resolvedDependencies });
    },
  ],
])('refuses provenance with %s', (_, change) => {
  const predicate = wire();
  change(predicate);
  expect(() => parseSlsaProvenance(predicate)).toThrow(refused);
});

it('refuses what is no object, and to make what it would not read', () => {
  for (const value of [null, [], 'x', 7]) expect(() => parseSlsaProvenance(value)).toThrow(refused);
  expect(() => makeSlsaProvenance({ ...provenance, buildType: 'make' })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_SLSA', exit: 2 }),
  );
});
