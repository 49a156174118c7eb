// One file of a control group, kept open: raw reads and writes whose errno is seen, some microseconds each.
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { errnoOf, exitStatus, messageOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

/** memory.stat, the longest that we read, has about 2 KiB; the kernel never gives more than a page at once of the others. */
const FILE_BYTES_MAX = 16_384;

/** Where nothing is limited: `max` in v2, the largest whole page count in v1. */
const V1_UNLIMITED_MIN = 2 ** 62;

/** A control file that opens when it is first used. */
export interface ControlFile extends Disposable {
  readonly path: string;
  /** The whole text. Throws SandboxError SANDBOX_GONE when the group is no more, else SANDBOX_CGROUP. */
  read(): string;
  /** The number in its first line; `Infinity` where that says that there is no limit. */
  readNumber(): number;
  /** Throws as `read` does; `details.errno` tells the errno. */
  write(value: string): void;
}

/** The kernel refuses to open a file for more than its mode says, to root too. */
export type Access = 'read' | 'write' | 'both';

const OPEN_FLAGS: Readonly<Record<Access, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_WRONLY,
  both: constants.O_RDWR,
};

/** Every read is synchronous and copies out what it found: one buffer serves all files. */
const scratch = Buffer.alloc(FILE_BYTES_MAX);

/** A control file at `path`, which need not exist before it is used. */
export function controlFile(path: string, access: Access = 'read'): ControlFile {
  let descriptor = -1;
  const opened = (): number => {
    if (descriptor < 0) descriptor = openSync(path, OPEN_FLAGS[access]);
    return descriptor;
  };
  const read = (): string => {
    const bytes = attempt(path, 'read', () => readSync(opened(), scratch, 0, scratch.length, 0));
    return scratch.toString('latin1', 0, bytes);
  };
  return {
    path,
    read,
    readNumber: () => parseLimit(read()),
    write: (value) => {
      // The line end makes a shorter value over a longer one readable where the file is a plain one.
      attempt(path, 'write', () => writeSync(opened(), `${value}\n`, 0));
    },
    [Symbol.dispose]: () => {
      if (descriptor >= 0) closeSync(descriptor);
      descriptor = -1;
    },
  };
}

/** Disposes of all of them. */
export function closeAll(files: Iterable<ControlFile | null>): void {
  for (const file of files) file?.[Symbol.dispose]();
}

/** A control file that some kernels lack: null when this one does. */
export function controlFileIfAny(path: string, access: Access = 'read'): ControlFile | null {
  return existsSync(path) ? controlFile(path, access) : null;
}

/** The number after `key` in a flat keyed file such as cpu.stat; 0 without such a line. */
export function keyedNumber(text: string, key: string): number {
  const at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return 0;
  return Number.parseInt(text.slice(at + key.length + 1), 10);
}

function parseLimit(text: string): number {
  if (text.startsWith('max') || text.startsWith('-1')) return Number.POSITIVE_INFINITY;
  const value = Number.parseInt(text, 10);
  return value >= V1_UNLIMITED_MIN ? Number.POSITIVE_INFINITY : value;
}

function attempt<T>(path: string, verb: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw controlError(path, verb, error);
  }
}

/** The SandboxError for a control file or group that could not be used. */
export function controlError(path: string, verb: string, cause: unknown): SandboxError {
  const errno = errnoOf(cause);
  const details = { path, errno };
  if (errno === 'ENOENT' || errno === 'ENODEV') {
    return new SandboxError('SANDBOX_GONE', `cannot ${verb} ${path}: the control group is no more`, {
      hint: 'the workload has ended, or something else removed its control group',
      details,
      cause,
    });
  }
  return new SandboxError('SANDBOX_CGROUP', `cannot ${verb} ${path}: ${errno ?? messageOf(cause)}`, {
    exit: exitStatus.unavailable,
    hint: 'run `provost doctor`, which says which control groups this host can write',
    details,
    cause,
  });
}
