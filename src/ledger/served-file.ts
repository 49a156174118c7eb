// The files of a log as it serves them.
import { LedgerError } from './journal.ts';
import { openHostDisk } from './log-disk.ts';
import { logFiles, readTile } from './log-files.ts';
import { narrowTile } from './narrow-tile.ts';
import { parseTilePath } from './tile-name.ts';

/** One file. */
export interface ServedFile {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** False for the checkpoint alone. */
  readonly isImmutable: boolean;
}

/**
 * Reads a file of the log in `dir` by its path below the log's prefix; null when there is none. A partial tile whose place a wider one
 * took is cut from that.
 */
export function readServedFile(dir: string, path: string): ServedFile | null {
  const [disk, files] = [openHostDisk(), logFiles(dir)];
  if (path === 'checkpoint') {
    const bytes = disk.read(files.checkpoint);
    return bytes === null ? null : { bytes, mediaType: 'text/plain; charset=utf-8', isImmutable: false };
  }
  const name = parseTilePath(path);
  if (name === null) return null;
  try {
    const bytes = narrowTile(readTile(disk, files, name), name);
    return { bytes, mediaType: 'application/octet-stream', isImmutable: true };
  } catch (error) {
    if (error instanceof LedgerError) return null;
    throw error;
  }
}
