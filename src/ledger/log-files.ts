// Where a log keeps what: the part that is served as it lies there, the batches before they are in tiles, and how far tiles are durable.
import { dirname, join } from 'node:path';

import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import type { LogDisk } from './log-disk.ts';
import { hashesAtLevel, type TileName, TILE_WIDTH, tilePath } from './tile-name.ts';
import { HASH_BYTES } from './tree-hash.ts';

/** Paths of a log. */
export interface LogFiles {
  readonly root: string;
  /** What any web server can serve. */
  readonly served: string;
  readonly checkpoint: string;
  /** Folder of the batches. */
  readonly batches: string;
  readonly state: string;
  tile(name: TileName): string;
  /** The batches from entry `first` on. */
  segment(first: number): string;
}

/** The paths of the log in `dir`. */
export function logFiles(dir: string): LogFiles {
  const served = join(dir, 'served');
  const batches = join(dir, 'batches');
  return {
    root: dir,
    served,
    checkpoint: join(served, 'checkpoint'),
    batches,
    state: join(dir, 'state'),
    tile: (name) => join(served, tilePath(name)),
    segment: (first) => join(batches, String(first).padStart(SEGMENT_DIGITS, '0')),
  };
}

const SEGMENT_DIGITS = 16;

/** Indexes of the first entries of the segments that are there, in order. */
export function listSegments(disk: LogDisk, files: LogFiles): readonly number[] {
  const names = disk.list(files.batches).filter((name) => /^\d{16}$/.test(name));
  return names.map(Number).toSorted((a, b) => a - b);
}

/** Tiles that become full between two times that tiles are made durable are fewer: 20 MiB of entries. */
const FORGOTTEN_TILES_MAX = 512;

/** How far a log's tiles are known to be durable. */
export interface LogState {
  readonly size: number;
  readonly root: Buffer;
}

/** The text of a state. */
export function encodeState({ size, root }: LogState): Buffer {
  return Buffer.from(`provost-log v1\n${size}\n${root.toString('base64')}\n`);
}

/** Reads the state; null for a log that has none yet. @throws LedgerError LEDGER_CORRUPT */
export function readState(disk: LogDisk, files: LogFiles): LogState | null {
  const bytes = disk.read(files.state);
  if (bytes === null) return null;
  const [, size = '', root = ''] =
    /^provost-log v1\n(\d{1,16})\n([A-Za-z0-9+/=]{44})\n$/.exec(bytes.toString('latin1')) ?? [];
  const state = { size: Number(size), root: Buffer.from(root, 'base64') };
  if (size === '' || state.root.length !== HASH_BYTES) throw corruptLog(files, 'its state cannot be read');
  return state;
}

/** Folder of the partial forms of a full tile. */
export function partialFolder(files: LogFiles, name: TileName): string {
  return `${files.tile({ ...name, width: TILE_WIDTH })}.p`;
}

/**
 * Reads a tile or bundle as a tree of some size has it, or one that is wider: it begins with the same.
 *
 * @throws LedgerError LEDGER_CORRUPT when none is there
 */
export function readTile(disk: LogDisk, files: LogFiles, name: TileName): Buffer {
  const found = disk.read(files.tile(name)) ?? disk.read(files.tile({ ...name, width: TILE_WIDTH }));
  if (found !== null) return found;
  const wider = partialWidths(disk, files, name).find((width) => width > name.width);
  const bytes = wider === undefined ? null : disk.read(files.tile({ ...name, width: wider }));
  if (bytes === null) throw corruptLog(files, `${tilePath(name)} is missing`);
  return bytes;
}

/** Widths of a tile's partial forms that are there, in order. */
export function partialWidths(disk: LogDisk, files: LogFiles, name: TileName): readonly number[] {
  const names = disk.list(partialFolder(files, name)).filter((width) => /^[1-9]\d{0,2}$/.test(width));
  return names.map(Number).toSorted((a, b) => a - b);
}

/** Folders of partial tiles beside full ones, near the end of a tree of `size` entries. */
export function forgottenFolders(disk: LogDisk, files: LogFiles, size: number): readonly string[] {
  const forgotten: string[] = [];
  for (let level = 0; hashesAtLevel(size, level) >= TILE_WIDTH; level += 1) {
    const last = Math.floor(hashesAtLevel(size, level) / TILE_WIDTH) - 1;
    const folderOf = (index: number, kind: TileName['level']): string =>
      partialFolder(files, { level: kind, index, width: TILE_WIDTH });
    for (const kind of level === 0 ? ([0, 'entries'] as const) : [level]) {
      const near = Array.from({ length: Math.min(FORGOTTEN_TILES_MAX, last + 1) }, (_, back) => last - back);
      const folders = near.map((index) => folderOf(index, kind));
      const there = new Set(
        [...new Set(folders.map(dirname))].flatMap((dir) => disk.list(dir).map((name) => join(dir, name))),
      );
      forgotten.push(...folders.filter((folder) => there.has(folder)));
    }
  }
  return forgotten;
}

/** The error of a log whose files do not fit together. */
export function corruptLog(files: LogFiles, why: string): LedgerError {
  return new LedgerError('LEDGER_CORRUPT', `the log in ${files.root} is damaged: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'It is not written any more, and can still be read: restore it from a mirror or a backup, or begin a new one.',
  });
}
