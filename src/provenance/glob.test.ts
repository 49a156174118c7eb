import { expect, it } from 'vitest';

import { isInScope } from './glob.ts';

it.each([
  ['*', 'shop/web:1.2'],
  ['**', '/srv/images/web'],
  ['shop/*', 'shop/web'],
  ['shop/*', 'shop/'],
  ['shop/**', 'shop/a/b'],
  ['shop/web:?.?', 'shop/web:1.2'],
  ['*web*', 'my-web-app'],
  ['a.c', 'a.c'],
  ['**/web', 'registry/shop/web'],
  ['a*b*c', 'aXbYbZc'],
  ['*', '../shop'],
  ['shop/**', 'shop/.hidden/..x/y..'],
])('%s covers %s', (scope, name) => {
  expect(isInScope(scope, name)).toBe(true);
});

it.each([
  ['shop/*', 'shop/a/b'],
  ['shop/*', 'bank/web'],
  ['shop/*', 'x/shop/web'],
  ['shop/web:?', 'shop/web:/'],
  ['a.c', 'abc'],
  ['a*b*c', 'aXbYbZ'],
  ['web', 'web2'],
  ['web', 'we'],
  ['', 'web'],
  ['shop/**', 'shop/../bank'],
  ['shop/**', 'shop/.'],
  ['shop/**', 'shop/a/%2e./b'],
  ['**/web', '../web'],
  ['shop/../bank', 'shop/../bank'],
  ['x'.repeat(513), 'x'.repeat(513)],
  ['**', 'x'.repeat(4097)],
])('%s does not cover %s', (scope, name) => {
  expect(isInScope(scope, name)).toBe(false);
});

it('stays fast on a pattern that makes regular expressions explode', () => {
  const startMs = performance.now();
  expect(isInScope('a*'.repeat(200), `${'a'.repeat(4000)}b/`)).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(2000);
});
