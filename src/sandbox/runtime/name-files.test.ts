import { describe, expect, it } from 'vitest';
import { nameFiles, resolverText } from './name-files.ts';

describe('name servers', () => {
  it('are those of the first text that names one beyond the host’s loopback', () => {
    const stub = 'nameserver 127.0.0.53\noptions edns0\n';
    const real = '# comment\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.com\n';
    expect(resolverText([stub, real])).toBe('nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.com\n');
  });

  it('are at most three, and none of IPv6', () => {
    const text = ['::1', '192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map((at) => `nameserver ${at}`).join('\n');
    expect(resolverText([text]).match(/^nameserver/gm)).toHaveLength(3);
  });

  it.each([[[]], [['nameserver 127.0.0.1\n']], [['']]])('are none where %j says so', (texts) => {
    expect(resolverText(texts)).toMatch(/^# this host has no name server/);
  });
});

describe('the files of names', () => {
  it('tell a workload its own name', () => {
    const files = nameFiles('web');
    expect(files.map(({ target }) => target)).toEqual(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']);
    expect(files[0]?.text).toContain('localhost web');
    expect(files[1]?.text).toBe('web\n');
  });
});
