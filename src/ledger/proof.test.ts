import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../test/needs.ts';
import { verifyConsistency, verifyInclusion } from './proof.ts';
import { type TileName, tilePath } from './tile-name.ts';
import { openTileTree } from './tile-tree.ts';
import { TreeEdge } from './tree-edge.ts';
import { EMPTY_ROOT, hashLeaf, hashNode } from './tree-hash.ts';

interface Probe {
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

function readProbe(path: string): Probe {
  // Sizes go beyond 2^53.
  const text = readFileSync(path, 'utf8').replaceAll(/("(?:leafIdx|treeSize)":\s*)(\d+)/g, '$1"$2"');
  return JSON.parse(text) as Probe;
}

const base64 = (text: string | null): Buffer => Buffer.from(text ?? '', 'base64');

it.skipIf(needs('vectors'))('gives the verdict of every public probe of inclusion', () => {
  const folder = join(VECTORS_FOLDER, 'merkle/testdata/inclusion');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.json'));
  expect(paths.length).toBeGreaterThanOrEqual(98);
  for (const path of paths) {
    const probe = readProbe(join(folder, path));
    const verify = (): void =>
      verifyInclusion({
        index: BigInt(probe.leafIdx),
        size: BigInt(probe.treeSize),
        leafHash: base64(probe.leafHash),
        proof: (probe.proof ?? []).map(base64),
        root: base64(probe.root),
      });
    if (probe.wantErr) expect(verify, path).toThrow(expect.objectContaining({ code: 'LEDGER_PROOF', exit: 4 }));
    else expect(verify, path).not.toThrow();
  }
});

/** The definition, word for word: MTH of RFC 6962, section 2.1. */
function definedRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return hashLeaf(leaves[0] as Buffer);
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return hashNode(definedRoot(leaves.slice(0, half)), definedRoot(leaves.slice(half)));
}

const leafOf = (index: number): Buffer => Buffer.from(`leaf ${index}`);

/** A tree in memory, and the tiles of each of its sizes. */
function growTo(size: number): { readonly tiles: Map<string, Buffer>; readonly roots: Buffer[] } {
  const edge = new TreeEdge();
  const tiles = new Map<string, Buffer>();
  const roots = [edge.root()];
  for (let index = 0; index < size; index += 1) {
    edge.add(leafOf(index));
    for (const { name, bytes } of [...edge.takeFull(), ...edge.partial()]) tiles.set(tilePath(name), bytes);
    roots.push(edge.root());
  }
  return { tiles, roots };
}

const LARGEST = 700;
const grown = growTo(LARGEST);
const source = (name: TileName): Promise<Buffer> => {
  const bytes = grown.tiles.get(tilePath(name));
  return bytes === undefined ? Promise.reject(new Error(`no ${tilePath(name)}`)) : Promise.resolve(bytes);
};

describe('a tree of tiles', () => {
  it('has the root of the definition at every size', async () => {
    const leaves = Array.from({ length: LARGEST }, (_, index) => leafOf(index));
    for (let size = 0; size <= LARGEST; size += size < 300 ? 1 : 37) {
      expect(grown.roots[size], `size ${size}`).toEqual(definedRoot(leaves.slice(0, size)));
      expect(await openTileTree(source, size).root()).toEqual(grown.roots[size]);
    }
  });

  it('proves each entry in each tree, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: LARGEST }), fc.nat(), fc.nat(), async (size, at, other) => {
        const index = at % size;
        const tree = openTileTree(source, size);
        const proof = await tree.inclusionProof(index);
        const claim = { index: BigInt(index), size: BigInt(size), proof, root: grown.roots[size] as Buffer };
        const leafHash = hashLeaf(leafOf(index));
        expect(await tree.leafHash(index)).toEqual(leafHash);
        verifyInclusion({ ...claim, leafHash });
        const wrong = other % size;
        if (wrong !== index) expect(() => verifyInclusion({ ...claim, leafHash, index: BigInt(wrong) })).toThrow();
        expect(() => verifyInclusion({ ...claim, leafHash: hashLeaf(Buffer.from('other')) })).toThrow();
        expect(() => verifyInclusion({ ...claim, leafHash, proof: [...proof, leafHash] })).toThrow();
        if (proof.length > 0) expect(() => verifyInclusion({ ...claim, leafHash, proof: proof.slice(1) })).toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it('proves that each tree continues each smaller one, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(LARGEST), fc.nat(LARGEST), fc.nat(), async (a, b, flip) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const proof = await openTileTree(source, to).consistencyProof(from);
        const [fromRoot, toRoot] = [grown.roots[from] as Buffer, grown.roots[to] as Buffer];
        const claim = { from: BigInt(from), to: BigInt(to), fromRoot, toRoot, proof };
        verifyConsistency(claim);
        const forged = Buffer.from(fromRoot);
        forged[flip % 32] = (forged[flip % 32] ?? 0) ^ 1;
        expect(() => verifyConsistency({ ...claim, fromRoot: forged })).toThrow();
        if (from > 0 && from < to) expect(() => verifyConsistency({ ...claim, toRoot: forged })).toThrow();
        expect(() => verifyConsistency({ ...claim, proof: [...proof, fromRoot] })).toThrow();
        if (proof.length > 0) expect(() => verifyConsistency({ ...claim, proof: proof.slice(0, -1) })).toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it.each([-1, 10, 0.5, Number.NaN])('proves nothing about entry %d of ten', async (index) => {
    const tree = openTileTree(source, 10);
    await expect(tree.inclusionProof(index)).rejects.toMatchObject({
      code: 'LEDGER_RANGE',
    });
  });

  it.each([-1, 11, 0.5])('proves nothing about a tree of %d before one of ten', async (from) => {
    await expect(openTileTree(source, 10).consistencyProof(from)).rejects.toMatchObject({ code: 'LEDGER_RANGE' });
  });

  it('refuses a tile of another size', async () => {
    const cut = (name: TileName): Promise<Buffer> => source(name).then((bytes) => bytes.subarray(1));
    await expect(openTileTree(cut, 10).root()).rejects.toMatchObject({ code: 'LEDGER_TILE' });
  });
});

describe('a proof', () => {
  const [root, leafHash] = [grown.roots[1] as Buffer, hashLeaf(leafOf(0))];

  it('is refused with more hashes than the deepest tree has, or of another size', () => {
    const claim = { index: 0n, size: 1n, leafHash, root };
    verifyInclusion({ ...claim, proof: [] });
    const many = Array.from({ length: 64 }, () => leafHash);
    expect(() => verifyInclusion({ ...claim, size: 1n << 63n, proof: many })).toThrow('too long');
    expect(() => verifyInclusion({ ...claim, size: 2n, proof: [leafHash.subarray(1)] })).toThrow('32 bytes');
    expect(() => verifyInclusion({ ...claim, index: -1n, proof: [] })).toThrow('not in a tree');
  });

  it('cannot show that a tree continues a larger one', () => {
    const claim = { fromRoot: root, toRoot: root, proof: [] };
    expect(() => verifyConsistency({ ...claim, from: 2n, to: 1n })).toThrow('does not continue');
    expect(() => verifyConsistency({ ...claim, from: 0n, to: 1n })).toThrow('empty tree');
    expect(() => verifyConsistency({ ...claim, from: 1n, to: 1n, toRoot: leafHash.toReversed() })).toThrow('one size');
    expect(() => verifyConsistency({ ...claim, from: 3n, to: 4n })).toThrow('too short');
    expect(() => verifyConsistency({ ...claim, from: 1n, to: 4n, proof: [leafHash] })).toThrow('too short');
  });
});
