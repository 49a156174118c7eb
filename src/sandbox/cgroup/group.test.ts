import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openTestGroup, type TestGroup, until } from '../../../test/cgroup-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { MIB } from '../../base/index.ts';
import { listGroupIds, removeParents } from './group-folders.ts';
import { makeGroup, openGroup } from './group.ts';
import { findCgroupLayout } from './layout.ts';

const HAS_V1 = process.platform === 'linux' && findCgroupLayout().limits === 'v1';
const limits = { cpuMillicores: 250, memoryBytes: 256 * MIB, pids: 64 };

/** Answers each line with how many MiB it holds, after it took as many as the line says. */
const HOLDER = `
  let held = [];
  process.stdin.on('data', (line) => {
    held = [];
    globalThis.gc();
    const mib = Number(line);
    if (mib > 0) held.push(Buffer.alloc(mib * 1048576, 1));
    process.stdout.write('holds ' + mib + '\\n');
  });
  process.stdout.write('ready\\n');
`;

async function startHolder(test: TestGroup) {
  const child = await test.run(process.execPath, ['--expose-gc', '-e', HOLDER]);
  const said: string[] = [];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => said.push(text));
  await until('the holder is ready', () => said.join('').includes('ready'));
  return {
    child,
    hold: async (mib: number) => {
      child.stdin?.write(`${mib}\n`);
      await until(`the holder holds ${mib} MiB`, () => said.join('').includes(`holds ${mib}\n`));
    },
  };
}

function cpuUsec(test: TestGroup): number {
  const file = join(test.folder('cpuacct'), HAS_V1 ? 'cpuacct.usage' : 'cpu.stat');
  return Number(/\d+/.exec(readFileSync(file, 'latin1'))?.[0]);
}

