import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refuseOwnFolders } from './mounts.ts';

describe('mounts of the host', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'provost-mounts-'));
    for (const folder of ['home/keys', 'home-2', 'data']) mkdirSync(join(dir, folder), { recursive: true });
    symlinkSync(join(dir, 'home/keys'), join(dir, 'data/link'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const refuse = (source: string, home = join(dir, 'home')) => {
    refuseOwnFolders(home, [{ source, target: '/x', readOnly: true }]);
  };

  it.each(['home', 'home/keys', 'home/../home', 'data/link', '.', '..', '../..', 'nowhere'])('refuses %s', (source) => {
    expect(() => refuse(join(dir, source))).toThrowError(expect.objectContaining({ code: 'ENGINE_MOUNT', exit: 2 }));
  });

  it.each(['data', 'home-2'])('accepts %s beside the home', (source) => {
    expect(() => refuse(join(dir, source))).not.toThrow();
  });

  it('knows where a home will lie that is not there yet', () => {
    expect(() => refuse(dir, join(dir, 'later/home'))).toThrowError(expect.objectContaining({ code: 'ENGINE_MOUNT' }));
    expect(() => refuse(join(dir, 'data'), join(dir, 'later/home'))).not.toThrow();
  });
});
