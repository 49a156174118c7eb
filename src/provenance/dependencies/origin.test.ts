import { describe, expect, it } from 'vitest';

import { type Dependency, makeDependency } from './dependency.ts';
import { parseLocation, publicUrl } from './location.ts';
import { judgeOrigin } from './origin.ts';
import { parseOriginPolicy } from './origin-policy.ts';

const policy = parseOriginPolicy({
  registries: [
    {
      ecosystem: 'npm',
      urlPrefixes: ['https://registry.npmjs.org/', 'https://npm.acme.example/public', 'ssh://git@git.acme.example/'],
    },
    { ecosystem: 'golang', urlPrefixes: ['https://github.com/trusted', 'https://golang.org/x'] },
    { ecosystem: 'pypi', urlPrefixes: ['https://pypi.org/simple'] },
  ],
  namespaces: [
    { ecosystem: 'npm', patterns: ['@acme/*', 'acme-*'], urlPrefixes: ['https://npm.acme.example/private/'] },
    { ecosystem: 'npm', patterns: ['@acme/vault'], urlPrefixes: ['https://npm.acme.example/private/vault'] },
    { ecosystem: 'pypi', patterns: ['acme_*'], urlPrefixes: ['https://pypi.acme.example/'] },
  ],
  signers: [
    { ecosystem: 'npm', patterns: ['signed', '@signed/**'], identities: ['key-1', 'https://ci.example/release'] },
  ],
});

const from = (origin: string | null, name = 'lib', ecosystem = 'npm', alias: string | null = null): Dependency =>
  makeDependency({ ecosystem, name, version: '1.0.0', origin, alias }, 'the test');
const statusOf = (dependency: Dependency, signedBy?: readonly string[]): string =>
  judgeOrigin(dependency, policy, signedBy).status;

describe('a place that the policy trusts', () => {
  it.each([
    ['https://registry.npmjs.org/lib/-/lib-1.0.0.tgz'],
    ['https://registry.npmjs.org'],
    ['https://registry.npmjs.org/'],
    ['https://REGISTRY.npmjs.ORG:443/lib'],
    ['HTTPS://registry.npmjs.org/@scope%2flib'],
    ['https://registry.npmjs.org/lib?write=true#x'],
    ['https://npm.acme.example/public'],
    ['https://npm.acme.example/public/lib'],
    ['https://npm.acme.example/%70ublic/lib'],
    ['git+ssh://git@git.acme.example/team/lib.git#0123456'],
    ['git+https://registry.npmjs.org/lib.git'],
  ])('is that of %s', (origin) => {
    expect(judgeOrigin(from(origin), policy)).toMatchObject({ status: 'trusted' });
  });
});

