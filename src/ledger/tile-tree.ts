// The Merkle tree of a log as its tiles hold it: roots, and proofs for others.
import { exitStatus, invariant } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import { type TileName, TILE_WIDTH, tilePath, tileWidth } from './tile-name.ts';
import { EMPTY_ROOT, HASH_BYTES, hashNode, hashPerfect } from './tree-hash.ts';

/** Gives the bytes of a file of a log. May give a wider tile than was asked for. Rejects when there is none. */
export type TileSource = (name: TileName) => Promise<Uint8Array>;

/** The tree over the first `size` entries of a log. What it says is as true as its tiles: compare the root with a checkpoint. */
export interface TileTree {
  readonly size: number;
  /** @throws what the source throws; LedgerError LEDGER_TILE for a tile of a wrong size */
  root(): Promise<Buffer>;
  /** Hash of one entry. */
  leafHash(index: number): Promise<Buffer>;
  /** Sibling hashes of entry `index`, from leaf to root. @throws LedgerError LEDGER_RANGE */
  inclusionProof(index: number): Promise<Buffer[]>;
  /** That this tree continues the one of the first `from` entries. @throws LedgerError LEDGER_RANGE */
  consistencyProof(from: number): Promise<Buffer[]>;
}

/** Opens the tree of the first `size` entries; nothing is read before it is asked for. Tiles are read once. */
export function openTileTree(source: TileSource, size: number): TileTree {
  const tiles = new Map<string, Promise<Uint8Array>>();
  const tile = (level: number, index: number): Promise<Uint8Array> => {
    const name = { level, index, width: tileWidth(size, level, index) };
    const key = tilePath(name);
    const known = tiles.get(key) ?? source(name).then((bytes) => checkTile(bytes, name));
    tiles.set(key, known);
    return known;
  };
  const tree = new HashedRanges(tile);
  return {
    size,
    root: () => (size === 0 ? Promise.resolve(EMPTY_ROOT) : tree.range(0, size)),
    leafHash: async (index) => tree.range(checkIndex(index, size), index + 1),
    inclusionProof: async (index) => tree.path(checkIndex(index, size), { start: 0, end: size }),
    consistencyProof: async (from) => {
      if (!Number.isSafeInteger(from) || from < 0 || from > size) throw outside(`a tree of ${from}`, size);
      return from === 0 ? [] : tree.subProof(from, { start: 0, end: size }, true);
    },
  };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

class HashedRanges {
  readonly #tile: (level: number, index: number) => Promise<Uint8Array>;

  constructor(tile: (level: number, index: number) => Promise<Uint8Array>) {
    this.#tile = tile;
  }

  /** MTH(D[start:end]). @source RFC 6962, section 2.1 */
  async range(start: number, end: number): Promise<Buffer> {
    const width = end - start;
    const half = halfOf(width);
    if (width === 1 || half * 2 === width) return this.#perfect(start, width);
    const [left, right] = await Promise.all([this.range(start, start + half), this.range(start + half, end)]);
    return hashNode(left, right);
  }

  /** PATH(m, D[start:end]). @source RFC 6962, section 2.1.1 */
  async path(index: number, { start, end }: Range): Promise<Buffer[]> {
    if (end - start === 1) return [];
    const middle = start + halfOf(end - start);
    const isLeft = index < middle;
    const near = isLeft ? { start, end: middle } : { start: middle, end };
    const far = isLeft ? { start: middle, end } : { start, end: middle };
    return [...(await this.path(index, near)), await this.range(far.start, far.end)];
  }

  /** SUBPROOF(m, D[start:end], b). @source RFC 6962, section 2.1.2 */
  async subProof(until: number, { start, end }: Range, isWhole: boolean): Promise<Buffer[]> {
    if (until === end) return isWhole ? [] : [await this.range(start, end)];
    const middle = start + halfOf(end - start);
    if (until <= middle) {
      const inner = await this.subProof(until, { start, end: middle }, isWhole);
      return [...inner, await this.range(middle, end)];
    }
    const inner = await this.subProof(until, { start: middle, end }, false);
    return [...inner, await this.range(start, middle)];
  }

  /** The hash of a perfect subtree: of the hashes of one tile, where a tile of the highest level that reaches it has them. */
  async #perfect(start: number, width: number): Promise<Buffer> {
    let [level, perHash] = [0, 1];
    while (perHash * TILE_WIDTH <= width) [level, perHash] = [level + 1, perHash * TILE_WIDTH];
    const [first, count] = [start / perHash, width / perHash];
    const tile = await this.#tile(level, Math.floor(first / TILE_WIDTH));
    const at = (first % TILE_WIDTH) * HASH_BYTES;
    return hashPerfect(tile.subarray(at, at + count * HASH_BYTES));
  }
}

/** The largest power of two below `width`. */
function halfOf(width: number): number {
  let half = 1;
  while (half * 2 < width) half *= 2;
  return half;
}

/** The hashes of a tile as `name` has it, from it or a wider one. @throws LedgerError LEDGER_TILE */
export function checkTile(bytes: Uint8Array, name: TileName): Uint8Array {
  invariant(name.width > 0, 'a tile outside of the tree was asked for');
  const wanted = name.width * HASH_BYTES;
  if (bytes.length >= wanted && bytes.length <= TILE_WIDTH * HASH_BYTES) return bytes.subarray(0, wanted);
  throw new LedgerError('LEDGER_TILE', `${tilePath(name)} has ${bytes.length} bytes instead of ${wanted}`, {
    exit: exitStatus.verificationFailed,
    hint: 'The log serves a damaged tile: get it from a mirror.',
  });
}

function checkIndex(index: number, size: number): number {
  if (Number.isSafeInteger(index) && index >= 0 && index < size) return index;
  throw outside(`entry ${index}`, size);
}

function outside(what: string, size: number): LedgerError {
  return new LedgerError('LEDGER_RANGE', `${what} is not within a tree of ${size} entries`, {
    exit: exitStatus.usage,
    hint: 'Indexes begin at 0; provost log checkpoint prints the size.',
  });
}
