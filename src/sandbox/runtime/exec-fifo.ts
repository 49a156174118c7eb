// Lets a container that runc has created run its first instruction, without starting another process for it.
import { constants, openSync, readSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { SandboxError } from '../driver.ts';

/** runc's init has nothing left to do but execve when it opens the fifo; under a quota of 10 millicores that takes 0.3 s. */
const START_TIMEOUT_MS = 10_000;

/**
 * Does what `runc start` does: runc's init, all set up, blocks in opening `exec.fifo` for writing; a reader lets it go on, it
 * writes one byte and calls execve. Then the fifo is removed, which is how runc tells a running container from a created one.
 * Saves the 4 ms that one more Go process takes.
 *
 * @param ended aborted when the container has ended
 * @throws SandboxError SANDBOX_START, SANDBOX_TIMEOUT
 * @source runc 1.1, libcontainer/container_linux.go, `exec` and `handleFifoResult`; libcontainer/standard_init_linux.go
 */
export async function openExecFifo(runtimeRoot: string, id: string, ended: AbortSignal): Promise<void> {
  const path = join(runtimeRoot, id, 'exec.fifo');
  let descriptor: number;
  try {
    // Without O_NONBLOCK the open would wait for ever for an init that has died.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new SandboxError('SANDBOX_START', `container ${id} is not waiting to be started`, {
      cause,
      hint: 'A sandbox starts once; make a new one.',
    });
  }
  await readByte(descriptor, ended);
  rmSync(path, { force: true });
}

function readByte(descriptor: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const reader = new Socket({ fd: descriptor, readable: true, writable: false });
    const fail = (code: 'SANDBOX_START' | 'SANDBOX_TIMEOUT', why: string): void => {
      reader.destroy();
      reject(new SandboxError(code, `the container did not start: ${why}`, { hint: 'Its log may say more.' }));
    };
    const succeed = (): void => {
      reader.destroy();
      resolve();
    };
    // A short program may have ended, and its end be told, before the byte that it began with.
    const onEnded = (): void =>
      holdsByte(descriptor) ? succeed() : fail('SANDBOX_START', 'its first process ended before it could');
    const timer = setTimeout(
      () => fail('SANDBOX_TIMEOUT', `no sign of it in ${START_TIMEOUT_MS} ms`),
      START_TIMEOUT_MS,
    );
    if (ended.aborted) onEnded();
    ended.addEventListener('abort', onEnded, { once: true });
    reader.once('data', succeed);
    reader.once('end', () => fail('SANDBOX_START', 'its first process broke off'));
    reader.once('error', (error) => fail('SANDBOX_START', error.message));
    reader.once('close', () => {
      clearTimeout(timer);
      ended.removeEventListener('abort', onEnded);
    });
  });
}

function holdsByte(descriptor: number): boolean {
  try {
    return readSync(descriptor, Buffer.alloc(1), 0, 1, null) === 1;
  } catch {
    // EAGAIN: it is open at the other end and nothing was written.
    return false;
  }
}
