import { expect, it } from 'vitest';

import type { Inventory } from './dependency.ts';
import { parseSpdx } from './spdx.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });

const shop = { SPDXID: 'SPDXRef-shop', name: 'shop', downloadLocation: 'NOASSERTION' };
const zlib = {
  SPDXID: 'SPDXRef-Package-zlib',
  name: 'zlib',
  versionInfo: '1.3.1',
  downloadLocation: 'git+https://github.com/madler/zlib.git@v1.3.1',
  checksums: [
    { algorithm: 'SHA256', checksumValue: '9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23' },
  ],
};

function document(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    spdxVersion: 'SPDX-2.3',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: 'shop',
    dataLicense: 'CC0-1.0',
    documentNamespace: 'https://acme.example/spdx/shop-1',
    creationInfo: { created: '2026-03-01T10:00:00Z', creators: ['Tool: acme-1'] },
    ...fields,
  };
}

const parse = (fields: Record<string, unknown>): Inventory => parseSpdx(Buffer.from(JSON.stringify(document(fields))));
const relation = (spdxElementId: string, relationshipType: string, relatedSpdxElement: string): unknown => ({
  spdxElementId,
  relationshipType,
  relatedSpdxElement,
});

it('reads a package', () => {
  expect(parse({ packages: [zlib] })).toEqual({
    dependencies: [
      {
        purl: null,
        name: 'zlib',
        version: '1.3.1',
        ecosystem: 'generic',
        hashes: [{ algorithm: 'sha256', hex: zlib.checksums[0]?.checksumValue }],
        origin: 'git+https://github.com/madler/zlib.git@v1.3.1',
        scope: 'required',
        alias: null,
      },
    ],
    findings: [],
  });
});

it('takes what the purl says over what the package says', () => {
  const reference = (referenceType: string, referenceLocator: string): unknown => ({
    referenceCategory: 'PACKAGE-MANAGER',
    referenceType,
    referenceLocator,
  });
  const externalRefs = [
    reference('cpe23Type', 'cpe:2.3:a:zlib:zlib:1.3.1'),
    reference('purl', 'pkg:conan/zlib@1.3.1?repository_url=https://center.conan.example'),
  ];
  const named = { ...zlib, name: 'z', versionInfo: '', downloadLocation: 'NONE', externalRefs };
  expect(parse({ packages: [named] }).dependencies[0]).toMatchObject({
    purl: 'pkg:conan/zlib@1.3.1?repository_url=https:%2F%2Fcenter.conan.example',
    name: 'zlib',
    version: '1.3.1',
    ecosystem: 'conan',
    origin: 'https://center.conan.example',
  });
});

it.each([
  ['in a field', { documentDescribes: [shop.SPDXID] }],
  ['by a relationship', { relationships: [relation('SPDXRef-DOCUMENT', 'DESCRIBES', shop.SPDXID)] }],
  ['by one the other way', { relationships: [relation(shop.SPDXID, 'DESCRIBED_BY', 'SPDXRef-DOCUMENT')] }],
])('leaves out what the document describes %s', (_, fields) => {
  expect(parse({ packages: [shop, zlib], ...fields }).dependencies.map(({ name }) => name)).toEqual(['zlib']);
});

it('hides nothing behind being described, when much is', () => {
  const documentDescribes = [shop.SPDXID, zlib.SPDXID];
  expect(parse({ packages: [shop, zlib], documentDescribes }).dependencies).toHaveLength(2);
});

it.each([
  ['DEV_DEPENDENCY_OF', [], 'development'],
  ['TEST_DEPENDENCY_OF', ['OPTIONAL_DEPENDENCY_OF'], 'optional'],
  ['OPTIONAL_DEPENDENCY_OF', ['DEV_DEPENDENCY_OF'], 'optional'],
  ['DEV_DEPENDENCY_OF', ['DEPENDENCY_OF'], 'required'],
  ['DEPENDENCY_OF', ['DEV_DEPENDENCY_OF'], 'required'],
  ['CONTAINED_BY', [], 'required'],
])('by %s and %j is %s', (first, more, scope) => {
  const relationships = [first, ...more].map((type) => relation(zlib.SPDXID, type, shop.SPDXID));
  expect(parse({ packages: [zlib], relationships }).dependencies[0]?.scope).toBe(scope);
});

it('is needed to run by what depends on it', () => {
  const relationships = [
    relation(shop.SPDXID, 'DEPENDS_ON', zlib.SPDXID),
    relation(zlib.SPDXID, 'DEV_DEPENDENCY_OF', shop.SPDXID),
  ];
  expect(parse({ packages: [zlib], relationships }).dependencies[0]?.scope).toBe('required');
});

it('leaves out a checksum of no fixed length', () => {
  const checksums = [{ algorithm: 'MD6', checksumValue: 'abc' }];
  expect(parse({ packages: [{ ...zlib, checksums }] }).findings).toEqual([
    { kind: 'no-integrity', subject: 'zlib@1.3.1', detail: 'no hash says what it is' },
  ]);
});

it('reads version 2.2 as well, and a document without packages', () => {
  expect(parse({ spdxVersion: 'SPDX-2.2', packages: [zlib] }).dependencies).toHaveLength(1);
  expect(parse({})).toEqual({ dependencies: [], findings: [] });
});

it.each([
  ['another version', { spdxVersion: 'SPDX-3.0' }],
  ['another identifier', { SPDXID: 'SPDXRef-OTHER' }],
  ['a namespace with a fragment', { documentNamespace: 'https://acme.example/#a' }],
  ['no time of its making', { creationInfo: { created: 'today', creators: ['Tool: acme'] } }],
  ['no maker', { creationInfo: { created: '2026-03-01T10:00:00Z', creators: [] } }],
  ['an identifier twice', { packages: [zlib, zlib] }],
  ['an identifier that is none', { packages: [{ ...zlib, SPDXID: 'zlib' }] }],
  ['no download location', { packages: [{ SPDXID: 'SPDXRef-a', name: 'a' }] }],
  ['an unknown algorithm', { packages: [{ ...zlib, checksums: [{ algorithm: 'toString', checksumValue: 'aa' }] }] }],
  [
    'a checksum of another length',
    { packages: [{ ...zlib, checksums: [{ algorithm: 'SHA1', checksumValue: 'aa' }] }] },
  ],
  ['an origin without end', { packages: [{ ...zlib, downloadLocation: `https://${'a'.repeat(4096)}` }] }],
])('refuses %s', (_, fields) => {
  expect(() => parse(fields)).toThrow(refused);
});
