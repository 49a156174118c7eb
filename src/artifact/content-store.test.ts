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
  await store[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
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

test('a layer that is asked for twice at once is unpacked once', async () => {
  let unpacked = 0;
  const unpack = async (target: string): Promise<LayerFacts> => {
    unpacked += 1;
    writeFileSync(join(target, 'file'), 'x');
    return emptyFacts();
  };
  const [first, second] = await Promise.all([1, 2].map(() => store.addLayer(digestOf('layer'), unpack)));
  expect(unpacked).toBe(1);
  expect(first?.dir).toBe(second?.dir);
  expect(existsSync(join(first?.dir ?? '', 'file'))).toBe(true);
  expect((await layerFacts(store, digestOf('layer')))?.diffId).toBe(digestOf('layer'));
  expect(await layerFacts(store, digestOf('other'))).toBeNull();
});

test('of two processes that unpack one layer, the second finds what the first made', async () => {
  await using other = await openContentStore(store.dir);
  let go = (): void => undefined;
  const both = new Promise<void>((resolve) => (go = resolve));
  let waiting = 0;
  const unpack = async (target: string): Promise<LayerFacts> => {
    writeFileSync(join(target, 'file'), 'x');
    waiting += 1;
    if (waiting === 2) go();
    await both;
    return emptyFacts();
  };
  const layers = await Promise.all([store, other].map((one) => one.addLayer(digestOf('layer'), unpack)));
  expect(layers[0]?.dir).toBe(layers[1]?.dir);
  expect(readdirSync(join(store.dir, 'layers'))).toHaveLength(2);
});

test('a layer whose unpacking fails leaves nothing, and can be tried again', async () => {
  const failing = async (target: string): Promise<LayerFacts> => {
    mkdirSync(join(target, 'deep/er'), { recursive: true });
    throw new Error('failed');
  };
  await expect(store.addLayer(digestOf('layer'), failing)).rejects.toThrow('failed');
  expect(store.layer(digestOf('layer'))).toBeNull();
  expect(readdirSync(join(store.dir, 'layers'))).toEqual([]);
  await store.addLayer(digestOf('layer'), async () => emptyFacts());
  expect(store.layer(digestOf('layer'))?.facts.entries).toBe(0);
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
