import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import { CYCLONEDX_VERSIONS, parseCycloneDx } from './cyclonedx.ts';
import { DEPENDENCIES_MAX, type Inventory } from './dependency.ts';

const SHA256 = '5b'.repeat(32);

function bom(fields: Record<string, unknown>): Record<string, unknown> {
  return { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, ...fields };
}

const library = { type: 'library', name: 'left-pad', version: '1.3.0' };

function parse(document: unknown): Inventory {
  return parseCycloneDx(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)));
}

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });

it('reads name, version, hashes, origin and scope of a component', () => {
  const component = {
    ...library,
    purl: 'pkg:npm/%40acme/left-pad@1.3.0',
    scope: 'excluded',
    hashes: [
      { alg: 'SHA-256', content: SHA256.toUpperCase() },
      { alg: 'MD5', content: 'ab'.repeat(16) },
    ],
    externalReferences: [
      { type: 'website', url: 'https://acme.example/' },
      { type: 'distribution', url: 'https://npm.acme.example/@acme/left-pad/-/left-pad-1.3.0.tgz' },
    ],
  };
  expect(parse(bom({ components: [component] }))).toEqual({
    dependencies: [
      {
        purl: 'pkg:npm/%40acme/left-pad@1.3.0',
        name: '@acme/left-pad',
        version: '1.3.0',
        ecosystem: 'npm',
        hashes: [
          { algorithm: 'md5', hex: 'ab'.repeat(16) },
          { algorithm: 'sha256', hex: SHA256 },
        ],
        origin: 'https://npm.acme.example/@acme/left-pad/-/left-pad-1.3.0.tgz',
        scope: 'development',
        alias: null,
      },
    ],
    findings: [],
  });
});

it('lists the parts of what the BOM is about, and components within components, but not what it is about', () => {
  const part = (name: string, components?: unknown): unknown => ({ type: 'library', name, components });
  const document = bom({
    metadata: { component: { type: 'application', name: 'shop', components: [part('a')] } },
    components: [part('b', [part('c', [part('d')])])],
  });
  expect(parse(document).dependencies.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
});

it('names a component without a purl by its group and name, in no ecosystem', () => {
  const [dependency] = parse(bom({ components: [{ ...library, group: 'acme' }] })).dependencies;
  expect(dependency).toMatchObject({ name: 'acme/left-pad', ecosystem: 'generic', purl: null, origin: null });
});

it('takes the name of the purl where the component has another one, and leaves out properties of others', () => {
  const component = {
    ...library,
    name: 'lodash',
    purl: 'pkg:npm/left-pad@1.3.0',
    properties: [{ name: 'x' }, { name: 'provost:alias' }],
  };
  expect(parse(bom({ components: [component] })).dependencies[0]).toMatchObject({
    name: 'left-pad',
    alias: null,
    hashes: [],
  });
});

it.each([
  ['download_url', 'https://dl.example/x.tgz'],
  ['repository_url', 'https://repo.example/npm'],
])('takes the origin from the %s of the purl', (key, url) => {
  const purl = `pkg:npm/left-pad@1.3.0?${key}=${encodeURIComponent(url)}`;
  expect(parse(bom({ components: [{ ...library, purl }] })).dependencies[0]?.origin).toBe(url);
});

it.each([
  ['no hash', [], 'no-integrity'],
  ['a hash that can be forged alone', [{ alg: 'SHA-1', content: 'ab'.repeat(20) }], 'weak-integrity'],
])('finds that a component has %s', (_, hashes, kind) => {
  const { findings } = parse(bom({ components: [{ ...library, hashes }] }));
  expect(findings).toEqual([expect.objectContaining({ kind, subject: 'left-pad@1.3.0' })]);
});

it('finds a component that disagrees with its purl about the version', () => {
  const hashes = [{ alg: 'SHA-256', content: SHA256 }];
  const { findings, dependencies } = parse(
    bom({ components: [{ ...library, hashes, purl: 'pkg:npm/left-pad@9.9.9' }] }),
  );
  expect(findings).toEqual([expect.objectContaining({ kind: 'name-mismatch', subject: 'left-pad@9.9.9' })]);
  expect(dependencies[0]?.version).toBe('9.9.9');
});

it('finds two entries of one version with different hashes, and none where one hash is in both', () => {
  const withHash = (alg: string, content: string): unknown => ({ ...library, hashes: [{ alg, content }] });
  const kinds = (components: unknown[]): string[] => parse(bom({ components })).findings.map(({ kind }) => kind);
  expect(kinds([withHash('SHA-256', SHA256), withHash('SHA-256', 'aa'.repeat(32))])).toEqual(['conflicting-integrity']);
  expect(kinds([withHash('SHA-256', SHA256), withHash('SHA-512', 'aa'.repeat(64))])).toEqual([]);
});

it('does not take packages of two architectures for one', () => {
  const of = (arch: string, byte: string): unknown => ({
    ...library,
    purl: `pkg:deb/debian/left-pad@1.3.0?arch=${arch}`,
    hashes: [{ alg: 'SHA-256', content: byte.repeat(32) }],
  });
  expect(parse(bom({ components: [of('amd64', 'aa'), of('arm64', 'bb')] })).findings).toEqual([]);
  expect(parse(bom({ components: [of('amd64', 'aa'), of('amd64', 'bb')] })).findings).toHaveLength(1);
});

it.each(CYCLONEDX_VERSIONS)('reads version %s', (specVersion) => {
  expect(parse(bom({ specVersion, components: [library] })).dependencies).toHaveLength(1);
});

it.each([
  ['an older version', bom({ specVersion: '1.3' })],
  ['another format', bom({ bomFormat: 'SPDX' })],
  ['a component without a name', bom({ components: [{ type: 'library' }] })],
  ['a component of an unknown type', bom({ components: [{ type: 'spell', name: 'x' }] })],
  [
    'the same reference twice',
    bom({
      components: [
        { ...library, 'bom-ref': 'a' },
        { ...library, name: 'b', 'bom-ref': 'a' },
      ],
    }),
  ],
  ['an unknown algorithm', bom({ components: [{ ...library, hashes: [{ alg: 'constructor', content: 'ab' }] }] })],
  ['a hash of another length', bom({ components: [{ ...library, hashes: [{ alg: 'SHA-256', content: 'ab' }] }] })],
  [
    'a hash of a module that is none',
    bom({ components: [{ ...library, properties: [{ name: 'provost:h1', value: 'h1:abc' }] }] }),
  ],
  [
    'a hash of a module by another name',
    bom({ components: [{ ...library, properties: [{ name: 'provost:h1', value: 'h2:abc' }] }] }),
  ],
  ['a purl that is none', bom({ components: [{ ...library, purl: 'left-pad@1' }] })],
  ['an empty name', bom({ components: [{ ...library, name: ' ' }] })],
  ['a name that reads backwards', bom({ components: [{ ...library, name: 'left\u202epad' }] })],
  ['a name with a control character', bom({ components: [{ ...library, name: 'left\u0007pad' }] })],
  ['a name without end', bom({ components: [{ ...library, name: 'a'.repeat(513) }] })],
  ['a version without end', bom({ components: [{ ...library, version: '1'.repeat(257) }] })],
  [
    'hashes without end',
    bom({
      components: [
        {
          ...library,
          hashes: Array.from({ length: 1025 }, (_, at) => ({ alg: 'MD5', content: at.toString(16).padStart(32, '0') })),
        },
      ],
    }),
  ],
  ['components that are no list', bom({ components: { 0: library } })],
])('refuses %s', (_, document) => {
  expect(() => parse(document)).toThrow(refused);
});

it('refuses more components than an artifact has', () => {
  const components = Array.from({ length: DEPENDENCIES_MAX + 1 }, () => ({ type: 'library', name: 'a' }));
  expect(() => parse(bom({ components }))).toThrow(refused);
});

it.each([
  ['a key twice', '{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}'],
  [
    'deep nesting',
    `{"bomFormat":"CycloneDX","specVersion":"1.6","components":${'[{"components":'.repeat(40)}[]${'}]'.repeat(40)}}`,
  ],
  ['no JSON', '<bom/>'],
])('refuses %s as JSON', (_, text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'PROVENANCE_JSON' }));
});

