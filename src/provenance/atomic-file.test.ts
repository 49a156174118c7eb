import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { saveAtomically, saveAtomicallyAside } from './atomic-file.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-atomic-'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

it.each([
  ['at once', async (path: string, text: string) => saveAtomically(path, text, 0o640)],
  ['aside', (path: string, text: string) => saveAtomicallyAside(path, Buffer.from(text), 0o640)],
])('replaces a file whole, %s, and leaves nothing of one that cannot be', async (_, save) => {
  const path = join(dir, 'in', 'file');
  await save(path, 'one');
  await save(path, 'two');
  expect([readFileSync(path, 'utf8'), readdirSync(join(dir, 'in'))]).toEqual(['two', ['file']]);
  mkdirSync(join(dir, 'folder', 'x'), { recursive: true });
  await expect((async () => save(join(dir, 'folder'), 'one'))()).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(dir).toSorted()).toEqual(['folder', 'in']);
});
