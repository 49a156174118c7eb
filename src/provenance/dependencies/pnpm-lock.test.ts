import { describe, expect, it } from 'vitest';

import type { Inventory } from './dependency.ts';
import { parsePnpmLock } from './pnpm-lock.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });
const SHA512 = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;

const LOCK_9 = `
lockfileVersion: '9.0'
settings:
  autoInstallPeers: true
importers:
  .:
    dependencies:
      '@acme/lib':
        specifier: ^1.0.0
        version: 1.0.0(react@18.0.0)
packages:
  '@acme/lib@1.0.0':
    resolution: {integrity: ${SHA512}, tarball: https://npm.acme.example/@acme/lib/-/lib-1.0.0.tgz}
    engines: {node: '>=18'}
  react@18.0.0:
    resolution: {integrity: ${SHA512}}
snapshots:
  '@acme/lib@1.0.0(react@18.0.0)':
    dependencies:
      react: 18.0.0
`;

const LOCK_6 = `
lockfileVersion: '6.1'
dependencies:
  ms:
    specifier: ^2.0.0
    version: 2.1.3
packages:
  /ms@2.1.3:
    resolution: {integrity: ${SHA512}}
    dev: false
  /@acme/lib@1.0.0(react@18.0.0):
    resolution: {integrity: ${SHA512}}
    dev: true
  /fsevents@2.0.0:
    resolution: {integrity: ${SHA512}}
    optional: true
  github.com/acme/x/0123456:
    resolution: {type: git, repo: https://github.com/acme/x.git, commit: '0123456'}
    name: x
    version: 1.0.0
`;

const parse = (text: string, manifest?: unknown): Inventory =>
  parsePnpmLock(Buffer.from(text), manifest === undefined ? null : Buffer.from(JSON.stringify(manifest)));
const kindsOf = ({ findings }: Inventory): string[] => findings.map(({ kind, subject }) => `${kind} ${subject}`);
const packages = (body: string): string => `lockfileVersion: '9.0'\npackages:\n${body}`;

it('reads version 9', () => {
  const { dependencies, findings } = parse(LOCK_9);
  expect(findings).toEqual([]);
  expect(dependencies).toEqual([
    expect.objectContaining({
      purl: 'pkg:npm/%40acme/lib@1.0.0',
      origin: 'https://npm.acme.example/@acme/lib/-/lib-1.0.0.tgz',
      hashes: [{ algorithm: 'sha512', hex: '07'.repeat(64) }],
    }),
    expect.objectContaining({ name: 'react', version: '18.0.0', origin: null }),
  ]);
});

it('reads version 6, with peers, scopes and repositories', () => {
  const inventory = parse(LOCK_6);
  expect(inventory.dependencies.map(({ name, version, scope }) => `${name}@${version} ${scope}`)).toEqual([
    '@acme/lib@1.0.0 development',
    'fsevents@2.0.0 optional',
    'ms@2.1.3 required',
    'x@1.0.0 required',
  ]);
  expect(kindsOf(inventory)).toEqual(['no-integrity x@1.0.0', 'not-from-registry x@1.0.0']);
});

it.each([
  [
    'a package by URL',
    `  x@https://evil.example/x.tgz:\n    resolution: {integrity: ${SHA512}, tarball: https://evil.example/x.tgz}\n`,
    'not-from-registry x@https://evil.example/x.tgz',
  ],
  [
    'a folder',
    `  x@file:lib:\n    resolution: {directory: lib, type: directory}\n`,
    'no-integrity x@file:lib, not-from-registry x@file:lib',
  ],
  [
    'the archive of another package',
    `  x@1.0.0:\n    resolution: {integrity: ${SHA512}, tarball: https://r.example/y/-/y-1.0.0.tgz}\n`,
    'name-mismatch x@1.0.0',
  ],
])('finds %s', (_, body, findings) => {
  expect(kindsOf(parse(packages(body))).join(', ')).toBe(findings);
});

describe('with its manifest', () => {
  it.each([
    ['version 9', LOCK_9, { dependencies: { '@acme/lib': '^1.0.0' }, peerDependencies: { react: '*' } }, []],
    ['version 9', LOCK_9, { dependencies: { '@acme/lib': '^2.0.0' } }, ['manifest-mismatch @acme/lib']],
    ['version 6', LOCK_6, { dependencies: { ms: '^2.0.0' } }, ['no-integrity x@1.0.0', 'not-from-registry x@1.0.0']],
    [
      'version 6',
      LOCK_6,
      { devDependencies: { evil: '1' } },
      ['manifest-mismatch evil', 'manifest-mismatch ms', 'no-integrity x@1.0.0', 'not-from-registry x@1.0.0'],
    ],
  ])('compares %s', (_, lock, manifest, findings) => {
    expect(kindsOf(parse(lock, manifest))).toEqual(findings);
  });
});

it('reads a lockfile of nothing', () => {
  expect(parse(`lockfileVersion: '9.0'\n`, {})).toEqual({ dependencies: [], findings: [] });
});

it.each([
  ['version 5', `lockfileVersion: 5.4\npackages: {}\n`],
  ['version 10', `lockfileVersion: '10.0'\n`],
  ['a key twice', `lockfileVersion: '9.0'\nlockfileVersion: '9.0'\n`],
  ['an alias, which may stand for a huge text', `lockfileVersion: '9.0'\na: &a {b: 1}\npackages: *a\n`],
  ['no YAML', `lockfileVersion: '9.0'\n\t- {`],
  ['several documents', `lockfileVersion: '9.0'\n---\nlockfileVersion: '9.0'\n`],
  ['deep nesting', `lockfileVersion: '9.0'\na: ${'['.repeat(50_000)}\n`],
  ['a list', '- 1\n'],
  ['a name that leads elsewhere', packages(`  ../evil@1.0.0:\n    resolution: {integrity: ${SHA512}}\n`)],
  ['a name without a version that leads elsewhere', packages(`  ..:\n    resolution: {integrity: ${SHA512}}\n`)],
  ['an integrity that is none', packages(`  x@1.0.0:\n    resolution: {integrity: sha512-abc}\n`)],
  ['no resolution', packages('  x@1.0.0: {}\n')],
  ['more text than a lockfile has', `#${'x'.repeat(8 * 2 ** 20)}`],
])('refuses %s', (_, text) => {
  expect(() => parse(text)).toThrow(refused);
});

it('changes no prototype', () => {
  parse(`lockfileVersion: '9.0'\n__proto__: {polluted: 1}\nimporters: {__proto__: {polluted: 1}}\n`, {});
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
