// The right edge of a growing tree: what is needed to add to it, and the tiles that it completes.
import { encodeBundle } from './entry-bundle.ts';
import { type TileName, TILE_WIDTH } from './tile-name.ts';
import { EMPTY_ROOT, HASH_BYTES, hashLeaves, hashNode, hashPerfect } from './tree-hash.ts';

/** A file of a log. */
export interface TileFile {
  readonly name: TileName;
  /** Those of a bundle are put together when they are asked for. */
  readonly bytes: Buffer;
}

/** Hashes of the last tile of one level, full or not. */
interface EdgeTile {
  readonly hashes: Buffer;
  count: number;
  /** Index of the tile within its level. */
  index: number;
}

/** The edge of a tree; it grows by one entry at a time and holds one tile of each level, and one bundle. */
export class TreeEdge {
  readonly #levels: EdgeTile[] = [];
  #bundle: Uint8Array[] = [];
  /** Entries at the end of the bundle whose hashes are not in the tile of level 0 yet. */
  #unhashed = 0;
  #full: TileFile[] = [];
  #size = 0;

  /**
   * The edge of a tree that is there.
   *
   * @param tile the hashes of the last tile of each level, below 256 of them, from level 0
   * @param bundle the entries of the last bundle, below 256
   */
  static resume(size: number, tiles: readonly Uint8Array[], bundle: readonly Uint8Array[]): TreeEdge {
    const edge = new TreeEdge();
    edge.#size = size;
    edge.#bundle = [...bundle];
    for (const [level, hashes] of tiles.entries()) {
      const tile = emptyTile(Math.floor(size / TILE_WIDTH ** (level + 1)));
      tile.hashes.set(hashes);
      tile.count = hashes.length / HASH_BYTES;
      edge.#levels.push(tile);
    }
    return edge;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds an entry, whose bytes must not change afterwards: it is hashed when its tile is full, or when somebody asks. */
  add(entry: Uint8Array): void {
    this.#bundle.push(entry);
    this.#unhashed += 1;
    this.#size += 1;
    if (this.#bundle.length < TILE_WIDTH) return;
    this.#hashEntries();
    const name: TileName = { level: 'entries', index: this.#size / TILE_WIDTH - 1, width: TILE_WIDTH };
    this.#full.push(bundleFile(name, this.#bundle));
    this.#bundle = [];
  }

  /** Hashes the entries that are not: many at once take less time. */
  #hashEntries(): void {
    if (this.#unhashed === 0) return;
    const tile = (this.#levels[0] ??= emptyTile(0));
    hashLeaves(this.#bundle.slice(-this.#unhashed), tile.hashes, tile.count * HASH_BYTES);
    tile.count += this.#unhashed;
    this.#unhashed = 0;
    this.#endTile(0, tile);
  }

  #addHash(level: number, hash: Uint8Array): void {
    const tile = (this.#levels[level] ??= emptyTile(0));
    tile.hashes.set(hash, tile.count * HASH_BYTES);
    tile.count += 1;
    this.#endTile(level, tile);
  }

  /** Takes the tile away once it is full: its hash belongs to the level above. */
  #endTile(level: number, tile: EdgeTile): void {
    if (tile.count < TILE_WIDTH) return;
    this.#full.push({ name: { level, index: tile.index, width: TILE_WIDTH }, bytes: Buffer.from(tile.hashes) });
    this.#addHash(level + 1, hashPerfect(tile.hashes));
    tile.count = 0;
    tile.index += 1;
  }

  /** The tiles and bundles that became full since this was asked last. */
  takeFull(): TileFile[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The tiles and the bundle that are not full: what a checkpoint of this size needs beside the full ones. */
  partial(): TileFile[] {
    this.#hashEntries();
    const files: TileFile[] = this.#levels.flatMap(({ hashes, count, index }, level) =>
      count === 0
        ? []
        : [{ name: { level, index, width: count }, bytes: Buffer.from(hashes.subarray(0, count * HASH_BYTES)) }],
    );
    if (this.#bundle.length > 0) {
      const index = Math.floor(this.#size / TILE_WIDTH);
      const name: TileName = { level: 'entries', index, width: this.#bundle.length };
      files.push(bundleFile(name, [...this.#bundle]));
    }
    return files;
  }

  /** The first `width` hashes, or entries, of one of the partial tiles. */
  narrowed({ level }: TileName, width: number): Buffer {
    if (level === 'entries') return encodeBundle(this.#bundle.slice(0, width));
    this.#hashEntries();
    return Buffer.from(this.#levels[level]?.hashes.subarray(0, width * HASH_BYTES) ?? []);
  }

  /** The root of the tree. */
  root(): Buffer {
    this.#hashEntries();
    let root: Buffer | null = null;
    for (const { hashes, count } of this.#levels) root = foldLevel(hashes, count, root);
    return root ?? EMPTY_ROOT;
  }
}

function bundleFile(name: TileName, entries: readonly Uint8Array[]): TileFile {
  return {
    name,
    get bytes() {
      return encodeBundle(entries);
    },
  };
}

function emptyTile(index: number): EdgeTile {
  return { hashes: Buffer.alloc(TILE_WIDTH * HASH_BYTES), count: 0, index };
}

/** Joins the perfect subtrees of one level's hashes, the smallest of which is at the right, to what lies to the right of them all. */
function foldLevel(hashes: Buffer, count: number, right: Buffer | null): Buffer | null {
  let [root, end] = [right, count];
  for (let width = 1; width <= end; width *= 2) {
    if ((end & width) === 0) continue;
    const subtree = hashPerfect(hashes.subarray((end - width) * HASH_BYTES, end * HASH_BYTES));
    root = root === null ? subtree : hashNode(subtree, root);
    end -= width;
  }
  return root;
}
