// Which files of an artifact are found, and as which layer has them, against real layers in a content store and real folders.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { needs } from '../../test/needs.ts';
import {
  type ContentStore,
  type FileSearch,
  findFiles,
  type FoundFiles,
  openContentStore,
  parseReference,
  resolveArtifact,
  type TarInput,
  writeOciLayout,
} from './index.ts';

let dir: string;
let store: ContentStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-files-'));
  store = await openContentStore(join(dir, 'store'));
});

afterEach(async () => {
  rmSync(dir, { recursive: true, force: true });
  await store[Symbol.asyncDispose]();
});

const ALL: FileSearch = { isWanted: () => true, filesMax: 100, bytesMax: 1000 };

const textsOf = ({ files }: FoundFiles): Record<string, string> =>
  Object.fromEntries(files.map(({ path, bytes }) => [path, bytes.toString()]));

describe('a folder', () => {
  const root = (): string => join(dir, 'root');
  const find = (search: Partial<FileSearch> = {}): Promise<FoundFiles> =>
    findFiles({ layers: [{ diffId: 'sha256:0' as never, dir: root(), bytes: 0 }] }, { ...ALL, ...search }, store);

  beforeEach(() => {
    mkdirSync(join(root(), 'a/b'), { recursive: true });
    mkdirSync(join(root(), 'z'));
    writeFileSync(join(root(), 'a/b/lock'), 'deep');
    writeFileSync(join(root(), 'z/lock'), 'last');
    writeFileSync(join(root(), 'empty'), '');
  });

  it('gives what is wanted, in the order of paths', async () => {
    const { files, unread } = await find();
    expect(files.map(({ path, bytes }) => [path, bytes.toString()])).toEqual([
      ['a/b/lock', 'deep'],
      ['empty', ''],
      ['z/lock', 'last'],
    ]);
    expect(unread).toEqual([]);
    expect(textsOf(await find({ isWanted: (path) => path === 'z/lock' }))).toEqual({ 'z/lock': 'last' });
    expect(textsOf(await find({ isEntered: (path) => path !== 'a' }))).toEqual({ empty: '', 'z/lock': 'last' });
  });

  it('looks into more folders than one turn of the event loop handles', async () => {
    for (let at = 0; at < 250; at += 1) mkdirSync(join(root(), `many/${at}/deep`), { recursive: true });
    writeFileSync(join(root(), 'many/249/deep/lock'), 'far');
    expect(textsOf(await find({ isWanted: (path) => path.startsWith('many/') }))).toEqual({
      'many/249/deep/lock': 'far',
    });
  });

  it('follows no link, and says where one was wanted', async () => {
    writeFileSync(join(dir, 'outside'), 'secret');
    symlinkSync(join(dir, 'outside'), join(root(), 'link'));
    symlinkSync(dir, join(root(), 'up'));
    linkSync(join(root(), 'z/lock'), join(root(), 'hard'));
    execFileSync('mkfifo', [join(root(), 'pipe')]);
    const found = await find();
    expect(Object.keys(textsOf(found))).toEqual(['a/b/lock', 'empty', 'hard', 'z/lock']);
    expect(found.unread.map(({ path }) => path)).toEqual(['link', 'pipe', 'up']);
  });

  it('names no file that its path could not name', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${root()}/`), Buffer.from([0xff, 0x6c])]), 'odd');
    writeFileSync(join(root(), 'ä'), 'text');
    const found = await find();
    expect(textsOf(found)).toMatchObject({ ä: 'text' });
    expect(found.unread).toEqual([{ path: '\ufffdl', reason: 'its path is not UTF-8' }]);
  });

  it.each([
    ['files', { filesMax: 2 }],
    ['bytes', { bytesMax: 7 }],
  ])('refuses more %s than were asked for', async (_, limits) => {
    await expect(find(limits)).rejects.toMatchObject({ code: 'ARTIFACT_TOO_LARGE' });
    await expect(find({ filesMax: 3, bytesMax: 8 })).resolves.toMatchObject({ unread: [] });
  });

  it('is not read when it is gone', async () => {
    rmSync(root(), { recursive: true });
    await expect(find()).rejects.toMatchObject({ code: 'ARTIFACT_UNREADABLE' });
  });

  it('has none when the artifact has no layers', async () => {
    expect(await findFiles({ layers: [] }, ALL, store)).toEqual({ files: [], unread: [] });
  });
});

describe.skipIf(needs('root'))('an image', () => {
  const file = (path: string, content = path): TarInput => ({ path, type: 'file', content });
  const find = async (...layers: readonly (readonly TarInput[])[]): Promise<Record<string, string>> => {
    writeOciLayout({ dir: join(dir, 'image'), layers });
    const artifact = await resolveArtifact(parseReference(`oci:${join(dir, 'image')}`), { store });
    return textsOf(await findFiles(artifact, ALL, store));
  };

  it('shows the topmost of each file, and folders of all layers as one', async () => {
    const found = await find([file('a/x', 'old'), file('a/y')], [file('a/x', 'new'), file('a/z')], [file('b')]);
    expect(found).toEqual({ 'a/x': 'new', 'a/y': 'a/y', 'a/z': 'a/z', b: 'b' });
  });

  it('shows nothing that a layer above removes', async () => {
    const lower = [file('gone'), file('dir/gone'), file('dir/sub/gone'), file('full/old'), file('kept')];
    const upper = [file('.wh.gone', ''), file('.wh.dir', ''), file('full/new'), file('full/.wh..wh..opq', '')];
    expect(await find(lower, upper)).toEqual({ 'full/new': 'full/new', kept: 'kept' });
    expect(await find(lower, upper, [file('dir/again'), file('gone', 'back')])).toEqual({
      'dir/again': 'dir/again',
      'full/new': 'full/new',
      gone: 'back',
      kept: 'kept',
    });
  });

  it('shows nothing below what replaced a folder, or was replaced by one', async () => {
    expect(await find([file('a/x')], [file('a', 'file')])).toEqual({ a: 'file' });
    expect(await find([file('a', 'file')], [file('a/x')])).toEqual({ 'a/x': 'a/x' });
    // The lowest folder is hidden by the file between, which the topmost folder hides in turn.
    expect(await find([file('a/old')], [file('a', 'file')], [file('a/new')])).toEqual({ 'a/new': 'a/new' });
    expect(await find([file('a/old')], [{ path: 'a', type: 'symlink', linkPath: '/' }])).toEqual({});
  });
});
