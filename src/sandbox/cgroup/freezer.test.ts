import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFakeTree } from '../../../test/cgroup-fixture.ts';
import { openFreezer } from './freezer.ts';

describe('a freezer (files that stand for the kernel)', () => {
  it('says so when a process does not stop', async () => {
    using tree = openFakeTree({
      'cgroup.freeze': '0\n',
      'cgroup.events': 'populated 1\nfrozen 0\n',
      'cgroup.procs': '7\n',
    });
    using freezer = openFreezer({ v2: tree.root, v1: null });
    await expect(freezer.freeze()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_TIMEOUT', exit: 6 }));
    expect(freezer.isFrozen()).toBe(false);
  });

  it('says so when a process of a v1 hierarchy alone does not stop', async () => {
    using tree = openFakeTree({
      'v2/cgroup.events': 'populated 0\nfrozen 0\n',
      'v2/cgroup.procs': '',
      'v1/cgroup.procs': '7\n',
    });
    // Takes every write and never says FROZEN.
    symlinkSync('/dev/null', join(tree.root, 'v1/freezer.state'));
    using freezer = openFreezer({ v2: join(tree.root, 'v2'), v1: join(tree.root, 'v1') });
    await expect(freezer.freeze()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_TIMEOUT' }));
  });

  it('uses the v2 tree on a host whose v1 hierarchies have no freezer', async () => {
    using tree = openFakeTree({ 'cgroup.freeze': '0\n', 'cgroup.events': 'frozen 1\n', 'cgroup.procs': '' });
    mkdirSync(join(tree.root, 'v1'));
    using freezer = openFreezer({ v2: tree.root, v1: join(tree.root, 'v1') });
    await freezer.freeze();
    expect(readFileSync(join(tree.root, 'cgroup.freeze'), 'latin1')).toBe('1\n');
  });

  it('is gone when its group is', async () => {
    using tree = openFakeTree();
    using freezer = openFreezer({ v2: tree.root, v1: null });
    await expect(freezer.freeze()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });
});
