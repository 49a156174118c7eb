// What each form of reference means, and what is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ArtifactError, digestOf } from './digest.ts';
import { parseReference, parseRootfs } from './reference.ts';

const DIGEST = digestOf('x');

test.each([
  ['oci:/a/b', { kind: 'oci', path: '/a/b', tag: null }],
  ['oci:dir:1.2', { kind: 'oci', path: 'dir', tag: '1.2' }],
  ['oci:a:b/dir', { kind: 'oci', path: 'a:b/dir', tag: null }],
  ['docker-archive:x.tar:latest', { kind: 'docker-archive', path: 'x.tar', tag: 'latest' }],
  ['docker:nginx:1.27', { kind: 'docker', name: 'nginx:1.27' }],
  ['ghcr.io/shop/web', { kind: 'registry', host: 'ghcr.io', repository: 'shop/web', tag: 'latest', digest: null }],
  ['localhost/web:2', { kind: 'registry', host: 'localhost', repository: 'web', tag: '2', digest: null }],
  ['127.0.0.1:5000/web', { kind: 'registry', host: '127.0.0.1:5000', repository: 'web' }],
  ['registry:5000/web', { kind: 'registry', host: 'registry:5000', repository: 'web' }],
  ['[::1]:5000/web', { kind: 'registry', host: '[::1]:5000', repository: 'web' }],
  ['docker.io/nginx', { kind: 'registry', host: 'registry-1.docker.io', repository: 'library/nginx' }],
  ['docker.io/shop/web', { kind: 'registry', host: 'registry-1.docker.io', repository: 'shop/web' }],
  [`ghcr.io/shop/web:1@${DIGEST}`, { kind: 'registry', repository: 'shop/web', tag: '1', digest: DIGEST }],
  [DIGEST, { kind: 'known', digest: DIGEST }],
  ['./my.dir/app', { kind: 'path', path: './my.dir/app' }],
  ['/srv/app', { kind: 'path', path: '/srv/app' }],
  ['shop/web', { kind: 'path', path: 'shop/web' }],
  ['app.tar', { kind: 'path', path: 'app.tar' }],
])('%s is understood', (text, meaning) => {
  expect(parseReference(text)).toMatchObject({ text, ...meaning });
});

test.each([
  '',
  'a\0b',
  'oci:',
  'oci::tag',
  'oci:dir:bad tag',
  'docker:',
  'docker:../../containers/json',
  'docker:a?b',
  'sha256:abc',
  `sha256:${'A'.repeat(64)}`,
  'ghcr.io/Shop/web',
  'ghcr.io/',
  'ghcr.io/a//b',
  'ghcr.io/a/../b',
  'ghcr.io/a:b:c',
  'ghcr.io/a@sha512:abc',
  `ghcr.io/a@${DIGEST}@${DIGEST}`,
])('refuses %j', (text) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'ARTIFACT_REFERENCE', exit: 2 }));
});

test('refuses a reference longer than any path', () => {
  expect(() => parseReference('x'.repeat(5000))).toThrow(expect.objectContaining({ code: 'ARTIFACT_REFERENCE' }));
});

test('a root file system is a folder, or the host when it is the root', () => {
  expect(parseRootfs('/')).toEqual({ kind: 'host', text: '/' });
  expect(parseRootfs('//')).toMatchObject({ kind: 'host' });
  expect(parseRootfs('/srv')).toEqual({ kind: 'rootfs', text: '/srv', path: '/srv' });
  expect(() => parseRootfs('')).toThrow(expect.objectContaining({ code: 'ARTIFACT_REFERENCE' }));
});

test('any text is a reference or an ArtifactError (property)', () => {
  const parts = fc.constantFrom('oci', 'docker', 'docker-archive', ':', '/', '@', '..', 'ghcr.io', DIGEST, '1', ' ');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(parts).map((list) => list.join('')),
      ),
      (text) => {
        try {
          expect(parseReference(text).text).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ArtifactError);
        }
      },
    ),
  );
});
