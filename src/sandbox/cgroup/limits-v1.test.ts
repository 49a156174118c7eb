import { readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFakeTree } from '../../../test/cgroup-fixture.ts';
import { MIB } from '../../base/index.ts';
import { limiterV1 } from './limits-v1.ts';

// What the kernel itself does with limits is in group.test.ts; here is what a given host does not show.
const FRESH = {
  'cpu.cfs_period_us': '100000\n',
  'cpu.cfs_quota_us': '-1\n',
  'memory.limit_in_bytes': '9223372036854771712\n',
  'memory.usage_in_bytes': '0\n',
  'pids.max': 'max\n',
};
const limits = { cpuMillicores: 5, memoryBytes: 64 * MIB, pids: 32 };

describe('limits of v1 groups (files that stand for the kernel)', () => {
  it('are held where the kernel does not account swap', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV1({ cpu: tree.root, memory: tree.root, pids: tree.root });
    expect(limiter.apply({ ...limits, memoryBytes: 128 * MIB }).memoryBytes).toBe(128 * MIB);
    expect(limiter.apply(limits)).toEqual({ ...limits, pending: {} });
    expect(limiter.apply({ ...limits, memoryBytes: 96 * MIB }).memoryBytes).toBe(96 * MIB);
  });

  it('give a grant below the least quota a longer period', () => {
    using tree = openFakeTree(FRESH);
    using limiter = limiterV1({ cpu: tree.root, memory: tree.root, pids: tree.root });
    limiter.apply(limits);
    expect(readFileSync(join(tree.root, 'cpu.cfs_quota_us'), 'latin1')).toBe('5000\n');
    expect(readFileSync(join(tree.root, 'cpu.cfs_period_us'), 'latin1')).toMatch(/^1000000\n/);
  });

  it('are refused when memory cannot be limited for another reason than use', () => {
    using tree = openFakeTree(FRESH);
    rmSync(join(tree.root, 'memory.limit_in_bytes'));
    symlinkSync('/dev/full', join(tree.root, 'memory.limit_in_bytes'));
    using limiter = limiterV1({ cpu: tree.root, memory: tree.root, pids: tree.root });
    expect(() => limiter.apply(limits)).toThrow(
      expect.objectContaining({ code: 'SANDBOX_CGROUP', details: expect.objectContaining({ errno: 'ENOSPC' }) }),
    );
  });
});
