// A folder's name changes with what is in it and with nothing else, and its content is read once.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { needs } from '../../test/needs.ts';
import { type ContentStore, openContentStore } from './content-store.ts';
import { readTree } from './folder-tree.ts';

let dir: string;
let root: string;
let store: ContentStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-tree-'));
  root = join(dir, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'bin/a'), 'aaaa');
  writeFileSync(join(root, 'b'), 'b');
  symlinkSync('bin/a', join(root, 'link'));
  store = await openContentStore(join(dir, 'store'));
});

afterEach(async () => {
  rmSync(dir, { recursive: true, force: true });
  await store[Symbol.asyncDispose]();
});

const digest = async (): Promise<string> => (await readTree(root, store)).diffId;

test('times and place do not change the name', async () => {
  const before = await digest();
  utimesSync(join(root, 'b'), 1, 1);
  expect(await digest()).toBe(before);
  cpSync(root, join(dir, 'copy'), { recursive: true, verbatimSymlinks: true });
  expect((await readTree(join(dir, 'copy'), store)).diffId).toBe(before);
});

const changes: readonly (readonly [string, () => void])[] = [
  ['content of the same length', () => writeFileSync(join(root, 'bin/a'), 'aaab')],
  ['a mode', () => chmodSync(join(root, 'b'), 0o4755)],
  ['a name', () => renameSync(join(root, 'b'), join(root, 'c'))],
  ['a new, empty folder', () => mkdirSync(join(root, 'new'))],
  ["a link's target", () => (rmSync(join(root, 'link')), symlinkSync('b', join(root, 'link')))],
];
test.each(changes)('%s changes the name', async (_, change) => {
  const before = await digest();
  change();
  expect(await digest()).not.toBe(before);
});

test('a file that changed just now is not kept in the cache', async () => {
  await digest();
  expect(((await store.treeCache(root)) as { files: unknown }).files).toEqual({});
});

test('a settled file is not read again, and one that changed since is', async () => {
  // This file has lain in the checkout for longer than two seconds, so its folder is settled.
  const settled = join(import.meta.dirname, '../base');
  const before = (await readTree(settled, store)).diffId;
  const cache = (await store.treeCache(settled)) as { files: Record<string, string[]> };
  const entry = cache.files['clock.ts'];
  expect(entry?.[4]).toMatch(/^[0-9a-f]{64}$/);
  // A wrong digest in the cache shows that the file itself was not read.
  if (entry !== undefined) entry[4] = 'f'.repeat(64);
  await store.saveTreeCache(settled, cache);
  expect((await readTree(settled, store)).diffId).not.toBe(before);
  // Any of inode, size and times differs: it is read.
  if (entry !== undefined) entry[3] = '1';
  await store.saveTreeCache(settled, cache);
  expect((await readTree(settled, store)).diffId).toBe(before);
});

test('a damaged cache is an error, not a name', async () => {
  await digest();
  const trees = join(store.dir, 'trees');
  execFileSync('sh', ['-c', `for f in "${trees}"/*.json; do echo '{' > "$f"; done`]);
  await expect(digest()).rejects.toMatchObject({ code: 'ARTIFACT_UNREADABLE' });
  expect(readFileSync(join(root, 'b'), 'utf8')).toBe('b');
});

test.skipIf(needs('root'))('a folder with something else mounted in it is refused', async () => {
  mkdirSync(join(root, 'proc'));
  execFileSync('mount', ['-t', 'tmpfs', 'provost-test', join(root, 'proc')]);
  try {
    await expect(digest()).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
  } finally {
    execFileSync('umount', [join(root, 'proc')]);
  }
});
