// A file that is replaced whole or not at all, also by a power cut.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes `data` beside `path` and moves it there once it is durable; makes the folder (mode 0750). */
export function saveAtomically(path: string, data: string | Uint8Array, mode: number): void {
  const dir = dirname(path);
  mkdirSync(dir, { recursive: true, mode: 0o750 });
  const fresh = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    writeDurably(fresh, Buffer.from(data), mode);
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  const folder = openSync(dir, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function writeDurably(path: string, bytes: Buffer, mode: number): void {
  const fd = openSync(path, 'wx', mode);
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** As {@link saveAtomically}, with the event loop free while the disk works. */
export async function saveAtomicallyAside(path: string, data: Uint8Array, mode: number): Promise<void> {
  const dir = dirname(path);
  await mkdir(dir, { recursive: true, mode: 0o750 });
  const fresh = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await using file = await open(fresh, 'wx', mode);
    await file.writeFile(data);
    await file.sync();
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await using folder = await open(dir, 'r');
  await folder.sync();
}
