import { describe, expect, it } from 'vitest';

import { DEPENDENCIES_MAX } from './dependency.ts';
import { type DependencyFile, isDependencyFile, readInventory } from './inventory.ts';

const SHA512 = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
const H1 = `h1:${Buffer.alloc(32, 7).toString('base64')}`;

function file(path: string, content: unknown): DependencyFile {
  return { path, bytes: Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)) };
}

const npmLock = (name: string): unknown => ({
  lockfileVersion: 3,
  packages: { [`node_modules/${name}`]: { version: '1.0.0', integrity: SHA512 } },
});
const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', components: [{ type: 'library', name: 'of-bom' }] };
const spdx = {
  spdxVersion: 'SPDX-2.3',
  SPDXID: 'SPDXRef-DOCUMENT',
  name: 'x',
  dataLicense: 'CC0-1.0',
  documentNamespace: 'https://acme.example/x',
  creationInfo: { created: '2026-03-01T10:00:00Z', creators: ['Tool: x'] },
  packages: [{ SPDXID: 'SPDXRef-a', name: 'of-spdx', downloadLocation: 'NONE' }],
};
const HASH = `--hash=sha256:${'aa'.repeat(32)}`;

const each: readonly (readonly [DependencyFile, string])[] = [
  [file('package-lock.json', npmLock('of-npm')), 'of-npm'],
  [file('web/npm-shrinkwrap.json', npmLock('of-npm')), 'of-npm'],
  [file('srv/node_modules/.package-lock.json', npmLock('of-npm')), 'of-npm'],
  [file('yarn.lock', '# yarn lockfile v1\n\n\nof-yarn@^1:\n  version "1"\n'), 'of-yarn'],
  [
    file('pnpm-lock.yaml', `lockfileVersion: '9.0'\npackages:\n  of-pnpm@1:\n    resolution: {integrity: ${SHA512}}\n`),
    'of-pnpm',
  ],
  [file('requirements.txt', `of-pip==1 ${HASH}`), 'of-pip'],
  [
    file('Pipfile.lock', { _meta: { 'pipfile-spec': 6, sources: [] }, default: { 'of-pipenv': {} }, develop: {} }),
    'of-pipenv',
  ],
  [
    file(
      'poetry.lock',
      '[[package]]\nname = "of-poetry"\nversion = "1"\noptional = false\n[metadata]\nlock-version = "2.1"\n',
    ),
    'of-poetry',
  ],
  [
    file('uv.lock', 'version = 1\n[[package]]\nname = "of-uv"\nsource = { registry = "https://pypi.org/simple" }\n'),
    'of-uv',
  ],
  [file('go.sum', `of.example/go v1.0.0 ${H1}\n`), 'of.example/go'],
  [file('var/lib/dpkg/status', 'Package: of-dpkg\nStatus: install ok installed\nVersion: 1\n'), 'of-dpkg'],
  [file('lib/apk/db/installed', 'P:of-apk\nV:1\n'), 'of-apk'],
  [file('sbom.json', bom), 'of-bom'],
  [file('usr/share/doc/x/image.cdx.json', bom), 'of-bom'],
  [file('bom.json', spdx), 'of-spdx'],
  [file('x.spdx.json', spdx), 'of-spdx'],
];

it.each(each)('reads $path', (one, name) => {
  expect(isDependencyFile(one.path)).toBe(true);
  expect(readInventory([one])?.dependencies.map((dependency) => dependency.name)).toEqual([name]);
});

it('reads all of them together, in any order', () => {
  const files = [...new Map(each.map(([one]) => [one.path, one])).values()];
  const inventory = readInventory(files);
  expect(inventory?.dependencies.length).toBe(12);
  expect(readInventory(files.toReversed())).toEqual(inventory);
});

it.each([
  ['README.md'],
  ['locks/package-lock.json.bak'],
  ['node_modules/x/package-lock.json'],
  ['node_modules/x/package.json'],
  ['node_modules/x/node_modules/.package-lock.json'],
  ['usr/lib/python3/dist-packages/x/requirements.txt'],
  ['srv/var/lib/dpkg/status'],
  ['.package-lock.json'],
  ['constructor'],
])('leaves out %s', (path) => {
  expect(isDependencyFile(path)).toBe(false);
  expect(readInventory([file(path, 'nonsense')])).toBeNull();
});

it('says nothing where there is nothing', () => {
  expect(readInventory([])).toBeNull();
  // A manifest alone pins nothing: it is no inventory.
  expect(readInventory([file('package.json', { dependencies: { x: '1' } })])).toBeNull();
});

it('knows the lists of dpkg, and other distributions', () => {
  const status = file(
    'var/lib/dpkg/status',
    'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n',
  );
  const list = file('var/lib/dpkg/info/a:amd64.md5sums', '');
  expect(isDependencyFile(list.path)).toBe(true);
  const inventory = readInventory([list, status], { deb: 'ubuntu', apk: 'wolfi' });
  expect(inventory?.findings.map(({ kind }) => kind)).toEqual(['weak-integrity']);
  expect(inventory?.dependencies[0]?.purl).toContain('/ubuntu/');
});

describe('manifests', () => {
  const lock = file('web/package-lock.json', npmLock('a'));
  const subjects = (files: DependencyFile[]): string[] | undefined =>
    readInventory(files)?.findings.map(({ kind, subject }) => `${kind} ${subject}`);

  it.each([
    ['beside its lock', file('web/package.json', { dependencies: { a: '1' } }), ['manifest-mismatch dependencies a']],
    ['below its lock, as of a workspace', file('web/packages/b/package.json', { dependencies: { a: '1' } }), []],
    ['without a lock', file('api/package.json', { devDependencies: { a: '1' } }), ['not-pinned api/package.json']],
    ['at the root, without a lock', file('package.json', { dependencies: { a: '1' } }), ['not-pinned package.json']],
    ['that asks for nothing', file('api/package.json', { peerDependencies: { a: '1' } }), []],
    ['of Go without a go.sum', file('api/go.mod', 'module x\nrequire a.example/x v1.0.0\n'), ['not-pinned api/go.mod']],
    ['of Go that asks for nothing', file('api/go.mod', 'module x\n'), []],
  ])('%s', (_, manifest, findings) => {
    expect(subjects([lock, manifest])).toEqual(findings);
  });
});

it('refuses a file that cannot be read, and says which', () => {
  expect(() => readInventory([file('a\u202eb/go.sum', 'nonsense')])).toThrow(
    expect.objectContaining({
      code: 'PROVENANCE_DEPENDENCIES',
      message: expect.stringContaining('a\\u{202e}b/go.sum'),
    }),
  );
});

it('refuses more than an artifact has', () => {
  const many = Array.from({ length: 16_385 }, (_, at) => file(`${at}`, ''));
  expect(() => readInventory(many)).toThrow(expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES' }));
  const boms = ['a', 'b'].map((folder) => {
    const components = Array.from({ length: DEPENDENCIES_MAX - 1 }, (_, at) => ({
      type: 'library',
      name: `${folder}${at}`,
    }));
    return file(`${folder}/bom.json`, { bomFormat: 'CycloneDX', specVersion: '1.6', components });
  });
  expect(() => readInventory(boms)).toThrow(expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES' }));
});
