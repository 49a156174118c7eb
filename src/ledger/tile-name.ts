// Names of a log's static files. @source https://c2sp.org/tlog-tiles
import { invariant } from '../base/index.ts';

/** Hashes, or entries, of a full tile. */
export const TILE_WIDTH = 256;
/** Tiles of higher levels would be of trees of more than 2^64 entries. */
const LEVEL_MAX = 63;
/** Digits of one element of a path. */
const ELEMENT_DIGITS = 3;
const ELEMENT_SIZE = 1000;

/** Which hashes, or entries, a file holds. */
export interface TileName {
  /** Hashes of this level; `entries` for the entries themselves. */
  readonly level: number | 'entries';
  /** 0-based, within the level. */
  readonly index: number;
  /** 1 to 256; below 256 the tile is partial. */
  readonly width: number;
}

/** The file's path below the log's prefix: `tile/0/x001/234.p/5`. */
export function tilePath({ level, index, width }: TileName): string {
  invariant(Number.isSafeInteger(index) && index >= 0 && width >= 1 && width <= TILE_WIDTH, 'no such tile');
  const elements = [];
  for (let rest = index; elements.length === 0 || rest > 0; rest = Math.floor(rest / ELEMENT_SIZE)) {
    const digits = String(rest % ELEMENT_SIZE).padStart(ELEMENT_DIGITS, '0');
    elements.unshift(elements.length === 0 ? digits : `x${digits}`);
  }
  const partial = width === TILE_WIDTH ? '' : `.p/${width}`;
  return `tile/${level}/${elements.join('/')}${partial}`;
}

const TILE_PATH = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/;

/** Parses a path below the log's prefix; null when it is none of a tile. One tile has one path. */
export function parseTilePath(path: string): TileName | null {
  const [, level = '', elements = '', partial] = TILE_PATH.exec(path) ?? [];
  if (elements === '') return null;
  const name: TileName = {
    level: level === 'entries' ? level : Number(level),
    index: Number(elements.replaceAll(/[x/]/g, '')),
    width: partial === undefined ? TILE_WIDTH : Number(partial),
  };
  const isThere =
    (name.level === 'entries' || name.level <= LEVEL_MAX) &&
    Number.isSafeInteger(name.index) &&
    name.width >= 1 &&
    name.width <= TILE_WIDTH;
  return isThere && tilePath(name) === path ? name : null;
}

/** Hashes of `level` in a tree of `size` entries: one for each full tile below. */
export function hashesAtLevel(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Width of tile `index` of `level` in a tree of `size` entries; 0 when it has none. */
export function tileWidth(size: number, level: number | 'entries', index: number): number {
  const count = hashesAtLevel(size, level === 'entries' ? 0 : level);
  return Math.max(0, Math.min(TILE_WIDTH, count - index * TILE_WIDTH));
}

/** The last tile of each level of a tree of `size` entries, from level 0: those that are not full. One of width 0 is not there. */
export function edgeTiles(size: number): (TileName & { readonly level: number })[] {
  const tiles: (TileName & { readonly level: number })[] = [];
  for (let level = 0; hashesAtLevel(size, level) > 0; level += 1) {
    const index = Math.floor(hashesAtLevel(size, level) / TILE_WIDTH);
    tiles.push({ level, index, width: tileWidth(size, level, index) });
  }
  return tiles;
}
