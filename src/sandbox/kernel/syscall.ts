// The system calls that Node lacks, for mounts and loop devices: thin, each failure a SandboxError with call and errno.
import koffi from 'koffi';
import { errnoOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

/** Flags of mount(2) and umount2(2), from <linux/mount.h>. */
export const MOUNT = {
  readOnly: 0x1,
  noSuid: 0x2,
  noDev: 0x4,
  noExec: 0x8,
  bind: 0x1000,
  recursive: 0x4000,
  private: 0x40000,
  noAtime: 0x400,
} as const;
export const UNMOUNT_DETACH = 0x2;
/** Do not follow a symbolic link in the last component. */
export const UNMOUNT_NO_FOLLOW = 0x8;

/** Attributes of mount_setattr(2), from <linux/mount.h>. */
export const MOUNT_ATTRIBUTE = { readOnly: 0x1, noSuid: 0x2, noDev: 0x4, idmap: 0x100000 } as const;

// Flags of clone(2), from <linux/sched.h>, and of wait4(2).
const CLONE_VM = 0x100;
const CLONE_VFORK = 0x4000;
const CLONE_NEWUSER = 0x10000000;
const WAIT_ANY_CLONE = 0x40000000;
/** Ample for a function that makes one system call. */
const CHILD_STACK_BYTES = 65_536;
const STACK_ALIGNMENT = 16n;

// The new mount API has the same numbers on every architecture.
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 0x1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** struct mount_attr: set, clear, propagation, user namespace; 8 bytes each. */
const MOUNT_ATTR_BYTES = 32;

/** What mount(2) takes; `source` and `type` are empty where they mean nothing. */
export interface MountCall {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

export interface MountAttributes {
  readonly set: number;
  /** Descriptor of the user namespace whose mapping `MOUNT_ATTRIBUTE.idmap` takes; else -1. */
  readonly userNamespace: number;
}

/** A process that has ended and was not reaped yet. */
export interface EndedChild {
  readonly pid: number;
  reap(): void;
}

/** System calls of this process. Every method throws SandboxError SANDBOX_SYSCALL with `details.call` and `details.errno`. */
export interface Kernel {
  mount(call: MountCall): void;
  unmount(target: string, flags: number): void;
  /** The same in another thread; false when it failed, for a reason that only `unmount` can tell. */
  unmountInBackground(target: string, flags: number): Promise<boolean>;
  /** Clones the mount at `path` (with what is mounted below it when `recursive`) and returns the descriptor of the detached copy. */
  cloneTree(path: string, options: { readonly recursive: boolean }): number;
  /** Changes a detached mount before anyone can see it. */
  setMountAttributes(mountDescriptor: number, attributes: MountAttributes): void;
  /** Attaches a detached mount at `target`. */
  attachMount(mountDescriptor: number, target: string): void;
  /** Makes a process in a new user namespace that ends at once; until it is reaped, its /proc folder names the namespace. */
  endedChildInUserNamespace(): EndedChild;
  /** Offset of the next written byte of a sparse file from `offset` on; null when only zeros follow. */
  nextData(descriptor: number, offset: number): number | null;
  /** Offset of the next hole of a sparse file from `offset` on; null when there is none before its end. */
  nextHole(descriptor: number, offset: number): number | null;
  /** Makes a FIFO with permissions `mode`. */
  makeFifo(path: string, mode: number): void;
  ioctl(descriptor: number, request: number, argument: number): number;
  ioctlBuffer(descriptor: number, request: number, argument: Buffer): number;
}

interface Calls {
  // oxlint-disable-next-line max-params -- the system call has five
  readonly mount: (source: string, target: string, type: string, flags: number, data: string) => number;
  readonly umount2: {
    (target: string, flags: number): number;
    async(target: string, flags: number, done: (error: unknown, result: number) => void): void;
  };
  readonly openTree: (number: number, dirfd: number, path: string, flags: number) => number;
  // oxlint-disable-next-line max-params -- the system call has five
  readonly moveMount: (number: number, ...rest: [number, string, number, string, number]) => number;
  // oxlint-disable-next-line max-params -- the system call has five
  readonly setattr: (number: number, ...rest: [number, string, number, Buffer, number]) => number;
  readonly clone: (entry: unknown, stackTop: bigint, flags: number, argument: number) => number;
  /** Address of a function of the C library that only ends the process. */
  readonly exit: unknown;
  readonly wait4: (pid: number, status: null, options: number, usage: null) => number;
  readonly lseek: (descriptor: number, offset: number, whence: number) => number;
  readonly mkfifo: (path: string, mode: number) => number;
  readonly ioctl: (descriptor: number, request: number, argument: number) => number;
  readonly ioctlBuffer: (descriptor: number, request: number, argument: Buffer) => number;
}

/** Binds the calls to the C library of this process. Costs some milliseconds: open it once and pass it on. */
export function openKernel(): Kernel {
  const calls = bindCalls();
  const checked = (call: string, subject: string, result: number): number => {
    if (result >= 0) return result;
    throw syscallError(call, subject, koffi.errno());
  };
  return {
    mount: ({ source, target, type, flags, data }) => {
      checked('mount', target, calls.mount(source, target, type, flags, data));
    },
    unmount: (target, flags) => {
      checked('umount2', target, calls.umount2(target, flags));
    },
    unmountInBackground: (target, flags) =>
      new Promise((resolve) => {
        calls.umount2.async(target, flags, (_error, result) => resolve(result === 0));
      }),
    cloneTree: (path, { recursive }) => {
      const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
      return checked('open_tree', path, calls.openTree(SYS_OPEN_TREE, AT_FDCWD, path, flags | AT_SYMLINK_NOFOLLOW));
    },
    setMountAttributes: (descriptor, { set, userNamespace }) => {
      const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
      attributes.writeBigUInt64LE(BigInt(set), 0);
      if (userNamespace >= 0) attributes.writeBigUInt64LE(BigInt(userNamespace), 24);
      const result = calls.setattr(SYS_MOUNT_SETATTR, descriptor, '', AT_EMPTY_PATH, attributes, MOUNT_ATTR_BYTES);
      checked('mount_setattr', `descriptor ${descriptor}`, result);
    },
    attachMount: (descriptor, target) => {
      const result = calls.moveMount(SYS_MOVE_MOUNT, descriptor, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
      checked('move_mount', target, result);
    },
    endedChildInUserNamespace: () => {
      const stack = Buffer.alloc(CHILD_STACK_BYTES);
      const top = ((koffi.address(stack) + BigInt(stack.length)) / STACK_ALIGNMENT) * STACK_ALIGNMENT;
      // It borrows this process's memory instead of a copy, runs only _exit, and this thread stands still until it has: the stack is its own.
      // Without an exit signal nobody else waits for it.
      const pid = checked('clone', '_exit', calls.clone(calls.exit, top, CLONE_VM | CLONE_VFORK | CLONE_NEWUSER, 0));
      return {
        pid,
        reap: () => void checked('wait4', `process ${pid}`, calls.wait4(pid, null, WAIT_ANY_CLONE, null)),
      };
    },
    nextData: (descriptor, offset) => seek(calls, descriptor, offset, SEEK_DATA),
    nextHole: (descriptor, offset) => seek(calls, descriptor, offset, SEEK_HOLE),
    makeFifo: (path, mode) => void checked('mkfifo', path, calls.mkfifo(path, mode)),
    ioctl: (descriptor, request, argument) =>
      checked('ioctl', `request 0x${request.toString(16)}`, calls.ioctl(descriptor, request, argument)),
    ioctlBuffer: (descriptor, request, argument) =>
      checked('ioctl', `request 0x${request.toString(16)}`, calls.ioctlBuffer(descriptor, request, argument)),
  };
}

function seek(calls: Calls, descriptor: number, offset: number, whence: number): number | null {
  const found = calls.lseek(descriptor, offset, whence);
  if (found >= 0) return found;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.ENXIO) return null;
  throw syscallError('lseek', `descriptor ${descriptor}`, errno);
}

function bindCalls(): Calls {
  const libc = koffi.load(null);
  return {
    mount: libc.func(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    umount2: libc.func('int umount2(const char *target, int flags)'),
    // Linux passes variadic integers and pointers as fixed ones, on every architecture that Node has.
    openTree: libc.func('long syscall(long number, int dirfd, const char *path, unsigned int flags)'),
    moveMount: libc.func(
      'long syscall(long number, int from, const char *fromPath, int to, const char *toPath, unsigned int flags)',
    ),
    setattr: libc.func(
      'long syscall(long number, int dirfd, const char *path, unsigned int flags, void *attributes, size_t size)',
    ),
    clone: libc.func('int clone(void *function, void *stackTop, int flags, long argument)'),
    exit: libc.symbol('_exit'),
    wait4: libc.func('int wait4(int pid, void *status, int options, void *usage)'),
    lseek: libc.func('int64_t lseek(int descriptor, int64_t offset, int whence)'),
    mkfifo: libc.func('int mkfifo(const char *path, unsigned int mode)'),
    ioctl: libc.func('int ioctl(int descriptor, unsigned long request, long argument)'),
    ioctlBuffer: libc.func('int ioctl(int descriptor, unsigned long request, _Inout_ void *argument)'),
  };
}

function syscallError(call: string, subject: string, number: number): SandboxError {
  const errno = errnoName(number);
  return new SandboxError('SANDBOX_SYSCALL', `the kernel refused ${call} of ${subject}: ${errno}`, {
    hint: SYSCALL_HINTS.get(errno) ?? 'run `provost doctor`, which says what this host can enforce',
    details: { call, errno, subject },
  });
}

const SYSCALL_HINTS: ReadonlyMap<string, string> = new Map([
  ['EPERM', 'run as root of the host, outside of containers that drop CAP_SYS_ADMIN'],
  ['ENOSYS', 'this needs Linux 5.19 or newer'],
  ['ENOSPC', 'free space where PROVOST_HOME lies, or raise /proc/sys/fs/mount-max'],
]);

function errnoName(number: number): string {
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
}

/** The errno name (`EINVAL` …) of a failed call of {@link Kernel}, or of a Node system error; undefined for anything else. */
export function kernelErrnoOf(error: unknown): string | undefined {
  if (!(error instanceof SandboxError)) return errnoOf(error);
  const { errno } = error.details;
  return typeof errno === 'string' ? errno : undefined;
}
