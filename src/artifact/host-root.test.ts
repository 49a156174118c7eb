// The host's name: it changes with the system and its packages, and with nothing else.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { readHostRoot } from './host-root.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'artifact-host-'));
  for (const dir of ['etc', 'usr/lib', 'var/lib/dpkg', 'lib/apk/db']) mkdirSync(join(root, dir), { recursive: true });
  writeFileSync(join(root, 'usr/lib/os-release'), 'ID=debian');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const name = (): string => readHostRoot(root, '/').digest;

test('changes with a package and with the release, not with another file', () => {
  const names = [name()];
  writeFileSync(join(root, 'var/lib/dpkg/status'), 'Package: a');
  names.push(name());
  writeFileSync(join(root, 'etc/os-release'), 'ID=other');
  names.push(name());
  writeFileSync(join(root, 'lib/apk/db/installed'), 'P:b');
  names.push(name());
  expect(new Set(names).size).toBe(4);
  writeFileSync(join(root, 'etc/motd'), 'hello');
  expect(name()).toBe(names.at(-1));
});

test('a host that says nothing of itself has no name', () => {
  rmSync(join(root, 'usr/lib/os-release'));
  expect(name).toThrow(expect.objectContaining({ code: 'ARTIFACT_UNREADABLE' }));
});

test('a package database that cannot be read is an error, not an empty one', () => {
  mkdirSync(join(root, 'var/lib/dpkg/status'));
  expect(name).toThrow(expect.objectContaining({ code: 'ARTIFACT_UNREADABLE' }));
});
