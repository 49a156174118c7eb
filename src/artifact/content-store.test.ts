// What the store keeps, under which name, and what it never keeps.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { needs } from '../../test/needs.ts';
import { type ContentStore, layerFacts, openContentStore, requireRoot } from './content-store.ts';
import { digestOf } from './digest.ts';
import { FactCollector, type LayerFacts } from './layer-facts.ts';

let dir: string;
let store: ContentStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-store-'));
  store = await openContentStore(join(dir, 'store'));
});

afterEach(async () => {
  rmSync(dir, { recursive: true, force: true });
  await store[Symbol.asyncDispose]();
});

const blobs = (): string[] => readdirSync(join(store.dir, 'blobs/sha256'));
const emptyFacts = (): LayerFacts => new FactCollector().facts(digestOf('layer'));

test('gives back what was put, by its digest', async () => {
  const digest = await store.put(Buffer.from('content'));
  expect(digest).toBe(digestOf('content'));
  expect(store.has(digest)).toBe(true);
  expect((await store.get(digest)).toString()).toBe('content');
  expect(await store.put(Buffer.from('content'))).toBe(digest);
  await expect(store.get(digestOf('other'))).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
});

test('a blob that was changed on the disk is not given', async () => {
  const digest = await store.put(Buffer.from('content'));
  writeFileSync(store.blobPath(digest), 'CONTENT');
  await expect(store.get(digest)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST', exit: 4 });
});

test.each([
  ['another digest', { digest: digestOf('other'), bytesMax: 100 }, 'ARTIFACT_DIGEST'],
  ['fewer bytes', { bytes: 5, bytesMax: 100 }, 'ARTIFACT_DIGEST'],
  ['more bytes', { bytes: 4, bytesMax: 100 }, 'ARTIFACT_DIGEST'],
  ['more than the limit', { bytesMax: 3 }, 'ARTIFACT_TOO_LARGE'],
])('a stream with %s leaves nothing', async (what, expected, code) => {
  const pieces = ['ab', what === 'fewer bytes' ? 'c' : 'cdefg'].map((text) => Buffer.from(text));
  await expect(store.putStream(pieces, expected)).rejects.toMatchObject({ code });
  expect(blobs()).toEqual([]);
});

test('a stream that breaks leaves nothing', async () => {
  const breaking = async function* () {
    yield Buffer.from('ab');
    throw new Error('broken');
  };
  await expect(store.putStream(breaking(), { bytesMax: 100 })).rejects.toThrow('broken');
  expect(blobs()).toEqual([]);
});

test('a layer has no name before it is committed, and is found under it afterwards', async () => {
  const prepared = await store.prepareLayer(digestOf('layer'), async (target) => {
    writeFileSync(join(target, 'file'), 'x');
    return emptyFacts();
  });
  expect(store.layer(digestOf('layer'))).toBeNull();
  const { dir: layerDir } = await prepared.commit();
  await prepared.discard();
  expect(existsSync(join(layerDir, 'file'))).toBe(true);
  expect((await layerFacts(store, digestOf('layer')))?.diffId).toBe(digestOf('layer'));
  expect(await layerFacts(store, digestOf('other'))).toBeNull();
});

test('of two processes that unpack one layer, the second finds what the first made', async () => {
  await using other = await openContentStore(store.dir);
  const unpack = async (target: string): Promise<LayerFacts> => {
    writeFileSync(join(target, 'file'), 'x');
    return emptyFacts();
  };
  const prepared = [
    await store.prepareLayer(digestOf('layer'), unpack),
    await other.prepareLayer(digestOf('layer'), unpack),
  ];
  const dirs = [];
  for (const layer of prepared) {
    dirs.push((await layer.commit()).dir);
    await layer.discard();
  }
  expect(dirs[0]).toBe(dirs[1]);
  expect(readdirSync(join(store.dir, 'layers'))).toHaveLength(2);
  for (const session of readdirSync(join(store.dir, 'tmp')))
    expect(readdirSync(join(store.dir, 'tmp', session))).toEqual([]);
});

test('a layer whose unpacking fails leaves nothing, and can be tried again', async () => {
  const failing = async (target: string): Promise<LayerFacts> => {
    mkdirSync(join(target, 'deep/er'), { recursive: true });
    throw new Error('failed');
  };
  await expect(store.prepareLayer(digestOf('layer'), failing)).rejects.toThrow('failed');
  expect(store.layer(digestOf('layer'))).toBeNull();
  const session = readdirSync(join(store.dir, 'tmp'))[0] ?? '';
  expect(readdirSync(join(store.dir, 'tmp', session))).toEqual([]);
  await (await store.prepareLayer(digestOf('layer'), async () => emptyFacts())).commit();
  expect(store.layer(digestOf('layer'))?.facts.entries).toBe(0);
});

test('what several ask for at once is made once, and again after it failed', async () => {
  let made = 0;
  const make = async (): Promise<number> => {
    made += 1;
    if (made === 1) throw new Error('first');
    return made;
  };
  const both = await Promise.allSettled([1, 2].map(() => store.once(digestOf('x'), make)));
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await store.once(digestOf('x'), make)).toBe(2);
});

test('a layer without its facts is an error, never a layer without findings', () => {
  mkdirSync(join(store.dir, 'layers', digestOf('layer').slice(7)));
  expect(() => store.layer(digestOf('layer'))).toThrow(expect.objectContaining({ code: 'ARTIFACT_UNREADABLE' }));
});

test('a store that cannot be made says so', async () => {
  writeFileSync(join(dir, 'file'), '');
  await expect(openContentStore(join(dir, 'file/store'))).rejects.toMatchObject({ name: 'ArtifactError' });
});

test.skipIf(needs('root'))('without root nothing is unpacked', () => {
  process.seteuid?.(65_534);
  try {
    expect(() => requireRoot('unpacking')).toThrow(expect.objectContaining({ code: 'ARTIFACT_NOT_ROOT', exit: 7 }));
  } finally {
    process.seteuid?.(0);
  }
  expect(() => requireRoot('unpacking')).not.toThrow();
});
