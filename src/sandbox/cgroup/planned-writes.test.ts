import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openTestGroup } from '../../../test/cgroup-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { MIB } from '../../base/index.ts';
import type { CgroupLayout } from './layout.ts';
import { plannedWrites } from './planned-writes.ts';

const limits = { cpuMillicores: 250, memoryBytes: 64 * MIB, pids: 32 };

describe('planned writes', () => {
  it.skipIf(needs('root'))('are what the kernel holds once they are made', async () => {
    await using test = openTestGroup();
    test.group.apply(limits);
    const held = plannedWrites(test.layout, test.group.path, limits).map(({ file }) =>
      readFileSync(file, 'latin1').trim(),
    );
    expect(held).toEqual(plannedWrites(test.layout, test.group.path, limits).map(({ value }) => value));
  });

  it('are three in a v2 tree', () => {
    const layout: CgroupLayout = { limits: 'v2', v1: new Map(), v2: '/cg' };
    expect(plannedWrites(layout, '/provost/a/b', limits)).toEqual([
      { file: '/cg/provost/a/b/cpu.max', value: '25000 100000' },
      { file: '/cg/provost/a/b/pids.max', value: '32' },
      { file: '/cg/provost/a/b/memory.max', value: String(64 * MIB) },
    ]);
  });
});
