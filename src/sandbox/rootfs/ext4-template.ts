// Empty ext4 file systems, made once for each size and then copied: mkfs.ext4 writes some 100 KiB whatever the size.
import { execFile } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, exitStatus, formatSize, messageOf, MIB } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import type { Kernel } from '../kernel/syscall.ts';

const BLOCK_BYTES = 4096;
/** The least that still holds the file system's own tables and something of the workload's. */
const IMAGE_BYTES_MIN = MIB;
const MKFS_MS_MAX = 30_000;
/** Sizes kept in memory, some 100 KiB each; a policy has a handful. */
const TEMPLATES_MAX = 16;
/** Administration commands are not in every PATH. */
const COMMAND_FOLDERS = '/usr/sbin:/sbin:/usr/bin:/bin';

/**
 * No journal and no backups, since the layer is thrown away with its workload; tables of inodes are written when they
 * are first used; nothing is set aside for root; an error makes it read-only.
 */
const MKFS_OPTIONS =
  `-q -F -t ext4 -b ${BLOCK_BYTES} -m 0 -I 256 -i 16384 -e remount-ro -O ^has_journal,^resize_inode,sparse_super2,metadata_csum ` +
  '-E lazy_itable_init=1,num_backup_sb=0,nodiscard';

/** A stretch of an image that is not all zeros. */
interface Extent {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Writes empty file systems of any size, from templates kept in memory. */
export interface Ext4Templates {
  /**
   * Makes an image file of `sizeBytes`, rounded down to blocks, that takes up only what was written: 1 ms once its size
   * is known. The space must be there all the same, so that the disk grant can be kept.
   *
   * @throws SandboxError SANDBOX_NO_SPACE, SANDBOX_MOUNT
   */
  writeImage(path: string, sizeBytes: number): Promise<void>;
}

/** No template is made before it is needed. */
export function openExt4Templates(kernel: Kernel): Ext4Templates {
  const templates = new Map<number, readonly Extent[]>();
  return {
    writeImage: async (path, sizeBytes) => {
      const size = checkedSize(path, sizeBytes);
      const known = templates.get(size);
      if (known !== undefined) return writeExtents(path, size, known);
      const made = await makeTemplate(kernel, templatePath(path), size);
      const [oldest] = templates.keys();
      if (templates.size >= TEMPLATES_MAX && oldest !== undefined) templates.delete(oldest);
      templates.set(size, made);
      writeExtents(path, size, made);
    },
  };
}

function checkedSize(path: string, sizeBytes: number): number {
  const dir = dirname(path);
  const free = freeBytes(path);
  if (sizeBytes > free)
    throw noSpace(dir, `${formatSize(sizeBytes)} of disk were granted, but ${formatSize(free)} are free`);
  if (sizeBytes < IMAGE_BYTES_MIN) throw noSpace(dir, `a writable layer of ${sizeBytes} bytes holds nothing`);
  return Math.floor(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch (error) {
    throw imageError(path, error);
  }
}

/** Where the first template of a size is made: beside the image, by a name that is known after a crash, too. */
function templatePath(image: string): string {
  return `${image}.template`;
}

/** Removes an image, and what a crash has left of the template for it; nothing there is fine. */
export async function removeImage(path: string): Promise<void> {
  await rm(templatePath(path), { force: true });
  await rm(path, { force: true });
}

async function makeTemplate(kernel: Kernel, path: string, size: number): Promise<readonly Extent[]> {
  try {
    writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
    truncateSync(path, size);
    await makeFileSystem(path);
    return readExtents(kernel, path, size);
  } catch (error) {
    throw imageError(path, error);
  } finally {
    rmSync(path, { force: true });
  }
}

async function makeFileSystem(path: string): Promise<void> {
  const env = { PATH: `${process.env['PATH'] ?? ''}:${COMMAND_FOLDERS}` };
  try {
    await promisify(execFile)('mkfs.ext4', [...MKFS_OPTIONS.split(' '), path], { timeout: MKFS_MS_MAX, env });
  } catch (cause) {
    throw new SandboxError('SANDBOX_MOUNT', `mkfs.ext4 made no file system: ${messageOf(cause)}`, {
      exit: exitStatus.unavailable,
      hint: 'install e2fsprogs, which has it',
      cause,
    });
  }
}

function readExtents(kernel: Kernel, path: string, size: number): readonly Extent[] {
  const descriptor = openSync(path, 'r');
  try {
    const extents: Extent[] = [];
    let at = kernel.nextData(descriptor, 0);
    while (at !== null) {
      const end = kernel.nextHole(descriptor, at) ?? size;
      const bytes = Buffer.alloc(end - at);
      readSync(descriptor, bytes, 0, bytes.length, at);
      extents.push({ offset: at, bytes });
      at = kernel.nextData(descriptor, end);
    }
    return extents;
  } finally {
    closeSync(descriptor);
  }
}

function writeExtents(path: string, size: number, extents: readonly Extent[]): void {
  const descriptor = created(path);
  try {
    ftruncateSync(descriptor, size);
    for (const { offset, bytes } of extents) writeSync(descriptor, bytes, 0, bytes.length, offset);
  } catch (error) {
    throw imageError(path, error);
  } finally {
    closeSync(descriptor);
  }
}

function created(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw imageError(path, error);
  }
}

function imageError(path: string, cause: unknown): SandboxError {
  if (cause instanceof SandboxError) return cause;
  if (errnoOf(cause) === 'ENOSPC') return noSpace(dirname(path), 'the disk is full', cause);
  return new SandboxError('SANDBOX_MOUNT', `cannot write an image for the writable layer: ${messageOf(cause)}`, {
    exit: exitStatus.unavailable,
    hint: `see whether ${dirname(path)} is there and can be written`,
    details: { path },
    cause,
  });
}

function noSpace(dir: string, why: string, cause?: unknown): SandboxError {
  return new SandboxError('SANDBOX_NO_SPACE', `no writable layer in ${dir}: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'free space there, or ask for another size with --disk',
    details: { dir },
    cause,
  });
}
