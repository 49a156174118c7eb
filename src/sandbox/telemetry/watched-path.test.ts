import { describe, expect, it } from 'vitest';
import { isEngineSocket, isWatchedPath } from './watched-path.ts';

describe('watched paths', () => {
  it.each([
    '/etc/shadow',
    'etc/shadow',
    '//etc/./shadow',
    '/etc/ssl/../shadow',
    '/var/lib/x/etc/gshadow',
    '/root/.ssh/id_rsa',
    '.aws/credentials',
    '/home/u/.git-credentials',
    '/proc/1/mem',
    '/proc/sys/kernel/core_pattern',
    '/sys/fs/cgroup/x/release_agent',
  ])('are watched: %s', (path) => {
    expect(isWatchedPath(path)).toBe(true);
  });

  it.each([
    '/etc/passwd',
    '/etc/shadow/x',
    '/srv/shadow',
    '/root/.ssh',
    '/data/mem',
    '/proc/1/memory',
    '',
    '/',
    '../..',
  ])('are not watched: %s', (path) => {
    expect(isWatchedPath(path)).toBe(false);
  });

  it('know the sockets of container engines, and no others', () => {
    expect(isEngineSocket('unix:/var/run/docker.sock')).toBe(true);
    expect(isEngineSocket('unix:/run/containerd/containerd.sock')).toBe(true);
    expect(isEngineSocket('unix:/run/mydocker.sock')).toBe(false);
    expect(isEngineSocket('unix:/run/postgresql.sock')).toBe(false);
  });
});
