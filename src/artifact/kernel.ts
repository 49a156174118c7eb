// The few system calls that Node lacks, for unpacking: mknod, extended attributes, syncfs.
import { closeSync, constants, openSync } from 'node:fs';

import koffi from 'koffi';

import { invariant } from '../base/index.ts';

const S_IFCHR = 0o020000;
const S_IFIFO = 0o010000;
const EIO = 5;

/** Largest value of one extended attribute that Linux takes: XATTR_SIZE_MAX of include/uapi/linux/limits.h. */
const XATTR_BYTES_MAX = 65_536;

export interface Kernel {
  /** Makes a named pipe; fails when anything is there. */
  makeFifo(path: Buffer, mode: number): void;
  /** Makes the device 0/0 with which overlayfs hides a name of the layers below. */
  makeWhiteout(path: Buffer): void;
  /** Sets an extended attribute of the thing itself, never of what a link names. */
  setAttribute(path: Buffer, name: string, value: Buffer): void;
  /** Reads an extended attribute of the thing itself; null when it has none. */
  getAttribute(path: Buffer, name: string): Buffer | null;
  /** Writes everything of the file system that holds `dir` to its disk, without holding up the event loop. */
  sync(dir: string): Promise<void>;
}

interface Calls {
  readonly mknod: (path: Buffer, mode: number, device: number) => number;
  // oxlint-disable-next-line max-params -- the system call has five
  readonly lsetxattr: (path: Buffer, name: string, value: Buffer, size: number, flags: number) => number;
  readonly lgetxattr: (path: Buffer, name: string, value: Buffer, size: number) => number;
  readonly syncfs: { async(fd: number, done: (error: unknown, result: number) => void): void };
}

/** Binds the calls to the C library that this process runs with. */
export function openKernel(): Kernel {
  const libc = koffi.load(null);
  const calls: Calls = {
    mknod: libc.func('int mknod(const void *path, uint32_t mode, uint64_t dev)'),
    lsetxattr: libc.func(
      'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
    ),
    lgetxattr: libc.func('long lgetxattr(const void *path, const char *name, _Out_ void *value, size_t size)'),
    syncfs: libc.func('int syncfs(int fd)'),
  };
  const scratch = Buffer.alloc(XATTR_BYTES_MAX);
  return {
    makeFifo: (path, mode) => check(calls.mknod(terminated(path), S_IFIFO | mode, 0), 'mknod', path),
    makeWhiteout: (path) => check(calls.mknod(terminated(path), S_IFCHR, 0), 'mknod', path),
    setAttribute: (path, name, value) =>
      check(calls.lsetxattr(terminated(path), name, value, value.length, 0), `lsetxattr ${name}`, path),
    getAttribute: (path, name) => {
      const size = calls.lgetxattr(terminated(path), name, scratch, scratch.length);
      if (size >= 0) return Buffer.from(scratch.subarray(0, size));
      const errno = koffi.errno();
      if (errno === koffi.os.errno.ENODATA || errno === koffi.os.errno.EOPNOTSUPP) return null;
      throw systemError(`lgetxattr ${name}`, errno, path);
    },
    sync: (dir) => syncFileSystem(calls, dir),
  };
}

function syncFileSystem(calls: Calls, dir: string): Promise<void> {
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  return new Promise((resolve, reject) => {
    calls.syncfs.async(fd, (error, result) => {
      closeSync(fd);
      if (error !== null || result !== 0) reject(systemError('syncfs', koffi.os.errno.EIO ?? EIO, Buffer.from(dir)));
      else resolve();
    });
  });
}

function check(result: number, call: string, path: Buffer): void {
  if (result !== 0) throw systemError(call, koffi.errno(), path);
}

/** The same form as Node's own system errors, so that one place maps both. */
function systemError(call: string, errno: number, path: Buffer): NodeJS.ErrnoException {
  const code = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `E${errno}`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${call} '${path.toString('utf8')}'`);
  error.code = code;
  error.errno = -errno;
  error.syscall = call;
  return error;
}

function terminated(path: Buffer): Buffer {
  invariant(!path.includes(0), 'a path with NUL reached the kernel');
  return Buffer.concat([path, NUL]);
}

const NUL = Buffer.alloc(1);
