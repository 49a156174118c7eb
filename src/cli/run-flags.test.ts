import { resolve } from 'node:path';

import { expect, it } from 'vitest';

import { absoluteReference, quantityOption, sizeFlag } from './run-flags.ts';

it.each(['app.tar', 'dist/app.tar', './app', '../app', '/app', '.hidden/app', 'a_b.c/app', 'dist'])(
  'makes the path %s absolute, as the supervisor has another working folder',
  (path) => {
    expect(absoluteReference(path)).toBe(resolve(path));
    expect(absoluteReference(`oci:${path}`)).toBe(`oci:${resolve(path)}`);
    expect(absoluteReference(`docker-archive:${path}`)).toBe(`docker-archive:${resolve(path)}`);
  },
);

it.each([
  'localhost/app',
  'docker.io/app:1',
  '127.0.0.1:5000/app',
  'registry:5000/app',
  `sha256:${'0'.repeat(64)}`,
  'docker:app',
  '',
])('leaves %s as it is', (reference) => {
  expect(absoluteReference(reference)).toBe(reference);
});

it('shows a default as people write it, and gives what it means', () => {
  const option = quantityOption('--memory <size>', 'most memory', sizeFlag, '512Mi');
  expect([option.defaultValue, option.defaultValueDescription]).toEqual([512 * 1024 ** 2, '512Mi']);
});
