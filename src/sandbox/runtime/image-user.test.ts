import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveImageUser } from './image-user.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'provost-user-'));
  mkdirSync(join(root, 'etc'));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbig:x:70000:0::/:\nbroken:x:no:0\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nweb:x:34:\nlogs:x:4:web,other\nfar:x:99999:web\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('resolveImageUser', () => {
  it('takes root where nobody is named', () => {
    expect(resolveImageUser(root, '')).toEqual({ uid: 0, gid: 0, additionalGids: [], home: '/root' });
  });

  it('looks a name up with its group, its supplementary groups within range, and its home', () => {
    expect(resolveImageUser(root, 'web')).toEqual({ uid: 33, gid: 34, additionalGids: [4], home: '/srv' });
  });

  it('gives a number without an account the root group and no home', () => {
    expect(resolveImageUser(root, '1000')).toEqual({ uid: 1000, gid: 0, additionalGids: [], home: '/' });
  });

  it('takes a named group instead of those of the account', () => {
    expect(resolveImageUser(root, 'web:logs')).toEqual({ uid: 33, gid: 4, additionalGids: [], home: '/srv' });
    expect(resolveImageUser(root, '33:77')).toMatchObject({ uid: 33, gid: 77, additionalGids: [] });
  });

  it('works in an image without accounts', () => {
    rmSync(join(root, 'etc'), { recursive: true });
    expect(resolveImageUser(root, '5:6')).toEqual({ uid: 5, gid: 6, additionalGids: [], home: '/' });
  });

  it.each(['nobody-here', 'web:nogroup', 'a:b:c', '65536', '1:65536', 'big', '-1', 'broken'])('refuses %s', (user) => {
    expect(() => resolveImageUser(root, user)).toThrow(expect.objectContaining({ code: 'SANDBOX_USER', exit: 2 }));
  });

  it('follows a link as the workload would: within the root', () => {
    const outside = mkdtempSync(join(tmpdir(), 'provost-outside-'));
    try {
      writeFileSync(join(outside, 'passwd'), 'spy:x:1:1::/:\n');
      rmSync(join(root, 'etc/passwd'));
      symlinkSync(`../../../../../..${outside}/passwd`, join(root, 'etc/passwd'));
      expect(() => resolveImageUser(root, 'spy')).toThrow(expect.objectContaining({ code: 'SANDBOX_USER' }));
      mkdirSync(join(root, outside), { recursive: true });
      writeFileSync(join(root, outside, 'passwd'), 'own:x:7:8::/:\n');
      expect(resolveImageUser(root, 'own')).toMatchObject({ uid: 7, gid: 8 });
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('refuses a link that goes round, a FIFO and a file beyond 1 MiB', () => {
    const passwd = join(root, 'etc/passwd');
    rmSync(passwd);
    symlinkSync('passwd', passwd);
    expect(() => resolveImageUser(root, 'web')).toThrow(/symbolic links/);
    rmSync(passwd);
    execFileSync('mkfifo', [passwd]);
    expect(() => resolveImageUser(root, 'web')).toThrow(/plain file/);
    rmSync(passwd);
    writeFileSync(passwd, Buffer.alloc(1024 * 1024 + 1, 'x'));
    expect(() => resolveImageUser(root, 'web')).toThrow(/plain file/);
  });
});