it('shows what is hostile escaped and cut', () => {
  const name = `\u202e\u001b[31m${'x'.repeat(400)}`;
  expect(() => parse(bom({ components: [{ ...library, name }] }))).toThrow(/\\u\{202e\}\\u\{1b\}\[31mx{70,80}…'$/);
});

it('changes no prototype', () => {
  parse(
    '{"bomFormat":"CycloneDX","specVersion":"1.6","__proto__":{"polluted":1},"components":[{"type":"library","name":"__proto__"}]}',
  );
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

/** Documents that are not valid in what we do not read: licences, SWID tags, pedigree, services. */
const ACCEPTED_ON_PURPOSE: readonly string[] = [
  'invalid-component-swid-1.6.json',
  'invalid-issue-type-1.6.json',
  'invalid-license-choice-1.6.json',
  'invalid-license-declared-concluded-mix-1.6.json',
  'invalid-license-encoding-1.6.json',
  'invalid-license-id-1.6.json',
  'invalid-license-missing-id-and-name-1.6.json',
  'invalid-metadata-license-1.6.json',
  'invalid-patch-type-1.6.json',
  'invalid-service-data-1.6.json',
];

describe.skipIf(needs('vectors'))('the public documents of CycloneDX 1.6', () => {
  const folder = join(VECTORS_FOLDER, 'cyclonedx/tools/src/test/resources/1.6');
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const isAccepted = (name: string): boolean => {
    try {
      parseCycloneDx(readFileSync(join(folder, name)));
      return true;
    } catch (error) {
      expect(error, name).toMatchObject({ code: 'PROVENANCE_DEPENDENCIES' });
      return false;
    }
  };

  it('are read when they are valid', () => {
    const valid = names.filter((name) => name.startsWith('valid-'));
    expect(valid).toHaveLength(45);
    expect(valid.filter((name) => !isAccepted(name))).toEqual([]);
  });

  it('are refused when they are not, in what is read: 15 of 25', () => {
    const invalid = names.filter((name) => name.startsWith('invalid-'));
    expect(invalid).toHaveLength(25);
    expect(invalid.filter(isAccepted)).toEqual(ACCEPTED_ON_PURPOSE);
  });

  it('are read with what they hold', () => {
    const { dependencies } = parseCycloneDx(readFileSync(join(folder, 'valid-component-hashes-1.6.json')));
    expect(dependencies).toHaveLength(1);
    expect(dependencies[0]?.hashes.length).toBeGreaterThanOrEqual(12);
  });
});
