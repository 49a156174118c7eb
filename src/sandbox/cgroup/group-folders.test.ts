import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeTree, openFakeTree } from '../../../test/cgroup-fixture.ts';
import { foldersOf, listGroupIds, makeFolders, removeFolders, removeParents } from './group-folders.ts';
import { makeGroup } from './group.ts';
import type { CgroupLayout } from './layout.ts';

const name = { homeId: 'home', id: 'one' };

function v2Layout(tree: FakeTree): CgroupLayout {
  tree.write('cgroup.controllers', 'cpuset cpu io memory pids\n');
  return { limits: 'v2', v1: new Map(), v2: tree.root };
}

function v1Layout(tree: FakeTree, memory: string): CgroupLayout {
  for (const root of ['cpu', 'v2']) mkdirSync(join(tree.root, root));
  const v1 = new Map(['cpu', 'cpuacct', 'pids'].map((controller) => [controller, join(tree.root, 'cpu')]));
  return { limits: 'v1', v1: v1.set('memory', join(tree.root, memory)), v2: join(tree.root, 'v2') };
}

describe('folders of groups (files that stand for the kernel)', () => {
  it('hand every controller down to the group that needs it', () => {
    using tree = openFakeTree();
    makeFolders(v2Layout(tree), name);
    for (const folder of ['.', 'provost', 'provost/home']) {
      const handed = readFileSync(join(tree.root, folder, 'cgroup.subtree_control'), 'latin1');
      expect(handed).toBe('+cpu +memory +pids +io');
    }
    expect(readdirSync(join(tree.root, 'provost/home/one'))).toEqual([]);
  });

  it('are those of one v2 group, limited and counted there', () => {
    using tree = openFakeTree();
    using group = makeGroup(v2Layout(tree), name);
    for (const [file, text] of [
      ['cpu.max', 'max 100000\n'],
      ['memory.max', 'max\n'],
      ['memory.current', '0\n'],
      ['pids.max', 'max\n'],
      ['cpu.stat', 'usage_usec 9\n'],
      ['memory.stat', ''],
      ['memory.events', ''],
      ['pids.current', '2\n'],
    ] as const) {
      tree.write(join('provost/home/one', file), text);
    }
    const limits = { cpuMillicores: 250, memoryBytes: 4096, pids: 3 };
    expect(group.apply(limits)).toEqual({ ...limits, pending: {} });
    expect(group.stats()).toMatchObject({ cpuUsec: 9, pids: 2 });
  });

  it('are made once in a hierarchy that several controllers share', () => {
    using tree = openFakeTree();
    const layout = v1Layout(tree, 'cpu');
    makeFolders(layout, name);
    expect(foldersOf(layout, name)).toEqual([
      join(tree.root, 'cpu/provost/home/one'),
      join(tree.root, 'v2/provost/home/one'),
    ]);
  });

  it('leave nothing behind when one hierarchy refuses', () => {
    using tree = openFakeTree({ memory: 'no folder' });
    const layout = v1Layout(tree, 'memory');
    expect(() => makeGroup(layout, name)).toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
    expect(readdirSync(join(tree.root, 'cpu/provost/home'))).toEqual([]);
    expect(readdirSync(join(tree.root, 'v2/provost/home'))).toEqual([]);
  });

  it('are refused when what they are made in is never there', () => {
    using tree = openFakeTree();
    const layout: CgroupLayout = { limits: 'v2', v1: new Map(), v2: tree.root };
    expect(() => makeFolders(layout, name)).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });

  it('are listed wherever they are, those of a half-made group too', () => {
    using tree = openFakeTree();
    const layout = v1Layout(tree, 'cpu');
    makeFolders(layout, name);
    mkdirSync(join(tree.root, 'cpu/provost/home/two'));
    mkdirSync(join(tree.root, 'cpu/provost/home/NotOurs'));
    expect(listGroupIds(layout, 'home')).toEqual(['one', 'two']);
    expect(listGroupIds(layout, 'other')).toEqual([]);
  });

  it('are refused, not taken for none, when they cannot be listed', () => {
    using tree = openFakeTree({ memory: 'no folder' });
    expect(() => listGroupIds(v1Layout(tree, 'memory'), 'home')).toThrow(
      expect.objectContaining({ code: 'SANDBOX_CGROUP' }),
    );
  });

  it('are not removed while something is in them, and the reason is told', async () => {
    using tree = openFakeTree();
    const layout = v1Layout(tree, 'cpu');
    makeFolders(layout, name);
    writeFileSync(join(tree.root, 'cpu/provost/home/one/held'), '');
    await expect(removeFolders(layout, name)).rejects.toThrow(/does not let go of .*cpu\/provost\/home\/one/);
  });

  it('keep a parent that cannot be removed for another reason from being taken for removed', () => {
    using tree = openFakeTree({ memory: 'no folder' });
    expect(() => removeParents(v1Layout(tree, 'memory'), 'home')).toThrow(
      expect.objectContaining({ code: 'SANDBOX_CGROUP' }),
    );
  });
});
