import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import {
  algorithmNamed,
  base64Hash,
  computeHash,
  cycloneDxName,
  HASH_ALGORITHMS,
  type HashAlgorithm,
  hexHash,
  parseIntegrity,
} from './hash.ts';

const sha = (name: string, text = 'x'): Buffer => createHash(name).update(text).digest();

it.each(Object.keys(HASH_ALGORITHMS) as HashAlgorithm[])(
  'computes %s in the length that it has, or not at all',
  (name) => {
    const hex = computeHash(name, Buffer.from('x'));
    expect(hex === null ? null : hexHash(name, hex)).toEqual(hex === null ? null : { algorithm: name, hex });
  },
);

it('computes what the public test vector says', () => {
  expect(computeHash('sha256', Buffer.from('abc'))).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  expect(computeHash('blake3', Buffer.from('abc'))).toBeNull();
});

it('knows algorithms by the names that the standards give them', () => {
  expect(algorithmNamed('SHA-256', 'cycloneDx')).toBe('sha256');
  expect(algorithmNamed('SHA256', 'spdx')).toBe('sha256');
  expect(algorithmNamed('SHA256', 'cycloneDx')).toBeNull();
  expect(algorithmNamed('constructor', 'spdx')).toBeNull();
  expect(cycloneDxName('sha3-512')).toBe('SHA3-512');
  expect(cycloneDxName('h1')).toBeNull();
  // A name of version 1.7, in a document of 1.6.
  expect(cycloneDxName('streebog-256')).toBeNull();
});

it('takes hex of either case, and neither another length nor other letters', () => {
  expect(hexHash('md5', 'ABCDEF0123456789abcdef0123456789')?.hex).toBe('abcdef0123456789abcdef0123456789');
  expect(hexHash('md5', 'abcdef0123456789abcdef012345678')).toBeNull();
  expect(hexHash('md5', 'gbcdef0123456789abcdef0123456789')).toBeNull();
  expect(hexHash('md5', '')).toBeNull();
});

it('takes base64 only as it would write it', () => {
  const text = sha('sha256').toString('base64');
  expect(base64Hash('sha256', text)?.hex).toBe(sha('sha256').toString('hex'));
  expect(base64Hash('sha256', text.replace('=', ''))).toBeNull();
  expect(base64Hash('sha256', `${text} `)).toBeNull();
  expect(base64Hash('sha1', text)).toBeNull();
});

describe('an integrity string', () => {
  const sri = (name: string, text = 'x'): string => `${name}-${sha(name, text).toString('base64')}`;

  it.each([
    ['one hash', sri('sha512'), ['sha512']],
    ['several', `${sri('sha1')}  ${sri('sha512')}\n${sri('sha512', 'y')}`, ['sha1', 'sha512', 'sha512']],
    ['options', `${sri('sha384')}?ct=application/javascript`, ['sha384']],
    ['an algorithm that is not known', `blake9-AAAA ${sri('sha256')}`, ['sha256']],
    ['the name of a member of every object', 'constructor-AAAA __proto__-AAAA', []],
    ['nothing', '  ', []],
  ])('of %s is read', (_, text, algorithms) => {
    expect(parseIntegrity(text)?.map(({ algorithm }) => algorithm)).toEqual(algorithms);
  });

  it.each([
    ['is too short', 'sha512-AAAA'],
    ['is no base64', `sha256-${'!'.repeat(44)}`],
    ['is not there', 'sha512-'],
    ['stands beside a good one', `${sri('sha512')} sha256-AAAA`],
  ])('with a hash that %s is none', (_, text) => {
    expect(parseIntegrity(text)).toBeNull();
  });
});
