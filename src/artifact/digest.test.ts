// The text form of a digest, and what only looks like one.
import { expect, test } from 'vitest';

import { digestOf, hexOf, isDigest, parseDigest } from './digest.ts';

test('a digest is parsed back from its text', () => {
  const digest = digestOf('content');
  expect(parseDigest(digest)).toBe(digest);
  expect(digest).toBe(`sha256:${hexOf(digest)}`);
});

test.each([
  '',
  'sha256:',
  `sha256:${'A'.repeat(64)}`,
  `sha256:${'a'.repeat(63)}`,
  `sha512:${'a'.repeat(64)}`,
  `sha256:${'a'.repeat(64)}\n`,
])('refuses %j', (text) => {
  expect(isDigest(text)).toBe(false);
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'ARTIFACT_REFERENCE', exit: 2 }));
});
