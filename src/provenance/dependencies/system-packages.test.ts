import { describe, expect, it } from 'vitest';

import { DEPENDENCIES_MAX, type Inventory } from './dependency.ts';
import { parseApkInstalled, parseDpkgStatus, parseMd5sums } from './system-packages.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });
const kindsOf = ({ findings }: Inventory): string[] => findings.map(({ kind, subject }) => `${kind} ${subject}`);

const STATUS = `Package: libc6
Status: install ok installed
Priority: optional
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+deb12u8
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
 .
 Version: 9.9

Package: tzdata
Status: hold ok installed
Version: 2024b-0+deb12u1

Package: old
Status: deinstall ok config-files
Architecture: all
Version: 1.0
`;

describe('the database of dpkg', () => {
  it('lists what is installed', () => {
    const inventory = parseDpkgStatus(Buffer.from(STATUS));
    expect(inventory.dependencies).toEqual([
      expect.objectContaining({
        purl: 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u8?arch=amd64',
        name: 'libc6',
        version: '2.36-9+deb12u8',
        ecosystem: 'deb',
        hashes: [],
        origin: null,
      }),
      expect.objectContaining({ purl: 'pkg:deb/debian/tzdata@2024b-0%2Bdeb12u1?arch=all' }),
    ]);
    expect(kindsOf(inventory)).toEqual(['no-integrity libc6@2.36-9+deb12u8', 'no-integrity tzdata@2024b-0+deb12u1']);
  });

  it('knows the lists of files, by name and architecture, and other distributions', () => {
    const inventory = parseDpkgStatus(Buffer.from(STATUS), {
      vendor: 'ubuntu',
      listed: new Set(['libc6:amd64', 'tzdata']),
    });
    expect(kindsOf(inventory)).toEqual([
      'weak-integrity libc6@2.36-9+deb12u8',
      'weak-integrity tzdata@2024b-0+deb12u1',
    ]);
    expect(inventory.dependencies[0]?.purl).toContain('pkg:deb/ubuntu/');
  });

  it.each([
    ['a field twice', STATUS.replace('Architecture: amd64', 'Package: evil')],
    ['no name', 'Status: install ok installed\nVersion: 1\n'],
    ['no status', 'Package: a\nVersion: 1\n'],
    ['no version of what is installed', 'Package: a\nStatus: install ok installed\n'],
    ['a line of another form', 'Package: a\nnonsense\n'],
    ['a continuation of nothing', ' Package: a\n'],
    ['a name that leads elsewhere', 'Package: ../a\nStatus: install ok installed\nVersion: 1\n'],
  ])('with %s is refused', (_, text) => {
    expect(() => parseDpkgStatus(Buffer.from(text))).toThrow(refused);
  });

  it('with more entries than an image has is refused', () => {
    expect(() => parseDpkgStatus(Buffer.from('X: a\n\n'.repeat(DEPENDENCIES_MAX + 1)))).toThrow(refused);
  });
});

const SHA1 = `Q1${Buffer.alloc(20, 7).toString('base64')}`;
const APK = `C:${SHA1}
P:musl
V:1.2.5-r0
A:x86_64
S:407278
T:the musl c library (libc) implementation
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1ZbYCtvJlBdSlKtLJfYk+pGRhcJg=
F:usr
R:x

C:Q2${Buffer.alloc(32, 7).toString('base64')}
P:.build-deps
V:20260101.000000
`;

describe('the database of apk', () => {
  it('lists what is installed, and judges its checksums', () => {
    const inventory = parseApkInstalled(Buffer.from(APK));
    expect(inventory.dependencies.map(({ purl }) => purl)).toEqual([
      'pkg:apk/alpine/.build-deps@20260101.000000',
      'pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64',
    ]);
    expect(inventory.dependencies.flatMap(({ hashes }) => hashes)).toEqual([]);
    expect(kindsOf(inventory)).toEqual(['weak-integrity musl@1.2.5-r0']);
  });

  it('finds a package without a checksum', () => {
    expect(kindsOf(parseApkInstalled(Buffer.from('P:musl\nV:1\n'), 'wolfi'))).toEqual(['no-integrity musl@1']);
  });

  it.each([
    ['a field twice', 'P:a\nP:b\nV:1\n'],
    ['no name', 'V:1\n'],
    ['no version', 'P:a\n'],
    ['a checksum of another kind', 'P:a\nV:1\nC:Q3AAAA\n'],
    ['a checksum of another length', 'P:a\nV:1\nC:Q1AAAA\n'],
    ['a continued line', 'P:a\n V:1\n'],
    ['a name that is none', 'P:a b\nV:1\n'],
  ])('with %s is refused', (_, text) => {
    expect(() => parseApkInstalled(Buffer.from(text))).toThrow(refused);
  });
});

describe('a list of installed files', () => {
  it('is read', () => {
    expect(parseMd5sums(Buffer.from(`${'ab'.repeat(16)}  usr/bin/a b\n`))).toEqual([
      { path: 'usr/bin/a b', hash: { algorithm: 'md5', hex: 'ab'.repeat(16) } },
    ]);
    expect(parseMd5sums(Buffer.from(''))).toEqual([]);
  });

  it.each([
    ['a path out of the root', `${'ab'.repeat(16)}  usr/../../etc/passwd\n`],
    ['a path from the root', `${'ab'.repeat(16)}  /etc/passwd\n`],
    ['a path with an end', `${'ab'.repeat(16)}  etc\0\n`],
    ['no path', `${'ab'.repeat(16)}  \n`],
    ['no hash', 'usr/bin/a\n'],
    ['one space', `${'ab'.repeat(16)} usr/bin/a\n`],
  ])('with %s is refused', (_, text) => {
    expect(() => parseMd5sums(Buffer.from(text))).toThrow(refused);
  });
});
