// A stock Debian web server, as its maintainers package it: made into an image, signed, run with a published port.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tarOfFolder, writeOciLayout } from '../../src/artifact/index.ts';
import { freePort, openTestHome, type TestHome, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'dpkg'))('a stock Debian web server', () => {
  let home: TestHome;
  let image: string;
  let port: number;

  beforeAll(async () => {
    home = openTestHome();
    const root = execFileSync('sh', [join(PROJECT_FOLDER, 'scripts/debian-image')], { encoding: 'utf8' }).trim();
    const dir = join(home.dir, 'image');
    const config = { cmd: ['nginx', '-g', 'daemon off;'], stopSignal: 'SIGQUIT', createdMs: Date.now() };
    writeOciLayout({ dir, layers: [tarOfFolder(root)], config, tag: 'debian' });
    image = `oci:${dir}:debian`;
    port = await freePort();
    await home.ok('key', 'generate', 'packager');
    await home.ok('key', 'trust', 'packager');
    await home.ok('attest', image, '--key', 'packager');
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('runs at medium when it is signed, and answers on its published port', async () => {
    await home.ok('run', '-d', '--name', 'web', '-p', `127.0.0.1:${port}:80`, '--memory', '256Mi', image);
    const { driver, grantedTier, effective } = await home.inspect('web');
    expect({ driver, grantedTier, effective }).toMatchObject({
      driver: 'runc',
      grantedTier: 'medium',
      effective: { cpuMillicores: 500, memoryBytes: 128 * 2 ** 20, network: 'rateLimited' },
    });
    await until('it answers', async () => (await statusOf(port)) === 200);
    expect(await home.ok('logs', 'web')).toBe('');
  });

  it('drops to its own user for the work, within its range of ids', async () => {
    const { cgroup } = await home.inspect('web');
    const pids = execFileSync('cat', [`/sys/fs/cgroup/unified${cgroup}/cgroup.procs`], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const owners = pids.map((pid) => Number(execFileSync('stat', ['-c', '%u', `/proc/${pid}`], { encoding: 'utf8' })));
    expect(Math.min(...owners)).toBeGreaterThanOrEqual(1_000_000);
    expect(new Set(owners).size).toBe(2);
  });

  it('ends by its own stop signal, and the port is free again', async () => {
    await home.ok('stop', 'web');
    expect((await home.inspect('web')).exit).toMatchObject({ code: 0, reason: 'stopped' });
    expect(await statusOf(port)).toBeNull();
    await home.ok('rm', 'web');
  });
});

/** Null when nobody answers. */
async function statusOf(port: number): Promise<number | null> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) })).status;
  } catch {
    // Refused or silent: both mean that nothing is published there.
    return null;
  }
}
