// A log as others see it: in a folder of this host, or behind a URL. Nothing it gives is to be believed.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { BUNDLED_BYTES_MAX } from './entry-bundle.ts';
import { LedgerError } from './journal.ts';
import { NOTE_BYTES_MAX } from './signed-note.ts';
import { type TileName, TILE_WIDTH, tilePath } from './tile-name.ts';
import type { TileSource } from './tile-tree.ts';

/** The largest bundle, with the length of each entry. */
const FILE_BYTES_MAX = TILE_WIDTH * (BUNDLED_BYTES_MAX + 2);
const REQUEST_MS_MAX = 30_000;

/** Where a log is read from. Both methods reject with LEDGER_UNAVAILABLE. */
export interface LogSource {
  checkpoint(): Promise<Buffer>;
  /** May give a wider tile than was asked for. */
  readonly tile: TileSource;
}

/** Reads a log at a URL, or in a folder: that of a log of ours, or one that a web server serves. */
export function openLogSource(target: string): LogSource {
  const read = /^https?:\/\//.test(target) ? remoteReader(target) : localReader(target);
  const required = async (path: string, bytesMax: number): Promise<Buffer> => {
    const found = await read(path, bytesMax);
    if (found === null) throw unavailable(`${target} has no ${path}`);
    return found;
  };
  return {
    checkpoint: () => required('checkpoint', NOTE_BYTES_MAX),
    tile: async (name) =>
      (await read(tilePath(name), FILE_BYTES_MAX)) ?? (await required(fullPath(name), FILE_BYTES_MAX)),
  };
}

function fullPath(name: TileName): string {
  return tilePath({ ...name, width: TILE_WIDTH });
}

/** Reads a file of a log; null when it has none. */
type ReadFile = (path: string, bytesMax: number) => Promise<Buffer | null>;

function localReader(dir: string): ReadFile {
  const served = stat(join(dir, 'served')).then(
    () => join(dir, 'served'),
    () => dir,
  );
  return async (path, bytesMax) => {
    try {
      const bytes = await readFile(join(await served, path));
      if (bytes.length > bytesMax) throw unavailable(`${path} in ${dir} is larger than any such file`);
      return bytes;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
      throw error instanceof LedgerError ? error : unavailable(`${path} in ${dir}: ${messageOf(error)}`, error);
    }
  };
}

function remoteReader(url: string): ReadFile {
  const base = url.endsWith('/') ? url : `${url}/`;
  return async (path, bytesMax) => {
    try {
      const response = await fetch(new URL(path, base), { signal: AbortSignal.timeout(REQUEST_MS_MAX) });
      if (response.status === 404) return null;
      if (!response.ok) throw unavailable(`${url} answers ${response.status} for ${path}`);
      return await readBody(response, bytesMax);
    } catch (error) {
      throw error instanceof LedgerError ? error : unavailable(`${url}: ${messageOf(error)}`, error);
    }
  };
}

/** Reads a body of a bounded size. @throws LedgerError LEDGER_UNAVAILABLE */
export async function readBody(response: Response, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // attacker-controlled: a stream may have no end.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw unavailable(`${response.url} sends more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function unavailable(why: string, cause?: unknown): LedgerError {
  return new LedgerError('LEDGER_UNAVAILABLE', `the log cannot be read: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Give the folder of a log, or the URL below which it is served.',
    cause,
  });
}
