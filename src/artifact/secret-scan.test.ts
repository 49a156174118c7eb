// Which files seem to hold a secret, and which of their neighbours do not.
import { expect, test } from 'vitest';

import { secretKindOf } from './secret-scan.ts';

const kind = (path: string, content: string) => secretKindOf(path, Buffer.from(content));
const KEY_TEXT = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7';

test.each([
  ['app/server.pem', `-----BEGIN PRIVATE KEY-----\n${KEY_TEXT}`, 'private-key'],
  ['app/server.key', `text before\n-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED`, 'private-key'],
  ['account.json', `{"private_key": "-----BEGIN PRIVATE KEY-----\\n${KEY_TEXT}`, 'private-key'],
  ['notes', 'key AKIAQ3EGXSJ7VKPL2MNO!', 'aws-access-key'],
  ['run.sh', `export T=ghp_${'aB3'.repeat(12)}\n`, 'github-token'],
  ['root/.npmrc', '//registry.npmjs.org/:_authToken=npm_0123456789', 'npm-token'],
  ['root/.ssh/id_ed25519', 'x', 'ssh-key-file'],
  ['home/a/.aws/credentials', 'x', 'aws-credentials'],
  ['srv/app/.env', 'PASSWORD=x', 'env-file'],
  ['srv/app/.env.production', 'PASSWORD=x', 'env-file'],
  ['root/.git-credentials', 'x', 'git-credentials'],
  ['root/.docker/config.json', '{}', 'docker-credentials'],
])('%s with %j holds a secret', (path, content, expected) => {
  expect(kind(path, content)).toBe(expected);
});

test.each([
  ['app/server.pem', `-----BEGIN CERTIFICATE-----\n${KEY_TEXT}`],
  ['lib/libcrypto.so', '\0-----BEGIN PRIVATE KEY-----\0-----END PRIVATE KEY-----\0'],
  ['docs/aws.md', 'AKIAIOSFODNN7EXAMPLE'],
  ['data.b64', 'xxAKIAQ3EGXSJ7VKPL2MNOxx'],
  ['root/.npmrc', '//registry.npmjs.org/:_authToken=${NPM_TOKEN}'],
  ['root/.ssh/id_ed25519.pub', 'ssh-ed25519 AAAA'],
  ['srv/app/.env.example', 'PASSWORD='],
  ['srv/app/.env', ''],
])('%s with %j holds none', (path, content) => {
  expect(kind(path, content)).toBeNull();
});

test('a file of nothing but markers costs no more than a look at a few', () => {
  const started = performance.now();
  expect(kind('x', 'PRIVATE KEY-----'.repeat(60_000))).toBeNull();
  expect(performance.now() - started).toBeLessThan(500);
});
