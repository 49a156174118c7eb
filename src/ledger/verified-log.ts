// Reading a log that nobody trusts: each entry is checked up to the root of a signed checkpoint before it is given out.
import { exitStatus, isSameBytes } from '../base/index.ts';
import { parseBundle } from './entry-bundle.ts';
import { type JournalEntry, LedgerError } from './journal.ts';
import { edgeTiles, type TileName, TILE_WIDTH, tilePath, tileWidth } from './tile-name.ts';
import { checkTile, openTileTree, type TileSource } from './tile-tree.ts';
import { TreeEdge } from './tree-edge.ts';
import { HASH_BYTES, hashLeaf, hashPerfect } from './tree-hash.ts';

/** Tiles above the entries that are kept: the path from a tile to the root has at most seven. */
const KEPT_TILES_MAX = 64;

/** The entries under one checkpoint. */
export interface VerifiedLog {
  readonly size: number;
  /**
   * Entries `from` to `to` (not with it), in order.
   *
   * @throws LedgerError LEDGER_TREE when a file is not what the checkpoint commits to, LEDGER_TILE when it has no such form
   */
  entries(from: number, to: number): AsyncGenerator<JournalEntry>;
  /** The root that the tree had with `size` entries, by verified tiles. */
  rootAt(size: number): Promise<Buffer>;
}

/**
 * Opens the tree of a checkpoint whose signature was verified.
 *
 * @throws LedgerError LEDGER_TREE when the tiles at its right edge do not lead to its root; what `source` throws
 */
export async function openVerifiedLog(
  source: TileSource,
  { size, root }: { readonly size: number; readonly root: Uint8Array },
): Promise<VerifiedLog> {
  const edge = await readEdge(source, size);
  if (!isSameBytes(TreeEdge.resume(size, edge, []).root(), root)) throw notOfTree(`the end of the tree of ${size}`);
  const tiles = new VerifiedTiles(source, size, edge);
  const narrowed: TileSource = async (name) => (await tiles.read(name)).subarray(0, name.width * HASH_BYTES);
  return {
    size,
    entries: (from, to) => readEntries(source, tiles, { from, to: Math.min(to, size) }),
    rootAt: (then) => openTileTree(narrowed, then).root(),
  };
}

/** The hashes of the last tile of each level, below 256 of them. */
async function readEdge(source: TileSource, size: number): Promise<Uint8Array[]> {
  const tiles = edgeTiles(size).map(async (name) =>
    name.width === 0 ? new Uint8Array(0) : checkTile(await source(name), name),
  );
  return Promise.all(tiles);
}

class VerifiedTiles {
  readonly #source: TileSource;
  readonly #size: number;
  readonly #edge: readonly Uint8Array[];
  readonly #kept = new Map<string, Promise<Uint8Array>>();

  constructor(source: TileSource, size: number, edge: readonly Uint8Array[]) {
    this.#source = source;
    this.#size = size;
    this.#edge = edge;
  }

  /** A tile of hashes, as wide as the whole tree has it. */
  read({ level, index }: TileName): Promise<Uint8Array> {
    if (level === 'entries') throw new RangeError('entries have no hashes');
    const width = tileWidth(this.#size, level, index);
    if (width < TILE_WIDTH) return Promise.resolve(this.#edge[level] ?? new Uint8Array(0));
    const name = { level, index, width };
    const key = tilePath(name);
    const known = this.#kept.get(key) ?? this.#verify(name);
    this.#kept.delete(key);
    this.#kept.set(key, known);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_TILES_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return known;
  }

  /** A full tile hashes to one hash of the tile above it, which in turn is verified. */
  async #verify(name: TileName & { readonly level: number }): Promise<Uint8Array> {
    const [hashes, above] = await Promise.all([
      this.#source(name).then((bytes) => checkTile(bytes, name)),
      this.read({ level: name.level + 1, index: Math.floor(name.index / TILE_WIDTH), width: TILE_WIDTH }),
    ]);
    const at = (name.index % TILE_WIDTH) * HASH_BYTES;
    if (!isSameBytes(hashPerfect(hashes), above.subarray(at, at + HASH_BYTES))) throw notOfTree(tilePath(name));
    return hashes;
  }

  width(index: number): number {
    return tileWidth(this.#size, 0, index);
  }
}

async function* readEntries(
  source: TileSource,
  tiles: VerifiedTiles,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<JournalEntry> {
  for (let at = Math.max(0, from); at < to;) {
    const index = Math.floor(at / TILE_WIDTH);
    const name: TileName = { level: 'entries', index, width: tiles.width(index) };
    const [bundle, hashes] = await Promise.all([source(name), tiles.read({ ...name, level: 0 })]);
    const entries = parseBundle(bundle, name.width);
    for (; at < to && at < (index + 1) * TILE_WIDTH; at += 1) {
      const within = at % TILE_WIDTH;
      const bytes = entries[within] as Buffer;
      const hash = hashes.subarray(within * HASH_BYTES, (within + 1) * HASH_BYTES);
      if (!isSameBytes(hashLeaf(bytes), hash)) throw notOfTree(`entry ${at}`);
      yield { index: at, bytes };
    }
  }
}

function notOfTree(what: string): LedgerError {
  return new LedgerError(
    'LEDGER_TREE',
    `the log does not hold together: ${what} is not what its checkpoint commits to`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'The file was damaged, or the log was changed after it was signed: keep a copy of both, and read a mirror.',
    },
  );
}
