import { describe, expect, it } from 'vitest';

import type { Inventory } from './dependency.ts';
import { parsePackageLock } from './npm-lock.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });
const SHA512 = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
const SHA1 = `sha1-${Buffer.alloc(20, 7).toString('base64')}`;

const tarball = (name: string, version: string): string =>
  `https://registry.npmjs.org/${name}/-/${name.split('/').at(-1)}-${version}.tgz`;

const ms = { version: '2.1.3', resolved: tarball('ms', '2.1.3'), integrity: SHA512 };
const debug = {
  version: '4.4.1',
  resolved: tarball('debug', '4.4.1'),
  integrity: SHA512,
  dependencies: { ms: '^2.1.3' },
};
const root = { name: 'shop', version: '1.0.0', dependencies: { debug: '^4.4.0' } };

function parse(
  packages: Record<string, unknown>,
  more: { manifest?: unknown; lock?: Record<string, unknown> } = {},
): Inventory {
  const lock = { name: 'shop', lockfileVersion: 3, requires: true, packages, ...more.lock };
  const manifest = more.manifest === undefined ? null : Buffer.from(JSON.stringify(more.manifest));
  return parsePackageLock(Buffer.from(JSON.stringify(lock)), manifest);
}

const kindsOf = ({ findings }: Inventory): string[] => findings.map(({ kind, subject }) => `${kind} ${subject}`);

it('reads what is installed, with its hash and origin, and nothing to find', () => {
  const inventory = parse({ '': root, 'node_modules/debug': debug, 'node_modules/debug/node_modules/ms': ms });
  expect(inventory.findings).toEqual([]);
  expect(inventory.dependencies).toEqual([
    expect.objectContaining({ name: 'debug', version: '4.4.1', purl: 'pkg:npm/debug@4.4.1', scope: 'required' }),
    {
      purl: 'pkg:npm/ms@2.1.3',
      name: 'ms',
      version: '2.1.3',
      ecosystem: 'npm',
      hashes: [{ algorithm: 'sha512', hex: '07'.repeat(64) }],
      origin: 'https://registry.npmjs.org/ms/-/ms-2.1.3.tgz',
      scope: 'required',
      alias: null,
    },
  ]);
});

it.each([
  [{ dev: true }, 'development'],
  [{ optional: true }, 'optional'],
  [{ devOptional: true }, 'optional'],
  [{ dev: true, optional: true }, 'development'],
  [{ peer: true }, 'required'],
])('with %j is %s', (flags, scope) => {
  expect(parse({ 'node_modules/ms': { ...ms, ...flags } }).dependencies[0]?.scope).toBe(scope);
});

it('knows scoped names, versions with build data, registries of other layout, and aliases', () => {
  const inventory = parse({
    'node_modules/@acme/lib': {
      version: '1.0.0',
      resolved: 'https://npm.acme.example/npm/@acme%2flib/-/lib-1.0.0.tgz',
      integrity: SHA512,
    },
    'node_modules/b': { version: '1.0.0+7', resolved: tarball('b', '1.0.0'), integrity: SHA512 },
    'node_modules/c': {
      version: '1.0.0',
      resolved: 'https://npm.pkg.github.com/download/c/1.0.0/abc',
      integrity: SHA512,
    },
    'node_modules/string-width-cjs': {
      name: 'string-width',
      version: '4.2.3',
      resolved: tarball('string-width', '4.2.3'),
      integrity: SHA512,
    },
  });
  expect(inventory.findings).toEqual([]);
  expect(inventory.dependencies.find(({ name }) => name === 'string-width')?.alias).toBe('string-width-cjs');
});

it('leaves out workspaces and links to them', () => {
  const inventory = parse({
    '': root,
    'packages/a': { version: '1.0.0' },
    'node_modules/a': { resolved: 'packages/a', link: true },
  });
  expect(inventory).toEqual({ dependencies: [], findings: [] });
});

