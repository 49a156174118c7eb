import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { type Dependency, makeDependency } from './dependency.ts';
import { type Hash, type HashAlgorithm, parseIntegrity } from './hash.ts';
import { checkIntegrity, checkModule, goModuleHash, type ModuleFile } from './integrity.ts';

const bytes = Buffer.from('an archive');
const hashOf = (algorithm: HashAlgorithm, content: Uint8Array = bytes): Hash => ({
  algorithm,
  hex: createHash(algorithm === 'h1' ? 'sha256' : algorithm)
    .update(content)
    .digest('hex'),
});
const wrong = (algorithm: HashAlgorithm): Hash => hashOf(algorithm, Buffer.from('another'));
const dependency = (ecosystem: string, hashes: readonly Hash[]): Dependency =>
  makeDependency({ ecosystem, name: 'a', version: '1', hashes }, 'the test');

describe('an archive', () => {
  it.each<[string, string, readonly Hash[], string]>([
    ['its one hash', 'npm', [hashOf('sha512')], 'verified'],
    ['one of two of the strongest', 'npm', [wrong('sha512'), hashOf('sha512')], 'verified'],
    ['the strongest, whatever the weaker say', 'npm', [hashOf('sha512'), wrong('sha256'), wrong('sha1')], 'verified'],
    ['a strong one that has an odd name', 'generic', [hashOf('sha3-256')], 'verified'],
    ['one of a release’s', 'pypi', [wrong('sha512'), hashOf('sha256'), wrong('sha256')], 'verified'],
    ['nothing', 'npm', [wrong('sha512')], 'failed'],
    ['the weaker alone', 'npm', [wrong('sha512'), hashOf('sha256'), hashOf('sha1')], 'failed'],
    ['a forgeable one of a release', 'pypi', [wrong('sha256'), hashOf('md5')], 'failed'],
    ['not even a forgeable one', 'npm', [wrong('sha1')], 'failed'],
    ['a forgeable one', 'npm', [hashOf('sha1')], 'missing'],
    ['a forgeable one of a release alone', 'pypi', [hashOf('md5')], 'missing'],
    ['none, where there is none', 'npm', [], 'missing'],
    ['none that can be computed', 'npm', [{ algorithm: 'blake3', hex: 'ab'.repeat(32) }], 'missing'],
    [
      'one that can be computed',
      'npm',
      [{ algorithm: 'blake2b-384', hex: 'ab'.repeat(48) }, hashOf('sha256')],
      'verified',
    ],
    ['the hash of a module', 'golang', [hashOf('h1')], 'missing'],
  ])('that fits %s', (_, ecosystem, hashes, status) => {
    expect(checkIntegrity(dependency(ecosystem, hashes), bytes).status).toBe(status);
  });

  it('is checked against an integrity string', () => {
    const text = `sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    expect(checkIntegrity(dependency('npm', parseIntegrity(text) ?? []), bytes)).toEqual({
      status: 'verified',
      reason: 'its content is what sha512 says',
    });
  });
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('a Go module', () => {
  const files: readonly ModuleFile[] = [
    { name: 'xyz', sha256: sha256('data for xyz') },
    { name: 'abc', sha256: sha256('data for abc') },
  ];
  const HASH1 = createHash('sha256')
    .update(`${sha256('data for abc')}  abc\n${sha256('data for xyz')}  xyz\n`)
    .digest('hex');
  const module = dependency('golang', [{ algorithm: 'h1', hex: HASH1 }]);

  it('has the hash of its files, in whatever order they are given', () => {
    expect(goModuleHash(files)).toBe(HASH1);
    expect(goModuleHash(files.toReversed())).toBe(HASH1);
    expect(checkModule(module, files)).toMatchObject({ status: 'verified' });
  });

  it('has the hash that Go’s own dirhash.Hash1 gives, which sorts names by bytes and not by UTF-16', () => {
    const names = ['z.go', 'go.mod', '\u{1f600}', '\uffee'].map((name) => `a.example/x@v1.0.0/${name}`);
    const hex = goModuleHash(names.map((name) => ({ name, sha256: sha256(`content of ${name}`) })));
    // Printed by dirhash.Hash1 as Go 1.26 has it.
    expect(Buffer.from(hex, 'hex').toString('base64')).toBe('Mle6GZbdc7eA2NLv/RUk714S2TJ2hH/8vI4hbq+vrtU=');
  });

  it.each([
    ['a file more', [...files, { name: 'evil', sha256: sha256('x') }], 'failed'],
    ['a file less', files.slice(1), 'failed'],
    ['no files', [], 'failed'],
  ])('with %s fails', (_, list, status) => {
    expect(checkModule(module, list).status).toBe(status);
  });

  it('without a hash of its own is not proved', () => {
    expect(checkModule(dependency('golang', [hashOf('sha256')]), files).status).toBe('missing');
  });

  it.each([
    ['a name of two lines', [{ name: 'a\nb', sha256: sha256('') }]],
    ['a name twice', [files[0], files[0]]],
    ['what is no SHA-256', [{ name: 'a', sha256: 'abc' }]],
  ])('with %s is refused', (_, list) => {
    expect(() => checkModule(module, list as ModuleFile[])).toThrow(
      expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES' }),
    );
  });
});
