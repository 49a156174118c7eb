import { expect, it } from 'vitest';

import type { Inventory } from './dependency.ts';
import { parsePipfileLock } from './pipfile-lock.ts';

const HASHES = [`sha256:${'aa'.repeat(32)}`];
const pypi = { name: 'pypi', url: 'https://pypi.org/simple', verify_ssl: true };
const acme = { name: 'acme', url: 'https://pypi.acme.example/simple', verify_ssl: true };

function parse(fields: Record<string, unknown>, sources: unknown[] = [pypi]): Inventory {
  const lock = { _meta: { 'pipfile-spec': 6, hash: {}, requires: {}, sources }, default: {}, develop: {}, ...fields };
  return parsePipfileLock(Buffer.from(JSON.stringify(lock)));
}

it('reads both groups', () => {
  const inventory = parse({
    default: { Flask_Login: { hashes: HASHES, index: 'pypi', version: '==0.6.3', markers: 'x' } },
    develop: { pytest: { hashes: HASHES, version: '==8.0.0' } },
  });
  expect(inventory.findings).toEqual([]);
  expect(inventory.dependencies).toEqual([
    expect.objectContaining({ name: 'flask-login', version: '0.6.3', origin: pypi.url, scope: 'required' }),
    expect.objectContaining({ name: 'pytest', origin: pypi.url, scope: 'development' }),
  ]);
});

it('knows of no origin where several indexes may answer, or where none has that name', () => {
  const group = {
    a: { hashes: HASHES, version: '==1' },
    b: { hashes: HASHES, version: '==1', index: 'acme' },
    c: { hashes: HASHES, version: '==1', index: 'constructor' },
  };
  expect(parse({ default: group }, [pypi, acme]).dependencies.map(({ origin }) => origin)).toEqual([
    null,
    acme.url,
    null,
  ]);
});

it.each([
  ['no hash', { version: '==1' }, 'no-integrity a@1'],
  ['a repository', { git: 'https://github.com/x/a.git', ref: '0123', hashes: HASHES }, 'not-from-registry a'],
  ['a file', { file: 'https://x.example/a.zip', hashes: HASHES }, 'not-from-registry a'],
  ['a folder', { path: '.', editable: true, hashes: HASHES }, 'not-from-registry a'],
])('finds %s', (_, wire, finding) => {
  expect(parse({ default: { a: wire } }).findings.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual([finding]);
});

it('finds an index whose certificate is not checked', () => {
  expect(parse({}, [{ ...pypi, verify_ssl: false }]).findings).toEqual([
    expect.objectContaining({ kind: 'ambiguous-origin' }),
  ]);
});

it.each([
  ['another version', { _meta: { 'pipfile-spec': 5, sources: [] } }],
  ['a hash that is none', { default: { a: { hashes: ['sha256'] } } }],
  ['a name that is none', { default: { '../a': { hashes: HASHES } } }],
  ['a group that is none', { develop: null }],
])('refuses %s', (_, fields) => {
  expect(() => parse(fields)).toThrow(expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES' }));
});