it.each([
  ['no integrity', { ...ms, integrity: undefined }, 'no-integrity ms@2.1.3'],
  ['an empty integrity', { ...ms, integrity: '' }, 'no-integrity ms@2.1.3'],
  ['a forgeable integrity', { ...ms, integrity: SHA1 }, 'weak-integrity ms@2.1.3'],
  ['a repository', { ...ms, resolved: 'git+ssh://git@github.com/vercel/ms.git#0123456' }, 'not-from-registry ms@2.1.3'],
  [
    'a repository over https',
    { ...ms, resolved: 'https://github.com/vercel/ms.git#0123' },
    'not-from-registry ms@2.1.3',
  ],
  ['a file', { ...ms, resolved: 'file:ms-2.1.3.tgz' }, 'not-from-registry ms@2.1.3'],
  ['the archive of another package', { ...ms, resolved: tarball('ns', '2.1.3') }, 'name-mismatch ms@2.1.3'],
  ['the archive of a scope’s package', { ...ms, resolved: tarball('@evil/ms', '2.1.3') }, 'name-mismatch ms@2.1.3'],
  ['the archive of another version', { ...ms, resolved: tarball('ms', '2.1.4') }, 'name-mismatch ms@2.1.3'],
])('finds %s', (_, entry, finding) => {
  expect(kindsOf(parse({ 'node_modules/ms': entry }))).toEqual([finding]);
});

it('finds nothing missing of a package that another one brings along', () => {
  expect(kindsOf(parse({ 'node_modules/npm/node_modules/ms': { version: '2.1.3', inBundle: true } }))).toEqual([]);
});

it('finds a version that has different hashes in two places', () => {
  const other = { ...ms, integrity: `sha512-${Buffer.alloc(64, 8).toString('base64')}` };
  expect(kindsOf(parse({ 'node_modules/ms': ms, 'node_modules/a/node_modules/ms': other }))).toEqual([
    'conflicting-integrity ms@2.1.3',
  ]);
});

it('finds an entry that a third one only seems to reconcile', () => {
  const integrity = (...bytes: number[]): string =>
    bytes.map((byte) => `sha512-${Buffer.alloc(64, byte).toString('base64')}`).join(' ');
  const inventory = parse({
    'node_modules/ms': { ...ms, integrity: integrity(1) },
    'node_modules/a/node_modules/ms': { ...ms, integrity: integrity(1, 2) },
    'node_modules/b/node_modules/ms': { ...ms, integrity: integrity(2) },
  });
  expect(kindsOf(inventory)).toEqual(['conflicting-integrity ms@2.1.3']);
});

it('finds a folder outside the project', () => {
  expect(kindsOf(parse({ '../lib': { version: '1.0.0' } }))).toEqual(['not-from-registry ../lib']);
});

it.each([
  ['https://evil.example/x.tgz'],
  ['github:acme/x'],
  ['acme/x'],
  ['git+https://github.com/acme/x.git'],
  ['file:../x'],
])('finds a package that is asked for by %s', (spec) => {
  expect(kindsOf(parse({ '': { dependencies: { x: spec } } }))).toEqual(['not-from-registry x']);
  expect(kindsOf(parse({ 'node_modules/ms': { ...ms, optionalDependencies: { x: spec } } }))).toEqual([
    'not-from-registry x',
  ]);
});

it.each([['^1.0.0'], ['>=1 <3 || 5'], ['latest'], ['npm:other@^1'], ['workspace:*'], ['*']])(
  'finds nothing in %s',
  (spec) => {
    expect(kindsOf(parse({ '': { dependencies: { x: spec } } }))).toEqual([]);
  },
);

describe('with its manifest', () => {
  it.each([
    ['the same', { dependencies: { debug: '^4.4.0' } }, []],
    ['another range', { dependencies: { debug: '^5.0.0' } }, ['manifest-mismatch dependencies debug']],
    ['one more', { dependencies: { debug: '^4.4.0', ms: '2' } }, ['manifest-mismatch dependencies ms']],
    ['one less', {}, ['manifest-mismatch dependencies debug']],
    [
      'another kind',
      { devDependencies: { debug: '^4.4.0' } },
      ['manifest-mismatch dependencies debug', 'manifest-mismatch devDependencies debug'],
    ],
  ])('that asks for %s', (_, manifest, findings) => {
    expect(kindsOf(parse({ '': root }, { manifest }))).toEqual(findings);
  });

  it('takes what is asked for as optional too to be optional', () => {
    const manifest = { dependencies: { debug: '^4.4.0', fsevents: '2' }, optionalDependencies: { fsevents: '2' } };
    expect(kindsOf(parse({ '': { ...root, optionalDependencies: { fsevents: '2' } } }, { manifest }))).toEqual([]);
  });

  it('that is no manifest, refuses it', () => {
    expect(() => parse({ '': root }, { manifest: { dependencies: ['debug'] } })).toThrow(refused);
  });
});

