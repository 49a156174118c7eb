// The file operations of a log, few enough that a test can make each of them fail or be forgotten.
import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { errnoOf } from '../base/index.ts';

const datasync = promisify(fdatasync);
/** Files that are made durable side by side: the pool has four threads, and one stays for batches, for which callers wait. */
const SYNCS_AT_ONCE = 3;

/** A file that grows. */
export interface AppendFile extends Disposable {
  /** Adds to the end; not durable yet. */
  append(bytes: Uint8Array): void;
  /** Makes what was added durable, and that the file is there. */
  sync(): Promise<void>;
  /** Removes what is beyond so many bytes. */
  cutTo(bytes: number): void;
}

/** A file system as a log uses it. Paths are absolute. Errors are those of the system. */
export interface LogDisk {
  /** Null when there is no such file. */
  read(path: string): Buffer | null;
  /** Names in a folder; none when there is no such folder. */
  list(dir: string): string[];
  /** Makes a file, or replaces it whole in the eyes of readers, and the folders to it; durable after {@link LogDisk.sync}. */
  replace(path: string, bytes: Uint8Array): void;
  /** As `replace`, and whatever happens, one of the two is there whole. */
  replaceWhole(path: string, bytes: Uint8Array): Promise<void>;
  /** Makes files durable, and that they are there: their folders up to `root`. */
  sync(paths: Iterable<string>, root: string): Promise<void>;
  /** Removes a file or a folder with all that is in it; nothing there is fine. */
  remove(path: string): void;
  /** Opens a file to add to it, cut to `length` bytes; makes it when it is not there. */
  openAppend(path: string, length: number): AppendFile;
}

/** The file system of this host. Files get mode 0644, folders 0755, less the umask. */
export function openHostDisk(): LogDisk {
  return {
    read: (path) => orMissing(() => readFileSync(path), null),
    list: (dir) => orMissing(() => readdirSync(dir), []),
    replace: replaceFile,
    replaceWhole: replaceFileWhole,
    sync: syncFiles,
    remove: (path) => rmSync(path, { recursive: true, force: true }),
    openAppend: (path, length) => openGrowing(path, length),
  };
}

function orMissing<T>(act: () => T, missing: T): T {
  try {
    return act();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return missing;
    throw error;
  }
}

function replaceFile(path: string, bytes: Uint8Array): void {
  const fresh = `${path}.new`;
  const fd = openMaking(fresh);
  try {
    writeAll(fd, bytes);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, path);
}

async function replaceFileWhole(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  const fd = openMaking(fresh);
  try {
    writeAll(fd, bytes);
    await datasync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, path);
}

/** Most files lie in a folder that is there: it is made when it turns out not to be. */
function openMaking(path: string): number {
  try {
    return openSync(path, 'w', 0o644);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'w', 0o644);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
}

async function syncFiles(paths: Iterable<string>, root: string): Promise<void> {
  const files = [...new Set(paths)];
  const folders = new Set<string>([root]);
  for (const file of files) {
    for (let dir = dirname(file); dir.length > root.length; dir = dirname(dir)) folders.add(dir);
  }
  await syncEach(files);
  await syncEach([...folders]);
}

async function syncEach(paths: readonly string[]): Promise<void> {
  const waiting = [...paths];
  const work = async (): Promise<void> => {
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      await using handle = await open(path, 'r');
      await handle.sync();
    }
  };
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, work));
}

function openGrowing(path: string, length: number): AppendFile {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'a', 0o600);
  let isKnown = false;
  try {
    ftruncateSync(fd, length);
    fsyncSync(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    append: (bytes) => writeAll(fd, bytes),
    sync: async () => {
      await datasync(fd);
      if (!isKnown) syncFolder(dirname(path));
      isKnown = true;
    },
    cutTo: (bytes) => ftruncateSync(fd, bytes),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
