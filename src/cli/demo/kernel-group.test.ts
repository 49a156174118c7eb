import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openKernelGroup } from './kernel-group.ts';

const PATH = '/provost/abcdef/one';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'provost-group-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Files as a kernel would show them: the reference host has no v2 controllers. */
function writeFiles(controller: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(root, controller, PATH), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, controller, PATH, name), `${text}\n`);
}

describe('a group of the v2 tree', () => {
  const files = {
    'cpu.max': '50000 100000',
    'memory.max': '268435456',
    'pids.max': '64',
    'cgroup.events': 'populated 1\nfrozen 1',
    'cpu.stat': 'usage_usec 2500000\nuser_usec 1',
    'pids.current': '12',
    'pids.events': 'max 3',
  };

  it('is read by its own files', () => {
    writeFiles('unified', files);
    const group = openKernelGroup(PATH, new Map([['', join(root, 'unified')]]));
    expect(group.limits()).toEqual({ cpuMillicores: 500, memoryBytes: 268_435_456, pids: 64, frozen: true });
    expect(group.use()).toEqual({ cpuMs: 2500, pids: 12, startsRefused: 3 });
  });

  it('is null once it is gone', () => {
    const group = openKernelGroup(PATH, new Map([['', join(root, 'unified')]]));
    expect(group.limits()).toBeNull();
    expect(group.use()).toBeNull();
  });
});

describe('a group of v1 hierarchies', () => {
  const mounts = (): ReadonlyMap<string, string> =>
    new Map(['cpu', 'memory', 'pids', 'freezer', 'cpuacct'].map((name) => [name, join(root, name)]));

  it.each([
    ['FROZEN', true],
    ['FREEZING', false],
    ['THAWED', false],
  ])('is read from each of them; %s is frozen: %s', (state, frozen) => {
    writeFiles('cpu', { 'cpu.cfs_quota_us': '10000', 'cpu.cfs_period_us': '100000' });
    writeFiles('memory', { 'memory.limit_in_bytes': '1048576' });
    writeFiles('pids', { 'pids.max': '9', 'pids.current': '2', 'pids.events': 'max 0' });
    writeFiles('freezer', { 'freezer.state': state });
    writeFiles('cpuacct', { 'cpuacct.usage': '7000000' });
    const group = openKernelGroup(PATH, mounts());
    expect(group.limits()).toEqual({ cpuMillicores: 100, memoryBytes: 1_048_576, pids: 9, frozen });
    expect(group.use()).toEqual({ cpuMs: 7, pids: 2, startsRefused: 0 });
  });
});
