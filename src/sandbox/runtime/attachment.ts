// Joins a workload's standard streams through conmon's socket: what it writes comes in, what a person types goes out.
import { closeSync, constants, openSync, read, write } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import koffi from 'koffi';
import { KIB, Lane } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

/** A piece of output. */
export interface AttachedOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

/** Streams of one workload, joined. Holds one thread of libuv's pool: made for a client process, not for the supervisor. */
export interface Attachment extends Disposable {
  /** What the workload writes from now on; ends when it has ended. */
  readonly output: AsyncIterable<AttachedOutput>;
  /** In the order of calls. */
  write(bytes: Uint8Array): Promise<void>;
  /** Tells the workload that no more input comes, once what was written before is there. */
  endInput(): void;
}

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SHUT_WR = 1;
const SHUT_RDWR = 2;
/** sun_path of <linux/un.h>. */
const SOCKET_PATH_BYTES = 108;
/** conmon sends at most 8 KiB and one byte that says from which stream. */
const PACKET_BYTES_MAX = 8 * KIB + 1;
/** conmon reads at most this much of a packet: the rest of a longer one would be lost. */
const INPUT_BYTES_MAX = 8 * KIB;
const STDOUT_PIPE = 2;
const STDERR_PIPE = 3;

const readAsync = promisify(read);
const writeAsync = promisify(write);

/**
 * Connects to the socket that a sandbox's `attachSocketPath` names.
 *
 * @throws SandboxError SANDBOX_GONE when nobody listens there
 */
export function openAttachment(socketPath: string): Attachment {
  const calls = bindCalls();
  const descriptor = calls.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw gone(socketPath, `no socket (errno ${koffi.errno()})`);
  try {
    connect(calls, descriptor, socketPath);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  let isOpen = true;
  // Two writes in two threads of the pool could overtake each other, and the end of the input could overtake both.
  const input = new Lane();
  return {
    output: readPackets(descriptor, () => isOpen),
    write: (bytes) =>
      input.run(async () => {
        if (!isOpen) return;
        for (let from = 0; from < bytes.length; from += INPUT_BYTES_MAX) {
          await writeAsync(descriptor, bytes.subarray(from, from + INPUT_BYTES_MAX));
        }
      }),
    endInput: () => {
      void input.run(async () => {
        if (isOpen) calls.shutdown(descriptor, SHUT_WR);
      });
    },
    [Symbol.dispose]: () => {
      if (!isOpen) return;
      isOpen = false;
      // Wakes the thread that reads; the descriptor is closed once it is idle.
      calls.shutdown(descriptor, SHUT_RDWR);
      setImmediate(() => closeSync(descriptor));
    },
  };
}

async function* readPackets(descriptor: number, isOpen: () => boolean): AsyncGenerator<AttachedOutput, void, void> {
  while (isOpen()) {
    const { bytesRead, buffer } = await readAsync(
      descriptor,
      Buffer.alloc(PACKET_BYTES_MAX),
      0,
      PACKET_BYTES_MAX,
      null,
    );
    if (bytesRead === 0) return;
    const pipe = buffer[0];
    if (pipe !== STDOUT_PIPE && pipe !== STDERR_PIPE) continue;
    yield { stream: pipe === STDERR_PIPE ? 'stderr' : 'stdout', bytes: buffer.subarray(1, bytesRead) };
  }
}

/** Through the folder's descriptor: the whole path may be longer than a socket's name can be. */
function connect(calls: Calls, descriptor: number, path: string): void {
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const address = Buffer.alloc(2 + SOCKET_PATH_BYTES);
    address.writeUInt16LE(AF_UNIX, 0);
    address.write(`/proc/self/fd/${folder}/${basename(path)}`, 2, SOCKET_PATH_BYTES - 1, 'utf8');
    if (calls.connect(descriptor, address, address.length) === 0) return;
    throw gone(path, `errno ${koffi.errno()}`);
  } finally {
    closeSync(folder);
  }
}

interface Calls {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly connect: (descriptor: number, address: Buffer, bytes: number) => number;
  readonly shutdown: (descriptor: number, how: number) => number;
}

function bindCalls(): Calls {
  const libc = koffi.load(null);
  return {
    socket: libc.func('int socket(int family, int type, int protocol)'),
    connect: libc.func('int connect(int descriptor, const void *address, unsigned int bytes)'),
    shutdown: libc.func('int shutdown(int descriptor, int how)'),
  };
}

function gone(path: string, why: string): SandboxError {
  return new SandboxError('SANDBOX_GONE', `nobody answers at ${path}: ${why}`, {
    hint: 'The workload has ended; its output is in `provost logs`.',
  });
}
