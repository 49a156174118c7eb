// The parts of the registry protocol that need no registry: addresses, challenges, credentials, waiting.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { loadCredentials, parseChallenge } from './registry-auth.ts';
import { registryUrl, retryDelayMs } from './registry-client.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-registry-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('http is only for this machine, or when it was asked for', () => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000']) {
    expect(registryUrl(host, false)).toBe(`http://${host}/v2/`);
  }
  for (const host of ['ghcr.io', 'localhost.example.com', '127.0.0.1.example.com', '10.0.0.1:5000', 'registry:5000']) {
    expect(registryUrl(host, false)).toBe(`https://${host}/v2/`);
  }
  expect(registryUrl('registry:5000', true)).toBe('http://registry:5000/v2/');
});

test('understands the challenges that it can answer', () => {
  expect(parseChallenge('Basic realm="x"')).toEqual({ scheme: 'basic' });
  const bearer = { scheme: 'bearer', realm: 'https://auth.example.com/token', service: 'example.com' };
  expect(parseChallenge('Bearer realm="https://auth.example.com/token",service="example.com",scope="a:b:c"')).toEqual(
    bearer,
  );
  expect(parseChallenge('bearer Realm="https://a.example/"')).toEqual({
    scheme: 'bearer',
    realm: 'https://a.example/',
    service: null,
  });
  for (const header of [
    '',
    'Negotiate',
    'Bearer service="x"',
    'Bearer realm="no url"',
    `Bearer realm="https://a/${'x'.repeat(5000)}"`,
  ]) {
    expect(parseChallenge(header)).toBeNull();
  }
});

test('finds the credentials that docker login wrote for this host, and for no other', () => {
  const path = join(dir, 'config.json');
  const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
  writeFileSync(
    path,
    JSON.stringify({
      auths: { 'ghcr.io': auth('a:b:c'), 'https://index.docker.io/v1/': auth('hub:pw'), 'empty.io': {} },
    }),
  );
  expect(loadCredentials(path, 'ghcr.io')).toEqual({ username: 'a', password: 'b:c' });
  expect(loadCredentials(path, 'registry-1.docker.io')).toEqual({ username: 'hub', password: 'pw' });
  for (const host of ['empty.io', 'other.io', '__proto__', 'constructor'])
    expect(loadCredentials(path, host)).toBeNull();
  expect(loadCredentials(join(dir, 'none.json'), 'ghcr.io')).toBeNull();
});

test('a damaged config file is an error that does not repeat the passwords in it', () => {
  const path = join(dir, 'config.json');
  writeFileSync(path, '{"auths": {"ghcr.io": {"auth": "c2VjcmV0"}');
  expect(() => loadCredentials(path, 'ghcr.io')).toThrow(expect.objectContaining({ code: 'ARTIFACT_UNREADABLE' }));
  expect(() => loadCredentials(path, 'ghcr.io')).not.toThrow(/c2VjcmV0/);
});

test('waits longer with each try, follows the wish of the registry, and never longer than the bound', () => {
  expect([1, 2, 3].map((attempt) => retryDelayMs(attempt, null))).toEqual([250, 500, 1000]);
  expect(retryDelayMs(1, '3')).toBe(3000);
  expect(retryDelayMs(1, '999999')).toBe(10_000);
  expect(retryDelayMs(1, 'tomorrow')).toBe(250);
});
