import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import { nameOfPurl, parsePurl, purlOf } from './purl.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });

it.each([
  ['pkg:npm/%40acme/lib@1.0.0', '@acme/lib'],
  ['pkg:golang/github.com/acme/lib@v1.2.3', 'github.com/acme/lib'],
  ['pkg:maven/org.acme/lib@1', 'org.acme/lib'],
  ['pkg:deb/debian/libc6@2.36?arch=amd64', 'libc6'],
  ['pkg:apk/alpine/musl@1.2.5', 'musl'],
  ['pkg:pypi/requests@2', 'requests'],
])('names %s as its ecosystem does', (text, name) => {
  expect(nameOfPurl(parsePurl(text))).toBe(name);
});

it('reads all parts', () => {
  const purl = parsePurl('pkg:npm/%40acme/lib@1.0.0?repository_url=https://npm.acme.example/&x=y#src/a');
  expect(purl).toMatchObject({ type: 'npm', namespace: '@acme', name: 'lib', version: '1.0.0', subpath: 'src/a' });
  expect(purl.qualifiers.get('repository_url')).toBe('https://npm.acme.example/');
  expect(parsePurl('pkg:npm/lib')).toMatchObject({ namespace: null, version: null, subpath: null });
});

it.each([
  ['no purl', 'lodash@4.17.21'],
  ['another scheme', 'https://npm/lodash@1'],
  ['no name', 'pkg:npm'],
  ['a broken percent code', 'pkg:npm/%zz'],
  ['a user', 'pkg://user:pass@npm/lodash'],
  ['a text that reads backwards', 'pkg:npm/lod\u202eash@1'],
  ['a version alone', 'pkg:npm/@1.0.0'],
  ['nothing', ''],
  ['more than can be one', `pkg:npm/${'a'.repeat(2050)}`],
])('refuses %s', (_, text) => {
  expect(() => parsePurl(text)).toThrow(refused);
});

it('writes the purl of a package, and none of one that there cannot be', () => {
  const parts = { vendor: null, version: '1.0', qualifiers: {} };
  expect(purlOf({ ...parts, ecosystem: 'npm', name: '@acme/lib' })).toBe('pkg:npm/%40acme/lib@1.0');
  expect(purlOf({ ...parts, ecosystem: 'deb', vendor: 'debian', name: 'libc6', qualifiers: { arch: 'amd64' } })).toBe(
    'pkg:deb/debian/libc6@1.0?arch=amd64',
  );
  expect(purlOf({ ...parts, ecosystem: '9 lives', name: 'x' })).toBeNull();
});

it('writes colons and plus signs as the standard has them', () => {
  expect(parsePurl('pkg:deb/debian/attr@1%3A2.4.47-2+b1?arch=amd64&x=a%3Ab').text).toBe(
    'pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64&x=a:b',
  );
});

interface Parts {
  readonly type: string | null;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly version: string | null;
  readonly qualifiers: Readonly<Record<string, string>> | null;
  readonly subpath: string | null;
}

type Case = { readonly expected_failure: boolean; readonly file: string } & (
  | { readonly test_type: 'parse'; readonly input: string; readonly expected_output: Parts | null }
  | { readonly test_type: 'validate'; readonly input: string; readonly expected_output: string }
  | { readonly test_type: 'build'; readonly input: Parts; readonly expected_output: string }
);

const FAILS = 'refused';

/** What we make of a case, in the form of what it expects. */
function outcome({ test_type: kind, input }: Case): unknown {
  if (kind === 'build') {
    const { type, namespace, name, version, qualifiers } = input;
    const parts = { ecosystem: type ?? '', vendor: namespace, name: name ?? '', version, qualifiers: qualifiers ?? {} };
    return purlOf(parts) ?? FAILS;
  }
  try {
    const { text, qualifiers, ...purl } = parsePurl(input);
    if (kind === 'validate') return text;
    return { ...purl, qualifiers: qualifiers.size === 0 ? null : Object.fromEntries(qualifiers) };
  } catch {
    return FAILS;
  }
}

