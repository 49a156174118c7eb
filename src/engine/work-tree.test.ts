import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { changedFiles, checkClean, findWorkTree, takeSnapshot } from './work-tree.ts';

let top: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'provost-tree-'));
  mkdirSync(join(top, '.git/objects'), { recursive: true });
  mkdirSync(join(top, 'web/out'), { recursive: true });
});

afterEach(() => rmSync(top, { recursive: true, force: true }));

it('is found from any folder in it', () => {
  expect(findWorkTree(join(top, 'web/out'))).toEqual({ top, dir: join(top, 'web/out'), workdir: 'web/out' });
  expect(findWorkTree(top).workdir).toBe('');
  expect(() => findWorkTree('/')).toThrow(expect.objectContaining({ code: 'ENGINE_WORK_TREE', exit: 2 }));
});

it('shows which files a command made, replaced or changed below its folder, and no other', async () => {
  const write = (path: string, text: string): void => writeFileSync(join(top, path), text);
  for (const path of ['web/kept', 'web/out/changed', 'web/out/replaced', 'web/tracked']) write(path, 'before');
  const tree = findWorkTree(join(top, 'web'));
  const tracked = new Set(['web/tracked']);
  const before = await takeSnapshot(tree, tracked);
  write('web/out/changed', 'later!');
  write('web/out/fresh', 'before');
  renameSync(join(top, 'web/out/fresh'), join(top, 'web/out/replaced'));
  write('web/new', 'new');
  write('web/tracked', 'changed');
  write('outside', 'new');
  symlinkSync('new', join(top, 'web/link'));
  mkdirSync(join(top, 'web/sub/.git'), { recursive: true });
  write('web/sub/.git/HEAD', 'x');
  expect(changedFiles(before, await takeSnapshot(tree, tracked))).toEqual(['new', 'out/changed', 'out/replaced']);
});

it('is dirty by what git says, and told so by a few names', async () => {
  const git = (changed: readonly string[]) => ({
    changed: async () => changed,
    tracked: async () => [],
    remote: async () => null,
  });
  const tree = findWorkTree(top);
  expect(await checkClean(tree, git([]), { mayBeDirty: false })).toBe(true);
  expect(await checkClean(tree, git(['a']), { mayBeDirty: true })).toBe(false);
  const many = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  await expect(checkClean(tree, git(many), { mayBeDirty: false })).rejects.toMatchObject({
    code: 'ENGINE_WORK_TREE',
    exit: 3,
    message: expect.stringMatching(/: a, b, c, d, e, and 2 more$/) as unknown,
  });
});
