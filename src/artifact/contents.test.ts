import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { findContents, type SoughtFile } from './contents.ts';
import { digestOf } from './digest.ts';
import { tarOf } from './tar-writer.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-contents-'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

const sought = (text: string): SoughtFile => ({ digest: digestOf(text), bytes: text.length });
const program = sought('the program');
const file = { kind: 'file', layers: [] } as const;
const write = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
};

it('finds a file by its bytes in any layer, under any name, but not through a link', async () => {
  for (const name of ['one', 'two/deep']) mkdirSync(join(dir, name), { recursive: true });
  write('outside', 'elsewhere');
  write('one/other name', 'the program');
  linkSync(join(dir, 'one/other name'), join(dir, 'one/again'));
  write('one/same size', 'the PROGRAM');
  write('two/deep/big', 'x'.repeat(300_000));
  symlinkSync('../outside', join(dir, 'two/link'));
  const layers = ['one', 'two'].map((name) => ({ diffId: digestOf(name), dir: join(dir, name), bytes: 0 }));
  const all = [program, sought('elsewhere'), sought('x'.repeat(300_000)), sought('nowhere')];
  const { form, found } = await findContents({ kind: 'image', layers }, '', all);
  expect(form).toBe('layers');
  expect([...found].toSorted()).toEqual([program.digest, digestOf('x'.repeat(300_000))].toSorted());
});

it('finds a file in a tar, plain or compressed, and none beside it', async () => {
  const tar = tarOf([
    { path: 'usr', type: 'directory' },
    { path: 'usr/app', type: 'file', content: 'the program' },
    { path: 'usr/app2', type: 'file', content: 'the PROGRAM' },
  ]);
  for (const bytes of [tar, gzipSync(tar)]) {
    const { form, found } = await findContents(file, write('a.tar', bytes), [program, sought('nowhere')]);
    expect([form, ...found]).toEqual(['tar', program.digest]);
  }
});

it('does not look into what is no tar', async () => {
  const lookalike = Buffer.alloc(1024, 'x');
  lookalike.write('ustar', 257);
  for (const bytes of ['short', 'long'.repeat(1000), lookalike]) {
    expect(await findContents(file, write('a', bytes), [program])).toEqual({ form: 'file', found: new Set() });
  }
});

it('refuses a tar that is cut off, one that grows beyond measure, and a folder that is not there', async () => {
  const tar = tarOf([{ path: 'app', type: 'file', content: 'the program' }]);
  const cut = write('cut', Buffer.from(tar).subarray(0, 600));
  await expect(findContents(file, cut, [program])).rejects.toMatchObject({ code: 'ARTIFACT_HOSTILE' });
  const bomb = write(
    'bomb',
    gzipSync(Buffer.concat([Buffer.from(tar).subarray(0, 1024), Buffer.alloc(80 * 1024 * 1024)])),
  );
  await expect(findContents(file, bomb, [program])).rejects.toMatchObject({
    code: expect.stringMatching(/HOSTILE|LARGE/) as unknown,
  });
  const layers = [{ diffId: digestOf('x'), dir: join(dir, 'gone'), bytes: 0 }];
  await expect(findContents({ kind: 'folder', layers }, '', [program])).rejects.toMatchObject({
    code: 'ARTIFACT_UNREADABLE',
  });
});
