import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../test/needs.ts';
import { auditTree } from './audit.ts';
import { type CheckpointPolicy, verifyCheckpoint } from './checkpoint.ts';
import { parseVerifierKey } from './note-key.ts';
import { verifyConsistency } from './proof.ts';
import { type TileName, tilePath } from './tile-name.ts';
import { openTileTree } from './tile-tree.ts';
import { TreeEdge } from './tree-edge.ts';
import { openVerifiedLog } from './verified-log.ts';

describe.skipIf(needs('vectors'))('a real log of another maker', () => {
  const folder = join(VECTORS_FOLDER, 'tessera/testdata');
  const read = (path: string): Buffer => readFileSync(join(folder, path));
  const key = /LOG_PUBLIC_KEY="([^"]+)"/.exec(read('build_log.sh').toString())?.[1] ?? '';
  const policy: CheckpointPolicy = { log: [parseVerifierKey(key)], witnesses: [], quorum: 0 };
  const source = async (name: TileName): Promise<Buffer> => read(join('log', tilePath(name)));

  it('is read and checked at each of its sizes, and each continues each before', async () => {
    const checkpoints = Array.from({ length: 16 }, (_, size) =>
      verifyCheckpoint(read(`log/checkpoint.${size}`), policy),
    );
    const texts = [];
    for (const checkpoint of checkpoints) {
      await auditTree(source, checkpoint, { progress: () => undefined });
      const log = await openVerifiedLog(source, checkpoint);
      for (const before of checkpoints.slice(0, checkpoint.size + 1)) {
        const proof = await openTileTree(source, checkpoint.size).consistencyProof(before.size);
        const claim = { from: BigInt(before.size), to: BigInt(checkpoint.size), proof };
        verifyConsistency({ ...claim, fromRoot: before.root, toRoot: checkpoint.root });
        expect(await log.rootAt(before.size)).toEqual(before.root);
      }
      if (checkpoint.size === 15) for await (const { bytes } of log.entries(0, 15)) texts.push(bytes.toString());
    }
    expect(texts.join(' ')).toBe('one two three four five six seven eit nain ten ileven twelf threeten fourten fivten');
  });
});

const SIZE = 70_000;
const edge = new TreeEdge();
const tiles = new Map<string, Buffer>();
for (let index = 0; index < SIZE; index += 1) edge.add(Buffer.from(`leaf ${index}`));
for (const { name, bytes } of [...edge.takeFull(), ...edge.partial()]) tiles.set(tilePath(name), bytes);
const checkpoint = { size: SIZE, root: edge.root() };

const source = (name: TileName): Promise<Buffer> => {
  const bytes = tiles.get(tilePath(name));
  return bytes === undefined ? Promise.reject(new Error(`no ${tilePath(name)}`)) : Promise.resolve(bytes);
};

function changed(path: string, at: number): (name: TileName) => Promise<Buffer> {
  return async (name) => {
    const bytes = Buffer.from(await source(name));
    if (tilePath(name) === path) bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
}

async function readAll(from: (name: TileName) => Promise<Buffer>, first = 0): Promise<number> {
  let count = 0;
  const log = await openVerifiedLog(from, checkpoint);
  for await (const { index, bytes } of log.entries(first, SIZE + 10)) {
    if (bytes.toString() !== `leaf ${index}`) throw new Error(`entry ${index} is another`);
    count += 1;
  }
  return count;
}

describe('the tree of 70,000 entries', () => {
  it('has the tiles that its specification counts', () => {
    const widths = (level: string): string[] => [...tiles.keys()].filter((path) => path.startsWith(`tile/${level}/`));
    expect([widths('0').length, widths('1').length, widths('2').length]).toEqual([274, 2, 1]);
    expect(tiles.has('tile/0/273.p/112') && tiles.has('tile/1/001.p/17') && tiles.has('tile/2/000.p/1')).toBe(true);
  });

  it('gives every entry, from any one on', async () => {
    expect(await readAll(source)).toBe(SIZE);
    expect(await readAll(source, 69_900)).toBe(100);
  });

  it.each([
    ['a bundle', 'tile/entries/100', 700],
    ['the last bundle', 'tile/entries/273.p/112', 5],
    ['a tile of leaves', 'tile/0/007', 8000],
    ['a tile above it', 'tile/1/000', 31],
    ['the right edge of the leaves', 'tile/0/273.p/112', 40],
    ['the right edge above', 'tile/1/001.p/17', 300],
    ['the top', 'tile/2/000.p/1', 0],
  ])('gives nothing wrong when %s is changed', async (_, path, at) => {
    await expect(readAll(changed(path, at))).rejects.toMatchObject({
      code: expect.stringMatching(/^LEDGER_(TREE|TILE)$/),
    });
  });

  it('is not read through tiles of a wrong size', async () => {
    const cut = async (name: TileName): Promise<Buffer> => (await source(name)).subarray(1);
    await expect(readAll(cut)).rejects.toMatchObject({ code: 'LEDGER_TILE', exit: 4 });
  });

  it('is not that of another root', async () => {
    const other = { size: SIZE, root: Buffer.alloc(32) };
    await expect(openVerifiedLog(source, other)).rejects.toMatchObject({ code: 'LEDGER_TREE', exit: 4 });
  });
});
