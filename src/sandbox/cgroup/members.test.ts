import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFakeTree } from '../../../test/cgroup-fixture.ts';
import { admit, gather, killAll, processesIn } from './members.ts';

/** Above what the kernel ever gives: there is no such process. */
const NO_PID = 2 ** 30;

describe('processes of a group (files that stand for the kernel)', () => {
  it('are listed once, and those of another pid namespace not at all', () => {
    using tree = openFakeTree({ 'a/cgroup.procs': '12\n13\n', 'b/cgroup.procs': '13\n0\n' });
    expect(processesIn([join(tree.root, 'a'), join(tree.root, 'b'), join(tree.root, 'gone')])).toEqual([12, 13]);
  });

  it('are not taken for none when they cannot be read', () => {
    using tree = openFakeTree();
    mkdirSync(join(tree.root, 'cgroup.procs'));
    expect(() => processesIn([tree.root])).toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
  });

  it('are refused when they cannot be moved', () => {
    using tree = openFakeTree();
    const attempt = () => admit([join(tree.root, 'gone')], NO_PID);
    expect(attempt).toThrow(expect.objectContaining({ code: 'SANDBOX_GONE' }));
  });

  it('are refused when they never arrive', () => {
    using tree = openFakeTree({ 'v1/cgroup.procs': `${NO_PID}\n` });
    symlinkSync('/dev/null', join(tree.root, 'cgroup.procs'));
    const attempt = () => gather(tree.root, () => [join(tree.root, 'v1')]);
    expect(attempt).toThrow(/fork faster/);
  });
});

describe('ending a group (files that stand for the kernel)', () => {
  it('ends processes that no kill file reaches, and says so when one stays', async () => {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // The list never gets shorter, as with a process that waits in the kernel.
    using tree = openFakeTree({ 'cgroup.procs': `${child.pid}\n`, 'pids.max': 'max\n' });
    const { root } = tree;
    const killed = killAll({ v2: root, pids: root, freezer: null }, () => [root]);
    await expect(killed).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_TIMEOUT' }));
    expect((await ended)[1]).toBe('SIGKILL');
  });

  it('is refused when what is listed cannot be killed', async () => {
    using tree = openFakeTree({ 'cgroup.procs': 'x\n' });
    const { root } = tree;
    const killed = killAll({ v2: root, pids: null, freezer: null }, () => [root]);
    await expect(killed).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
  });

  it('is refused when a control file cannot be written', async () => {
    using tree = openFakeTree();
    mkdirSync(join(tree.root, 'cgroup.kill'));
    const killed = killAll({ v2: tree.root, pids: null, freezer: null }, () => []);
    await expect(killed).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP' }));
  });

  it('is done at once when the group is gone', async () => {
    using tree = openFakeTree();
    const gone = join(tree.root, 'gone');
    await expect(killAll({ v2: gone, pids: gone, freezer: gone }, () => [])).resolves.toBeUndefined();
  });
});