/** Work for the other core to be seen in: some tens of milliseconds of this one. */
function busyMs(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe.skipIf(needs('root'))('limits of a group on this host (root)', () => {
  it('are what the kernel shows, up and down', async () => {
    await using test = openTestGroup();
    for (const asked of [
      limits,
      { cpuMillicores: 2000, memoryBytes: 512 * MIB, pids: 100 },
      { ...limits, cpuMillicores: 5 },
    ]) {
      expect(test.group.apply(asked)).toEqual({ ...asked, pending: {} });
      expect(test.group.effective()).toEqual({ ...asked, pending: {} });
      expect(readFileSync(join(test.folder('pids'), 'pids.max'), 'latin1')).toBe(`${asked.pids}\n`);
    }
  });

  it('are none in a fresh group', async () => {
    await using test = openTestGroup();
    const none = Number.POSITIVE_INFINITY;
    expect(test.group.effective()).toEqual({ cpuMillicores: none, memoryBytes: none, pids: none, pending: {} });
  });

  it('refuse what the kernel refuses, with its errno', async () => {
    await using test = openTestGroup();
    const tooMany = { ...limits, pids: 2 ** 40 };
    expect(() => test.group.apply(tooMany)).toThrow(
      expect.objectContaining({ code: 'SANDBOX_CGROUP', details: expect.objectContaining({ errno: 'EINVAL' }) }),
    );
  });

  it('leave memory in use at present use, then reach the target once it is free', async () => {
    await using test = openTestGroup();
    test.group.apply(limits);
    const holder = await startHolder(test);
    await holder.hold(120);
    const small = { ...limits, memoryBytes: 96 * MIB };
    const effective = test.group.apply(small);
    expect(effective.pending).toEqual({ memoryBytes: small.memoryBytes });
    expect(effective.memoryBytes).toBeGreaterThan(120 * MIB);
    expect(effective.memoryBytes).toBeLessThan(limits.memoryBytes);
    // Once nothing is left to give back it stays where it is.
    let last = effective.memoryBytes;
    await until('it stays', () => {
      const { memoryBytes } = test.group.apply(small);
      expect(memoryBytes).toBeLessThanOrEqual(last);
      const isSame = memoryBytes === last;
      last = memoryBytes;
      return isSame;
    });
    expect(holder.child.exitCode).toBeNull();
    // At present use it has no room to run in, so that it cannot be asked to give memory back.
    holder.child.kill('SIGKILL');
    await until('the target is reached', () => test.group.apply(small).pending.memoryBytes === undefined);
    expect(test.group.effective().memoryBytes).toBe(small.memoryBytes);
  });

  it('end a workload that goes over its memory, and count it', async () => {
    await using test = openTestGroup();
    test.group.apply(limits);
    const holder = await startHolder(test);
    test.group.apply({ ...limits, memoryBytes: 128 * MIB });
    holder.child.stdin?.write('400\n');
    const [, signal] = (await once(holder.child, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
    expect(test.group.stats().oomKills).toBeGreaterThan(0);
    expect(test.group.stats().memoryLimitHits).toBeGreaterThan(0);
    expect(test.group.stats().memoryPeakBytes).toBeLessThanOrEqual(128 * MIB);
  });

  it('stop a fork bomb at the granted pids', async () => {
    await using test = openTestGroup();
    test.group.apply({ ...limits, pids: 8 });
    await test.run('sh', ['-c', 'f() { f | f & }; f; sleep 1000']);
    await until('the limit was hit', () =>
      / [1-9]/.test(readFileSync(join(test.folder('pids'), 'pids.events'), 'latin1')),
    );
    expect(test.group.stats().pids).toBeLessThanOrEqual(8);
  });
});

describe.skipIf(needs('root'))('a group on this host (root)', () => {
  it('counts what its processes use, and answers from memory while they are idle', async () => {
    await using test = openTestGroup();
    const holder = await startHolder(test);
    await holder.hold(20);
    await until('it rests', () => test.group.stats() === test.group.stats());
    const stats = test.group.stats();
    expect(stats.cpuUsec).toBeGreaterThan(1000);
    expect(stats.memoryBytes).toBeGreaterThan(20 * MIB);
    expect(stats.memoryPeakBytes).toBeGreaterThanOrEqual(stats.memoryBytes);
    expect(stats.minorFaults).toBeGreaterThan(1000);
    expect(stats.pids).toBeGreaterThan(0);
    expect(stats.oomKills).toBe(0);
  });

  it('counts bytes that its processes read from a disk and write to it', async () => {
    await using test = openTestGroup();
    // On a disk, where the folder for temporary files may be memory.
    using disposables = new DisposableStack();
    const dir = mkdtempSync('/var/tmp/provost-io-');
    disposables.defer(() => rmSync(dir, { recursive: true }));
    const file = join(dir, 'data');
    const child = await test.run('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', 'count=4', 'conv=fsync', 'status=none']);
    expect((await once(child, 'exit'))[0]).toBe(0);
    expect(test.group.stats().writeBytes).toBeGreaterThanOrEqual(4 * MIB);
    const reader = await test.run('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'iflag=direct', 'status=none']);
    expect((await once(reader, 'exit'))[0]).toBe(0);
    expect(test.group.stats().readBytes).toBeGreaterThanOrEqual(4 * MIB);
  });

  it('stops every process and lets them go on', async () => {
    await using test = openTestGroup();
    await test.run('sh', ['-c', 'while :; do :; done & while :; do :; done']);
    await until('it runs', () => cpuUsec(test) > 0);
    await test.group.freeze();
    expect(test.group.isFrozen()).toBe(true);
    const frozenAt = cpuUsec(test);
    busyMs(30);
    expect(cpuUsec(test)).toBe(frozenAt);
    await test.group.thaw();
    expect(test.group.isFrozen()).toBe(false);
    await until('it runs again', () => cpuUsec(test) > frozenAt);
  });

  it('ends every process, frozen ones and those that left their session too', async () => {
    await using test = openTestGroup();
    const child = await test.run('sh', ['-c', 'setsid sh -c "sleep 1000 & sleep 1000" & sleep 1000']);
    await until('all are there', () => test.group.processes().length >= 4);
    await test.group.freeze();
    const ended = once(child, 'exit');
    await test.group.kill();
    expect(test.group.processes()).toEqual([]);
    expect((await ended)[1]).toBe('SIGKILL');
  });

  it('is found again by another supervisor, and is no more once it is removed', async () => {
    await using test = openTestGroup();
    expect(listGroupIds(test.layout, test.name.homeId)).toEqual(['one']);
    using again = openGroup(test.layout, test.name);
    expect(again?.cgroupId).toBe(test.group.cgroupId);
    expect(again?.path).toBe(`/provost/${test.name.homeId}/one`);
    await test.group.remove();
    await test.group.remove();
    expect(openGroup(test.layout, test.name)).toBeNull();
    expect(() => test.group.cgroupId).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
    expect(() => test.group.stats()).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });

  it('tells that it is gone also when its files were open', async () => {
    await using test = openTestGroup();
    test.group.stats();
    using other = openGroup(test.layout, test.name);
    await other?.remove();
    expect(() => test.group.stats()).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });

  it('refuses to be made twice, and leaves the first as it is', async () => {
    await using test = openTestGroup();
    expect(() => makeGroup(test.layout, test.name)).toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
    expect(existsSync(test.folder('memory'))).toBe(true);
  });

  it('refuses a name that leads out of its home', () => {
    const layout = findCgroupLayout();
    expect(() => makeGroup(layout, { homeId: 'home', id: '../other' })).toThrow(/not one folder/);
    expect(() => makeGroup(layout, { homeId: '', id: 'one' })).toThrow(/not one folder/);
  });

  it('is removed with the groups that the workload made below it', async () => {
    await using test = openTestGroup();
    mkdirSync(join(test.folder('memory'), 'below/deeper'), { recursive: true });
    await test.group.remove();
    expect(existsSync(test.folder('memory'))).toBe(false);
  });

  it('is not removed while a process is in it', async () => {
    await using test = openTestGroup();
    await test.run('sleep', ['1000']);
    await expect(test.group.remove()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
  });

  it('keeps its parents while another group is there, and leaves nothing once none is', async () => {
    await using test = openTestGroup();
    removeParents(test.layout, test.name.homeId);
    expect(existsSync(test.folder('memory'))).toBe(true);
    await test.group.remove();
    removeParents(test.layout, test.name.homeId);
    expect(existsSync(join(test.folder('memory'), '..'))).toBe(false);
  });

  it('ignores a process that has ended before it was admitted', async () => {
    await using test = openTestGroup();
    const child = await test.run('true', []);
    await once(child, 'exit');
    test.group.admit(child.pid);
    expect(test.group.processes()).toEqual([]);
  });
});

describe.skipIf(needs('root', 'cgroup-v1'))('a group under v1 controllers (root)', () => {
  it('takes processes that a runtime put into v1 groups alone into its v2 group', async () => {
    await using test = openTestGroup();
    const child = await startInV1Only(test);
    test.group.gather();
    expect(readFileSync(join(test.layout.v2, test.group.path, 'cgroup.procs'), 'latin1')).toBe(`${child.pid}\n`);
  });

  it('stops and ends processes that are in v1 groups alone', async () => {
    await using test = openTestGroup();
    const child = await startInV1Only(test);
    await test.group.freeze();
    expect(test.group.isFrozen()).toBe(true);
    expect(readFileSync(join(test.folder('freezer'), 'freezer.state'), 'latin1')).toBe('FROZEN\n');
    const ended = once(child, 'exit');
    await test.group.kill();
    expect((await ended)[1]).toBe('SIGKILL');
  });

  it('lets them go on', async () => {
    await using test = openTestGroup();
    await startInV1Only(test);
    await test.group.freeze();
    await test.group.thaw();
    expect(test.group.isFrozen()).toBe(false);
  });
});

/** Moves a started process's v2 membership back to where this process is: as an OCI runtime for v1 leaves it. */
async function startInV1Only(test: TestGroup) {
  const child = await test.run('sleep', ['1000']);
  writeFileSync(join(test.layout.v2, 'cgroup.procs'), String(child.pid));
  return child;
}