describe('of version 2', () => {
  const legacy = (dependencies: unknown): Inventory =>
    parse({ 'node_modules/ms': ms }, { lock: { lockfileVersion: 2, dependencies } });

  it.each([
    ['what the packages say', { ms: { version: '2.1.3', resolved: ms.resolved } }, []],
    ['another version', { ms: { version: '2.1.4' } }, ['conflicting-integrity ms@2.1.4']],
    [
      'another origin',
      { ms: { version: '2.1.3', resolved: 'https://evil.example/ms.tgz' } },
      ['conflicting-integrity ms@2.1.3'],
    ],
    [
      'another package, further in',
      { ms: { version: '2.1.3', dependencies: { evil: { version: '1.0.0' } } } },
      ['conflicting-integrity evil@1.0.0'],
    ],
    ['a folder', { lib: { version: 'file:../lib' } }, []],
  ])('says in its legacy part %s', (_, dependencies, findings) => {
    expect(kindsOf(legacy(dependencies))).toEqual(findings);
  });

  it('refuses a legacy part of another form', () => {
    expect(() => legacy(['ms'])).toThrow(refused);
  });

  it('does without a legacy part', () => {
    expect(kindsOf(parse({ 'node_modules/ms': ms }, { lock: { lockfileVersion: 2 } }))).toEqual([]);
  });
});

it.each([
  ['out of its folder', 'node_modules/../../etc'],
  ['to where it is', 'node_modules/./ms'],
  ['from the root', '/etc/node_modules/ms'],
  ['of Windows', 'C:\\node_modules\\ms'],
  ['of a drive', 'C:/node_modules/ms'],
  ['with a backslash', 'node_modules\\ms'],
  ['with an end', 'node_modules/ms\0'],
  ['up alone', '..'],
  ['to a name with dots', 'node_modules/..'],
  ['to a name that npm does not allow', 'node_modules/@acme'],
  ['to no name', 'node_modules/'],
  ['to a name of a prototype', 'node_modules/__proto__'],
])('refuses a path that leads %s', (_, path) => {
  expect(() => parse({ [path]: ms })).toThrow(refused);
});

it.each([
  ['version 1', {}, { lockfileVersion: 1 }],
  ['no packages', {}, { packages: undefined }],
  ['an alias that npm does not allow', { 'node_modules/ms': { ...ms, name: '../evil' } }, {}],
  ['an integrity that is none', { 'node_modules/ms': { ...ms, integrity: 'sha512-abc' } }, {}],
  ['a version that reads backwards', { 'node_modules/ms': { ...ms, version: '1.0\u202e0' } }, {}],
])('refuses %s', (_, packages, lock) => {
  expect(() => parse(packages, { lock })).toThrow(refused);
});

it('takes keys of every object for names', () => {
  const inventory = parse({
    '': { dependencies: { constructor: '1' } },
    'node_modules/constructor': { ...ms, resolved: undefined },
  });
  expect(inventory.dependencies[0]?.name).toBe('constructor');
  const polluting =
    '{"lockfileVersion":3,"packages":{"__proto__":{"polluted":1},"":{"dependencies":{"__proto__":"x"}}}}';
  expect(parsePackageLock(Buffer.from(polluting)).dependencies).toEqual([]);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

it('refuses a key that is said twice', () => {
  const text = '{"lockfileVersion":3,"packages":{"node_modules/ms":{"version":"1"},"node_modules/ms":{"version":"2"}}}';
  expect(() => parsePackageLock(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'PROVENANCE_JSON' }));
});
