// Supervisor and guard are killed at every moment: what runs goes on and is adopted, within its last logged grant; nothing is left behind.
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../seeded-random.ts';
import { writeBusyboxImage } from '../busybox-image.ts';
import { freePort, openTestHome, type TestHome, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';

const KILLS = 8;
/** A start under runc takes about a tenth of a second, one under gVisor three. */
const KILL_WITHIN_MS = 400;

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'nft', 'busybox'))('after kill -9', () => {
  let home: TestHome;
  let image: string;

  beforeAll(async () => {
    home = openTestHome();
    const dir = join(home.dir, 'image');
    writeBusyboxImage({ dir });
    image = `oci:${dir}`;
    await home.ok('key', 'generate', 'ci');
    await home.ok('key', 'trust', 'ci');
    await home.ok('attest', image, '--key', 'ci');
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  /** Kills the supervisor, and waits until another answers. */
  async function crash(): Promise<number> {
    const pid = home.supervisorPid();
    const fromMs = performance.now();
    process.kill(pid, 'SIGKILL');
    await until(
      'another supervisor is there',
      () => existsSync(join(home.dir, 'provost.pid')) && home.supervisorPid() !== pid,
    );
    return performance.now() - fromMs;
  }

  it('of the supervisor, running workloads are adopted: same process, same limits, same port, same network', async () => {
    const port = await freePort();
    await home.ok(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      `127.0.0.1:${port}:8080`,
      image,
      '--',
      'httpd',
      '-f',
      '-p',
      '8080',
      '-h',
      '/www',
    );
    await home.ok('run', '-d', '--name', 'low', '--rootfs', join(home.dir, 'image/root'), '--', 'sleep', '1000');
    await until('it answers', async () => (await bodyAt(port)) === 'it works\n');
    const before = [await home.inspect('web'), await home.inspect('low')];
    const tookMs = await crash();
    const after = [await home.inspect('web'), await home.inspect('low')];
    for (const [index, workload] of before.entries()) {
      const { pid, instance, effective, grant, state, driver } = workload;
      expect(after[index]).toMatchObject({ pid, instance, effective, grant, state, driver });
    }
    expect(before.map(({ driver }) => driver)).toEqual(['runc', 'gvisor']);
    expect(await bodyAt(port)).toBe('it works\n');
    // The promise is a second; a loaded host with two cores gets some slack.
    expect(tookMs).toBeLessThan(5000);
    await home.ok('rm', '-f', 'web', 'low');
    expect(await bodyAt(port)).toBeNull();
    expect(home.traces().filter((trace) => trace.includes('/run/provost') || trace.includes('.ext4'))).toEqual([]);
  });

  it('of the supervisor, the exit code of what ended unseen is still told', async () => {
    await home.ok('run', '-d', '--name', 'short', image, '--', 'sh', '-c', 'sleep 2; exit 7');
    const { pid } = await home.inspect('short');
    process.kill(home.guardPid(), 'SIGKILL');
    process.kill(home.supervisorPid(), 'SIGKILL');
    await until('it has ended', () => !existsSync(`/proc/${pid}`));
    expect((await home.inspect('short')).exit).toMatchObject({ code: 7, reason: 'exited' });
    expect((await home.events('short')).at(-1)).toMatchObject({ event: 'exited', code: 7, final: true });
    await home.ok('rm', 'short');
  });

  it('of both, the next command brings them back', async () => {
    await home.ok('run', '-d', '--name', 'stays', image);
    const { pid } = await home.inspect('stays');
    process.kill(home.guardPid(), 'SIGKILL');
    process.kill(home.supervisorPid(), 'SIGKILL');
    expect(await home.inspect('stays')).toMatchObject({ pid, state: 'running' });
    await home.ok('rm', '-f', 'stays');
  });

  it('of the guard, the next command gives the supervisor another', async () => {
    await home.ok('run', '-d', '--name', 'guarded', image);
    const [guard, supervisor] = [home.guardPid(), home.supervisorPid()];
    process.kill(guard, 'SIGKILL');
    await home.inspect('guarded');
    await until('another guard is there', () => existsSync(join(home.dir, 'guard.pid')) && home.guardPid() !== guard);
    expect(home.supervisorPid()).toBe(supervisor);
    await crash();
    expect((await home.inspect('guarded')).state).toBe('running');
    await home.ok('rm', '-f', 'guarded');
  });

  it('a limit that somebody raised behind its back is what was last logged again', async () => {
    await home.ok('run', '-d', '--name', 'held', image);
    const { cgroup, effective } = await home.inspect('held');
    const file = `/sys/fs/cgroup/cpu${cgroup}/cpu.cfs_quota_us`;
    process.kill(home.guardPid(), 'SIGKILL');
    process.kill(home.supervisorPid(), 'SIGKILL');
    writeFileSync(file, '200000');
    expect((await home.inspect('held')).effective).toEqual(effective);
    expect(readFileSync(file, 'utf8')).toBe('50000\n');
    await home.ok('rm', '-f', 'held');
  });

  it('what was frozen by a signal to the supervisor is thawed by the next one', async () => {
    await home.ok('run', '-d', '--name', 'thawed', image);
    const { cgroup, pid } = await home.inspect('thawed');
    process.kill(home.supervisorPid(), 'SIGTERM');
    await until('it has left', () => !existsSync(join(home.dir, 'provost.pid')));
    const frozen = `/sys/fs/cgroup/unified${cgroup}/cgroup.freeze`;
    await until('what nobody watches is frozen', () => readFileSync(frozen, 'utf8') === '1\n');
    expect(await home.inspect('thawed')).toMatchObject({ state: 'running', pid });
    expect(readFileSync(frozen, 'utf8')).toBe('0\n');
    await home.ok('rm', '-f', 'thawed');
  });

  it('at any moment of a start, a stop or a fall, nothing is left that nobody knows of', async () => {
    const seed = Number(process.env['PROVOST_TEST_SEED'] ?? randomInt(2 ** 31));
    const random = seededRandom(seed);
    process.stderr.write(`seed ${seed}\n`);
    for (let round = 0; round < KILLS; round += 1) {
      const name = `round-${round}`;
      const action =
        round % 2 === 0
          ? ['run', '-d', '--name', name, image]
          : ['override', `round-${round - 1}`, '--tier', 'low', '--reason', 'to fall'];
      const under = home.provost(action);
      await new Promise((resolve) => setTimeout(resolve, random() * KILL_WITHIN_MS));
      if (existsSync(join(home.dir, 'provost.pid'))) await crash();
      await under;
    }
    const workloads = (await home.ok('ps', '-a', '--json'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Known);
    const known = new Set(workloads.flatMap(({ instance }) => instance ?? []));
    const id = readFileSync(join(home.dir, 'id'), 'utf8').trim();
    await until('the groups on the host are those of the workloads', () => {
      const groups = execFileSync('ls', [`/sys/fs/cgroup/unified/provost/${id}`], { encoding: 'utf8' }).split('\n');
      return groups.filter((group) => group.startsWith(`${id}-`)).every((group) => known.has(group));
    });
    for (const { name } of workloads) await home.ok('rm', '-f', name);
    expect(home.traces().filter((trace) => !trace.includes('supervisor') && !trace.includes('guard'))).toEqual([]);
    expect(await home.ok('replay')).toMatch(/, 0 differ/);
  });
});

interface Known {
  readonly name: string;
  readonly instance: string | null;
}

/** Null when nobody answers. */
async function bodyAt(port: number): Promise<string | null> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) })).text();
  } catch {
    // Refused or silent.
    return null;
  }
}