describe('a place that only looks like one', () => {
  it.each([
    ['a longer host', 'https://registry.npmjs.org.evil.example/lib'],
    ['a host with a dot at its end', 'https://registry.npmjs.org./lib'],
    ['a host in front', 'https://evil-registry.npmjs.org/lib'],
    ['a user', 'https://registry.npmjs.org@evil.example/lib'],
    ['a user with a password', 'https://registry.npmjs.org:443@evil.example/lib'],
    ['an empty user', 'https://@registry.npmjs.org/lib'],
    ['a user of the very host', 'https://token@registry.npmjs.org/lib'],
    ['another port', 'https://registry.npmjs.org:8443/lib'],
    ['another scheme', 'http://registry.npmjs.org/lib'],
    ['a scheme without encryption for git', 'git://registry.npmjs.org/lib'],
    ['a letter of another alphabet', 'https://registry.npmjѕ.org/lib'],
    ['that letter encoded', 'https://xn--registry-npmjs-cyb.org/lib'],
    ['a backslash', 'https://registry.npmjs.org\\@evil.example/lib'],
    ['a backslash in front', 'https:\\\\registry.npmjs.org/lib'],
    ['three slashes', 'https:///registry.npmjs.org/lib'],
    ['one slash', 'https:/registry.npmjs.org/lib'],
    ['no scheme', '//registry.npmjs.org/lib'],
    ['a scheme that runs code', 'javascript://registry.npmjs.org/%0aalert(1)'],
    ['a file', 'file://registry.npmjs.org/lib'],
    ['a short form of a repository', 'git@git.acme.example:team/lib.git'],
    ['another user of ssh', 'ssh://root@git.acme.example/lib'],
    ['a user of ssh with a password', 'ssh://git:x@git.acme.example/lib'],
    ['a user twice', 'ssh://git@git.acme.example@evil.example/lib'],
    ['a host with a percent code', 'ssh://git@git.acme.example%2f.evil.example/lib'],
    ['white space', 'https://registry.npmjs.org /lib'],
    ['nothing behind the scheme', 'https://'],
    ['a path', '../lib'],
  ])('is not trusted for %s', (_, origin) => {
    expect(statusOf(from(origin))).toBe('untrusted');
  });

  it.each([
    ['a longer folder', 'https://npm.acme.example/publicity/lib'],
    ['the way up', 'https://npm.acme.example/public/../evil/lib'],
    ['the way up, encoded', 'https://npm.acme.example/public/%2e%2e/evil/lib'],
    ['the way up, encoded twice', 'https://npm.acme.example/public/%252e%252e/evil/lib'],
    ['the way up, in one segment', 'https://npm.acme.example/public/..%2fevil/lib'],
    ['the way up, with a backslash', 'https://npm.acme.example/public/..%5cevil/lib'],
    ['where it is', 'https://npm.acme.example/./public/lib'],
    ['two slashes', 'https://npm.acme.example//public/lib'],
    ['an encoded slash', 'https://npm.acme.example/public%2flib'],
    ['upper case', 'https://npm.acme.example/PUBLIC/lib'],
    ['a percent sign alone', 'https://npm.acme.example/public/%zz'],
    ['an encoded end of line', 'https://npm.acme.example/public/%0a'],
    ['encoding without end', `https://npm.acme.example/public/%${'25'.repeat(9)}41`],
    ['the query', 'https://npm.acme.example/?/public/lib'],
  ])('is not trusted for a path with %s', (_, origin) => {
    expect(statusOf(from(origin))).toBe('untrusted');
  });
});

it.each([
  ['nothing says where it comes from', from(null), 'unknown'],
  [
    'the policy names no registry of its ecosystem',
    from('https://repo.maven.apache.org/maven2', 'org.acme/lib', 'maven'),
    'unknown',
  ],
  ['the place is trusted for another ecosystem', from('https://registry.npmjs.org/', 'lib', 'pypi'), 'untrusted'],
  [
    'a module comes from a folder that is trusted',
    from('https://github.com/trusted/lib', 'github.com/trusted/lib', 'golang'),
    'trusted',
  ],
  [
    'a module comes from a longer one',
    from('https://github.com/trusted-not/lib', 'github.com/trusted-not/lib', 'golang'),
    'untrusted',
  ],
])('when %s', (_, dependency, status) => {
  expect(statusOf(dependency)).toBe(status);
});

describe('a name that is reserved for a private registry', () => {
  it.each([
    ['the private registry', from('https://npm.acme.example/private/@acme/lib', '@acme/lib'), 'trusted'],
    ['the public one', from('https://registry.npmjs.org/@acme/lib', '@acme/lib'), 'untrusted'],
    ['the public one, in other case', from('https://registry.npmjs.org/@ACME/lib', '@ACME/Lib'), 'untrusted'],
    ['nowhere', from(null, '@acme/lib'), 'untrusted'],
    [
      'the public one, under that name',
      from('https://registry.npmjs.org/evil', 'evil', 'npm', '@acme/lib'),
      'untrusted',
    ],
    ['the public one, without a scope', from('https://registry.npmjs.org/acme-lib', 'acme-lib'), 'untrusted'],
    ['the public one, in another spelling', from('https://pypi.org/simple', 'acme.lib', 'pypi'), 'untrusted'],
    ['one of the two rules’ places', from('https://npm.acme.example/private/x', '@acme/vault'), 'untrusted'],
    ['both rules’ place', from('https://npm.acme.example/private/vault/x', '@acme/vault'), 'trusted'],
  ])('from %s', (_, dependency, status) => {
    expect(statusOf(dependency)).toBe(status);
  });

  it('is not the longer name', () => {
    expect(statusOf(from('https://registry.npmjs.org/@acmeish/lib', '@acmeish/lib'))).toBe('trusted');
  });
});

