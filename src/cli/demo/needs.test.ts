import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCommand, needs } from '../../../test/needs.ts';
import { findNeeds } from './needs.ts';

const COMMANDS = ['runc', 'conmon', 'nft', 'bpftrace', 'mkfs.ext4', 'unshare', 'git', 'ssh-keygen'];

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-needs-'));
  for (const name of COMMANDS) writeFileSync(join(dir, name), '', { mode: 0o755 });
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe.skipIf(needs('root', 'busybox'))('what the demo needs', () => {
  it('is enough when every command and a busybox without libraries are there', () => {
    copyFileSync(findCommand('busybox') ?? '', join(dir, 'busybox'));
    expect(findNeeds([dir])).toEqual({ busybox: join(dir, 'busybox') });
  });

  it('is missing by name, with what to run', () => {
    copyFileSync(findCommand('busybox') ?? '', join(dir, 'busybox'));
    rmSync(join(dir, 'runc'));
    chmodSync(join(dir, 'conmon'), 0o644);
    expect(() => findNeeds([dir])).toThrow(
      expect.objectContaining({
        code: 'CLI_DEMO',
        exit: 6,
        message: 'the demo needs runc, conmon, which this host does not have',
        hint: expect.stringContaining('npm run setup -- --for demo'),
      }),
    );
  });

  it('is not met by a busybox that needs libraries, which an image of it alone would not have', () => {
    copyFileSync(process.execPath, join(dir, 'busybox'));
    expect(() => findNeeds([dir])).toThrow(expect.objectContaining({ code: 'CLI_DEMO', exit: 6 }));
  });
});
