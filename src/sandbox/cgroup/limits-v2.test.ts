import { readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeTree, openFakeTree } from '../../../test/cgroup-fixture.ts';
import { MIB } from '../../base/index.ts';
import { limiterV2 } from './limits-v2.ts';

const FRESH = {
  'cpu.max': 'max 100000\n',
  'memory.max': 'max\n',
  'memory.high': 'max\n',
  'memory.current': '0\n',
  'memory.swap.max': 'max\n',
  'pids.max': 'max\n',
};
const limits = { cpuMillicores: 250, memoryBytes: 64 * MIB, pids: 32 };

function held(tree: FakeTree, file: string): string {
  return readFileSync(join(tree.root, file), 'latin1').split('\n')[0] ?? '';
}

describe('limits of a v2 group (files that stand for the kernel)', () => {
  it('are none in a fresh group', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV2(tree.root);
    const none = Number.POSITIVE_INFINITY;
    expect(limiter.effective()).toEqual({ cpuMillicores: none, memoryBytes: none, pids: none, pending: {} });
  });

  it('are written in the form of v2 and read back', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV2(tree.root);
    expect(limiter.apply(limits)).toEqual({ ...limits, pending: {} });
    expect(held(tree, 'cpu.max')).toBe('25000 100000');
    expect(held(tree, 'memory.max')).toBe(String(64 * MIB));
    expect(held(tree, 'pids.max')).toBe('32');
    expect(limiter.effective()).toEqual({ ...limits, pending: {} });
  });

  it('leave no way out into swap', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV2(tree.root);
    limiter.apply(limits);
    expect(held(tree, 'memory.swap.max')).toBe('0');
  });

  it('are held on a kernel that does not account swap', () => {
    using tree = openFakeTree(FRESH);
    rmSync(join(tree.root, 'memory.swap.max'));
    using limiter = limiterV2(tree.root);
    expect(limiter.apply(limits).memoryBytes).toBe(64 * MIB);
  });

  it('stay at present use, without killing, when memory in use is above the target', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV2(tree.root);
    limiter.apply(limits);
    tree.write('memory.current', `${40 * MIB + 1}\n`);
    const small = { ...limits, memoryBytes: 16 * MIB };
    const effective = limiter.apply(small);
    expect(effective).toEqual({ ...small, memoryBytes: 40 * MIB + 4096, pending: { memoryBytes: 16 * MIB } });
    expect(held(tree, 'memory.high')).toBe('max');
    tree.write('memory.current', `${8 * MIB}\n`);
    expect(limiter.apply(small)).toEqual({ ...small, pending: {} });
  });

  it('never rise to present use: what is above the old limit stays at the old limit', () => {
    using tree = openFakeTree({ ...FRESH, 'memory.max': `${32 * MIB}\n`, 'memory.current': `${33 * MIB}\n` });
    using limiter = limiterV2(tree.root);
    expect(limiter.apply({ ...limits, memoryBytes: 16 * MIB }).memoryBytes).toBe(32 * MIB);
  });

  it('are refused when the kernel takes them but holds something else', () => {
    using tree = openFakeTree(FRESH);
    rmSync(join(tree.root, 'pids.max'));
    symlinkSync('/dev/null', join(tree.root, 'pids.max'));
    using limiter = limiterV2(tree.root);
    expect(() => limiter.apply(limits)).toThrow(expect.objectContaining({ code: 'SANDBOX_LIMIT_NOT_HELD' }));
  });

  it('are refused when the group is no more', () => {
    using tree = openFakeTree(FRESH);
    rmSync(join(tree.root, 'cpu.max'));
    using limiter = limiterV2(tree.root);
    expect(() => limiter.apply(limits)).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });
});