describe('a name that must be signed', () => {
  const origin = 'https://registry.npmjs.org/signed';

  it.each([
    ['by no one', undefined, 'untrusted'],
    ['by someone else', ['key-2'], 'untrusted'],
    ['by one of them', ['key-2', 'key-1'], 'trusted'],
  ])('and is signed %s', (_, signedBy, status) => {
    expect(statusOf(from(origin, 'signed'), signedBy)).toBe(status);
  });

  it('is trusted for its place too, and not for its signature alone', () => {
    expect(statusOf(from('https://evil.example/', '@signed/a'), ['key-1'])).toBe('untrusted');
  });
});

it('says nothing that is secret', () => {
  expect(publicUrl('https://user:secret@npm.acme.example/x?token=secret#secret')).toBe('https://npm.acme.example/x');
  expect(publicUrl('git@github.com:acme/x.git')).toBe('github.com:acme/x.git');
  expect(publicUrl('https:/user:secret@npm.acme.example/x')).not.toContain('secret');
  expect(publicUrl('https:\\\\user:secret@npm.acme.example/x')).not.toContain('secret');
  expect(publicUrl('https://npm.acme.example/@acme/x.git@v1')).toBe('https://npm.acme.example/@acme/x.git@v1');
  const { reason } = judgeOrigin(from('https://user:secret@evil.example/x?token=secret'), policy);
  expect(reason).toContain('evil.example');
  expect(reason).not.toContain('secret');
});

it('reads a place as a client connects to it', () => {
  expect(parseLocation('https://Registry.Acme.example:443/a/%62/')).toEqual({
    origin: 'https://registry.acme.example',
    segments: ['a', 'b'],
  });
});

describe('a policy of origins', () => {
  it('may be empty', () => {
    expect(parseOriginPolicy({})).toEqual({ registries: [], namespaces: [], signers: [] });
  });

  it.each([
    ['a prefix that is no URL', { registries: [{ ecosystem: 'npm', urlPrefixes: ['registry.npmjs.org'] }] }],
    ['a prefix with a user', { registries: [{ ecosystem: 'npm', urlPrefixes: ['https://a@b.example/'] }] }],
    ['a prefix with a query', { registries: [{ ecosystem: 'npm', urlPrefixes: ['https://b.example/?a'] }] }],
    [
      'a prefix that leads up',
      { namespaces: [{ ecosystem: 'npm', patterns: ['a'], urlPrefixes: ['https://b.example/a/..'] }] },
    ],
    ['no prefix', { registries: [{ ecosystem: 'npm', urlPrefixes: [] }] }],
    ['an ecosystem that is none', { registries: [{ ecosystem: 'NPM', urlPrefixes: ['https://b.example/'] }] }],
    ['a pattern without end', { signers: [{ ecosystem: 'npm', patterns: ['a'.repeat(513)], identities: ['k'] }] }],
    ['a field that is not known', { registry: [] }],
    ['nothing', null],
  ])('with %s is refused', (_, value) => {
    expect(() => parseOriginPolicy(value)).toThrow(
      expect.objectContaining({ code: 'PROVENANCE_ORIGIN_POLICY', exit: 2 }),
    );
  });
});
