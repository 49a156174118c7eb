// The host's room and a workload's life: what fits, what shrinks, what is restarted, replaced, rolled back, refused, and never left behind.
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../home-fixture.ts';
import { type Loop, openLoop, shortPolicy } from '../loop-fixture.ts';
import { needs } from '../needs.ts';

const MIB = 1024 ** 2;

/** A policy under which the host has only so much to give; a raise never comes. */
function withRoom(bytes: number, changes: Readonly<Record<string, string>> = {}): string {
  const reserve = Math.ceil(totalmem() / 1024) - bytes / 1024;
  return shortPolicy({
    'memory: 256Mi }': `memory: ${reserve}Ki }`,
    'liftedByCleanRuntime: 500ms': 'liftedByCleanRuntime: 24h',
    ...changes,
  });
}

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'busybox'))('the scheduler', () => {
  let loop: Loop;
  beforeAll(async () => {
    loop = await openLoop(['a', 'b', 'U']);
  });
  afterAll(async () => {
    await loop[Symbol.asyncDispose]();
  });

  it('refuses a start that does not fit, with the numbers, also when ten ask at once', async () => {
    const policy = withRoom(200 * MIB);
    const asked = Array.from({ length: 10 }, (_, at) =>
      loop.run({ name: `one-${at}`, policy, memoryBytes: 128 * MIB, argv: ['sleep', '1000'] }),
    );
    const results = await Promise.allSettled(asked);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const refusal = results.find((result) => result.status === 'rejected')?.reason as unknown;
    expect(refusal).toMatchObject({
      code: 'ENGINE_CAPACITY',
      exit: 3,
      message: expect.stringMatching(/64Mi asked for, 200Mi to give/) as string,
    });
    await removeAll();
    expect(readdirSync(join(loop.home.dir, 'workloads'))).toEqual([]);
  });

  it('shrinks what is trusted less for what is trusted more, and lets it grow back', async () => {
    const policy = withRoom(160 * MIB, {
      'memoryMax: 256Mi': 'memoryMax: 64Mi',
      'low: [microvm, gvisor]': 'low: [container]',
    });
    await loop.run({ name: 'lesser', policy, memoryBytes: 256 * MIB, argv: ['sleep', '1000'] });
    expect(loop.kernel(await loop.inspect('lesser')).memoryBytes).toBe(128 * MIB);
    await expect(
      loop.run({ name: 'equal', image: 'b', policy, memoryBytes: 128 * MIB, argv: ['sleep', '1000'] }),
    ).rejects.toMatchObject({ code: 'ENGINE_CAPACITY' });
    await loop.home.ok('override', 'lesser', '--tier', 'high', '--for', '60s', '--reason', 'a raise that does not fit');
    expect(await loop.inspect('lesser')).toMatchObject({
      grantedTier: 'high',
      effective: { memoryBytes: 128 * MIB, network: 'unrestricted' },
    });
    await loop.home.ok('override', 'lesser', '--clear');
    await until('it is medium', async () => (await loop.inspect('lesser')).grantedTier === 'medium');
    await loop.run({
      name: 'greater',
      image: 'b',
      policy: highFrom(policy),
      memoryBytes: 96 * MIB,
      argv: ['sleep', '1000'],
    });
    const [shrunk] = (await loop.events('lesser', 'grant')).slice(-1);
    expect(shrunk).toMatchObject({
      fromTier: 'medium',
      toTier: 'medium',
      to: { memory: { bytes: 64 * MIB } },
      effective: { memoryBytes: 64 * MIB },
    });
    await loop.home.ok('rm', '--force', 'greater');
    await until('it has grown back', async () => loop.kernel(await loop.inspect('lesser')).memoryBytes === 128 * MIB);
    await removeAll();
  });

  it.each([
    { what: 'its own code', argv: ['sh', '-c', 'exit 7'], more: {}, code: 7, reason: 'exited' },
    { what: 'a time limit', argv: ['sleep', '1000'], more: { timeMs: 300 }, code: 137, reason: 'time limit' },
    {
      what: 'its memory limit',
      argv: ['sh', '-c', 'dd if=/dev/zero of=/dev/null bs=200M count=1'],
      more: {},
      code: 137,
      reason: 'memory limit',
    },
  ])('tells that a workload ended by $what', async ({ argv, more, code, reason }) => {
    await loop.run({ name: 'ender', argv, ...more });
    await until('it has ended', async () => (await loop.inspect('ender')).state === 'exited');
    expect((await loop.inspect('ender')).exit).toMatchObject({ code, reason });
    await removeAll();
  });

  it.each([
    { what: 'time', flags: ['--time', '300ms'], argv: ['sleep', '1000'], code: 124 },
    {
      what: 'memory',
      flags: ['--memory', '16Mi'],
      argv: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'],
      code: 137,
    },
  ])('leaves with $code when its $what is used up', async ({ flags, argv, code }) => {
    const image = `oci:${join(`${loop.home.dir}-work`, 'image-a')}`;
    expect(await loop.home.provost(['run', '--rm', ...flags, image, '--', ...argv])).toMatchObject({ code });
  });

  it('restarts what fails until it is stopped, later and later, and forgets what was to be removed', async () => {
    await loop.run({ name: 'again', argv: ['sh', '-c', 'sleep 0.1; exit 1'], restart: 'on-failure' });
    await until('it has started three times', async () => (await loop.events('again', 'started')).length >= 3);
    const started = (await loop.events('again', 'started')).map(({ time }) => Date.parse(time));
    const ended = (await loop.events('again', 'exited')).map(({ time }) => Date.parse(time));
    expect((started[1] ?? 0) - (ended[0] ?? 0)).toBeGreaterThanOrEqual(200);
    expect((started[2] ?? 0) - (ended[1] ?? 0)).toBeGreaterThanOrEqual(400);
    await loop.home.ok('stop', 'again');
    expect(await loop.inspect('again')).toMatchObject({ state: 'exited' });
    await loop.run({ name: 'once', argv: ['sh', '-c', 'exit 0'], restart: 'on-failure' });
    await until('it has ended', async () => (await loop.inspect('once')).state === 'exited');
    await loop.run({ name: 'gone', argv: ['true'], removeAtExit: true });
    await until('it is forgotten', () => isUnknown('gone'));
    await loop.run({ name: 'late', argv: ['sleep', '1000'], removeAtExit: true, timeMs: 200 });
    await until('it is forgotten, too', () => isUnknown('late'));
    await removeAll();
  });

  it('replaces a revision, keeps the old one when the new cannot start, and goes back when a person asks', async () => {
    await loop.run({ name: 'web', argv: ['sleep', '1000'] });
    await until('it is good', async () => (await loop.inspect('web')).revisions[0]?.good === true);
    await expect(loop.run({ name: 'web', argv: ['true'] })).rejects.toMatchObject({
      code: 'ENGINE_NAME_IN_USE',
      exit: 2,
    });
    await expect(loop.run({ name: 'web', argv: ['/no/such/program'], replace: true })).rejects.toMatchObject({
      exit: expect.any(Number) as number,
    });
    expect(await loop.inspect('web')).toMatchObject({ state: 'running', revision: 1, revisions: [{ number: 1 }] });
    await loop.run({ name: 'web', argv: ['sleep', '2000'], replace: true });
    expect(await loop.inspect('web')).toMatchObject({ state: 'running', revision: 2 });
    await loop.home.ok('rollback', 'web', '--reason', 'a test');
    expect(await loop.inspect('web')).toMatchObject({ state: 'running', revision: 1 });
    await expect(loop.post('/v1/workloads/web/rollback', { reason: 'again' })).rejects.toMatchObject({
      code: 'ENGINE_NO_REVISION',
    });
    await expect(loop.client.call({ method: 'DELETE', path: '/v1/workloads/web' })).rejects.toMatchObject({
      code: 'ENGINE_STATE',
    });
    await removeAll();
    await expect(loop.inspect('web')).rejects.toMatchObject({ code: 'ENGINE_NO_WORKLOAD' });
  });

  it('waits for the stop signal to be heeded, and no longer than it may', async () => {
    await loop.run({
      name: 'deaf',
      argv: ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'],
      stopTimeoutMs: 300,
    });
    const fromMs = performance.now();
    await loop.home.ok('stop', 'deaf');
    expect(performance.now() - fromMs).toBeLessThan(5000);
    expect((await loop.inspect('deaf')).exit).toMatchObject({ code: 137, reason: 'stopped' });
    await removeAll();
  });

  it('refuses mounts that reach its own state, and requests that say nothing to run', async () => {
    const link = join(`${loop.home.dir}-work`, 'link');
    symlinkSync(join(loop.home.dir, 'keys'), link);
    for (const source of ['/', loop.home.dir, join(loop.home.dir, 'keys'), '/tmp', link, '/no/such/folder']) {
      const mounts = [{ source, target: '/data', readOnly: true }];
      await expect(loop.run({ name: 'thief', argv: ['true'], mounts }), source).rejects.toMatchObject({
        code: 'ENGINE_MOUNT',
        exit: 2,
      });
    }
    mkdirSync(join(`${loop.home.dir}-work`, 'data'));
    await loop.run({
      name: 'honest',
      argv: ['true'],
      mounts: [{ source: join(`${loop.home.dir}-work`, 'data'), target: '/data', readOnly: true }],
    });
    const root = join(`${loop.home.dir}-work`, 'image-a', 'root');
    const empty = await loop.home.provost(['run', '--rootfs', root, '--json']);
    expect(empty.stdout).toContain('ENGINE_NO_COMMAND');
    await removeAll();
  });

  it('keeps its books under races of run and rm', async () => {
    const names = Array.from({ length: 6 }, (_, at) => `race-${at}`);
    await Promise.allSettled(
      names.flatMap((name) => [
        loop.run({ name, argv: ['sleep', '1000'], memoryBytes: 16 * MIB }),
        remove(name),
        remove(name),
      ]),
    );
    await Promise.allSettled(
      names.flatMap((name) => [
        loop.run({ name, argv: ['sleep', '2000'], memoryBytes: 16 * MIB, replace: true }),
        remove(name),
      ]),
    );
    for (const name of names) {
      const state = await loop.inspect(name).catch(() => null);
      if (state !== null) expect(state).toMatchObject({ state: 'running', effective: { pids: 40 } });
    }
    await removeAll();
    await until('nothing runs', () => loop.home.traces().filter((trace) => trace.includes('conmon')).length === 0);
  });

  async function remove(name: string): Promise<void> {
    await loop.client.call({ method: 'DELETE', path: `/v1/workloads/${name}?force=true` });
  }

  async function removeAll(): Promise<void> {
    const all = await loop.client.call<{ readonly name: string }[]>({ method: 'GET', path: '/v1/workloads' });
    await Promise.all(all.map(({ name }) => remove(name)));
  }

  async function isUnknown(name: string): Promise<boolean> {
    const found = await loop.inspect(name).catch((error: unknown) => error);
    return found instanceof Error && !existsSync(join(loop.home.dir, 'workloads', name));
  }
});

/** The same policy, by whose word everything that is at least medium is high. */
function highFrom(policy: string): string {
  return policy.replace('highAbove: 0.8', 'highAbove: 0.5');
}