/** Where the library has another opinion than the suite, which is newer: rules of single types that it does not know. */
const DEVIATIONS: readonly string[] = [
  // The case of Homebrew's names and of repositories.
  'brew parse pkg:brew/Homebrew/Core/sqlite@3.43.2',
  'brew parse pkg:brew/SQLite@3.43.2',
  'brew validate pkg:brew/Homebrew/Core/sqlite@3.43.2',
  'brew validate pkg:brew/SQLite@3.43.2',
  // Which names, versions and namespaces a type has.
  'chrome-extension parse pkg:chrome-extension/44444algnefjeiefhmpklpfiohadpglk',
  'chrome-extension parse pkg:chrome-extension/dlpngalgnefjeiefhmpklpfiohadpglk@1.2.3-beta',
  'chrome-extension parse pkg:chrome-extension/dlpngalgnefjeiefhmpklpfiohadpglk@1.2.3.4.5',
  'chrome-extension parse pkg:chrome-extension/dogs',
  'cpan build cpan GDT URI::PackageURL',
  'cpan build cpan URI::PackageURL',
  'cpan parse pkg:cpan/GDT/URI::PackageURL',
  'cpan parse pkg:cpan/LWP::UserAgent@6.7.6',
  'cpan parse pkg:cpan/URI::PackageURL',
  // Upper case in a qualifier's key, which the library makes lower case.
  'gem parse pkg:gem/jruby-launcher@1.1.2?Platform=java',
  'git build git codeberg.org forgejo/forgejo a72d2c07cfca03b55371089de6aa230d8c951fa0',
  'git parse pkg:git/codeberg.org/forgejo/forgejo@a72d2c07cfca03b55371089de6aa230d8c951fa0',
  'git parse pkg:git/codeberg.org/forgejo/forgejo@a72d2c07cfca03b55371089de6aa230d8c951fa0#options/locale_readme.md',
  'git validate pkg:git/github/Package-url/purl-Spec@244fd47e07d1004f0aed9c',
  'julia parse pkg:julia/Dates',
  'otp build otp namespace hex 2.1.1',
  'otp parse pkg:otp/namespace/hex@2.1.1',
  'rpm parse pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25',
  'vcpkg build vcpkg boost asio 1.84.0',
  'vcpkg parse pkg:vcpkg/boost/asio@1.84.0',
  'vscode-extension build vscode-extension java 1.46.2025091308',
  'vscode-extension parse pkg:vscode-extension/java@1.46.2025091308',
];

describe.skipIf(needs('vectors'))('the public test suite of purl', () => {
  const folder = join(VECTORS_FOLDER, 'purl/tests');
  const cases = ['spec', 'types'].flatMap((part) =>
    readdirSync(join(folder, part)).flatMap((file) => {
      const { tests } = JSON.parse(readFileSync(join(folder, part, file), 'utf8')) as { tests: Case[] };
      return tests.map((test) => ({ ...test, file }));
    }),
  );
  // We write no subpaths: nothing that is installed has one.
  const ours = cases.filter((test) => test.test_type !== 'build' || test.input.subpath === null);

  it('is kept to, but for the deviations that are listed', () => {
    expect(ours.length).toBeGreaterThan(500);
    const deviating = ours.filter((test) => {
      const expected = test.expected_failure ? FAILS : test.expected_output;
      return !isDeepStrictEqual(outcome(test), expected);
    });
    const names = deviating.map(({ file, test_type: kind, input }) => {
      const text = typeof input === 'string' ? input : Object.values(input).filter(Boolean).join(' ');
      return `${file.replace('-test.json', '')} ${kind} ${text}`;
    });
    expect([...new Set(names)].sort()).toEqual(DEVIATIONS);
  });
});
