// The files of a log as it serves them.
import { encodeBundle, parseBundle } from './entry-bundle.ts';
import { LedgerError } from './journal.ts';
import { openHostDisk } from './log-disk.ts';
import { logFiles, readTile } from './log-files.ts';
import { parseTilePath } from './tile-name.ts';
import { HASH_BYTES } from './tree-hash.ts';

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
    const found = readTile(disk, files, name);
    const bytes =
      name.level === 'entries'
        ? encodeBundle(parseBundle(found, name.width))
        : found.subarray(0, name.width * HASH_BYTES);
    return { bytes, mediaType: 'application/octet-stream', isImmutable: true };
  } catch (error) {
    if (error instanceof LedgerError) return null;
    throw error;
  }
}
