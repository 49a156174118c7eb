import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeTree, openFakeTree } from '../../../test/cgroup-fixture.ts';
import { countIo } from './io-counting.ts';

const RULES = { 'group/blkio.throttle.read_bps_device': '', 'group/blkio.throttle.write_bps_device': '' };
const RULE = `8:0 ${2n ** 62n}`;

/** One disk, and a loop device, which is on no hardware of its own. */
function openTree(files: Readonly<Record<string, string>>): FakeTree {
  const tree = openFakeTree({ ...files, 'block/sda/dev': '8:0\n', 'block/loop0/dev': '7:0\n' });
  mkdirSync(join(tree.root, 'group'), { recursive: true });
  mkdirSync(join(tree.root, 'block/sda/device'));
  return tree;
}

describe('counting of I/O (files that stand for the kernel)', () => {
  it('gives disks a rule, and nothing that is built on them', () => {
    using tree = openTree(RULES);
    countIo(join(tree.root, 'group'), join(tree.root, 'block'));
    for (const file of Object.keys(RULES)) expect(readFileSync(join(tree.root, file), 'latin1')).toBe(RULE);
  });

  it('does without on a kernel that cannot throttle, and for a disk that has gone', () => {
    using tree = openTree({});
    expect(() => countIo(join(tree.root, 'group'), join(tree.root, 'block'))).not.toThrow();
    expect(() => countIo('/sys/fs/cgroup/none', '/sys/block')).not.toThrow();
  });

  it('is refused when the group cannot be written', () => {
    using tree = openTree(RULES);
    const file = join(tree.root, 'group/blkio.throttle.read_bps_device');
    rmSync(file);
    symlinkSync('/dev/full', file);
    expect(() => countIo(join(tree.root, 'group'), join(tree.root, 'block'))).toThrow(
      expect.objectContaining({ code: 'SANDBOX_CGROUP' }),
    );
  });
});
