// Files of a repository that a stranger may have made: opened without waiting, read with a limit, and errors that say which file.
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';

import { errnoOf, exitStatus, messageOf } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';

/** Longest explanation that a message gives: paths in a repository may be a stranger's. */
const WHY_CHARS_MAX = 400;

/** An open file of known size. */
export interface GitFile extends Disposable {
  readonly bytes: number;
  /** Reads exactly `count` bytes at `at`, or to the end of the file. */
  read(at: number, count: number): Buffer;
}

/**
 * Opens a regular file; null when there is none.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY when it cannot be read or is no file
 */
export function openGitFile(path: string): GitFile | null {
  const fd = openOrNull(path);
  if (fd === null) return null;
  const close = (): void => closeSync(fd);
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    close();
    throw badRepository(`${path} is no file`);
  }
  const read = (at: number, count: number): Buffer => readAt(fd, at, Math.max(0, Math.min(count, stat.size - at)));
  return { bytes: stat.size, read, [Symbol.dispose]: close };
}

/** The whole of a file; null when there is none. @throws ProvenanceError PROVENANCE_REPOSITORY, also beyond `bytesMax` */
export function readGitFile(path: string, bytesMax: number): Buffer | null {
  using file = openGitFile(path);
  if (file === null) return null;
  if (file.bytes > bytesMax) throw badRepository(`${path} has more than ${bytesMax} bytes`);
  return file.read(0, file.bytes);
}

/** What a path leads to; null when it leads to nothing. @throws ProvenanceError PROVENANCE_REPOSITORY */
export function statGit(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    throw badRepository(messageOf(error), error);
  }
}

function openOrNull(path: string): number | null {
  try {
    // A FIFO without a writer would otherwise be waited for.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return null;
    throw badRepository(messageOf(error), error);
  }
}

function readAt(fd: number, at: number, count: number): Buffer {
  const buffer = Buffer.allocUnsafe(count);
  let filled = 0;
  while (filled < count) {
    const got = readSync(fd, buffer, filled, count - filled, at + filled);
    if (got === 0) break;
    filled += got;
  }
  return buffer.subarray(0, filled);
}

/** A repository that cannot be read, or does not hold what was asked for. */
export function badRepository(why: string, cause?: unknown): ProvenanceError {
  const shown = why.slice(0, WHY_CHARS_MAX).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return new ProvenanceError('PROVENANCE_REPOSITORY', `the git repository cannot be read: ${shown}`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Give the folder of a repository and a branch, tag or whole commit id in it; git fsck finds damage.',
    cause,
  });
}
