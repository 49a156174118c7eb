// Loop devices: a block device over an image file, that the kernel takes away when nothing uses it any more.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { errnoOf, exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { type Kernel, kernelErrnoOf } from '../kernel/syscall.ts';

// Requests of ioctl(2), from <linux/loop.h>.
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_config: image descriptor, block size, struct loop_info64 (flags at its byte 52), reserved. */
const LOOP_CONFIG_BYTES = 304;
const BLOCK_SIZE_OFFSET = 4;
const FLAGS_OFFSET = 8 + 52;

/** Of /sys/block/<device>/stat. Source: Documentation/block/stat.rst. */
const SECTORS_WRITTEN_FIELD = 6;
const SECTOR_BYTES = 512;
const STAT_BYTES_MAX = 512;

/** Others may take the free device between question and use. */
const ATTEMPTS_MAX = 32;

/** An open loop device. Once it is mounted, closing leaves it to the mount; else closing gives it back. */
export interface LoopDevice extends Disposable {
  readonly path: string;
}

/**
 * Attaches an image file to a free loop device. Needs Linux 5.8.
 *
 * @throws SandboxError SANDBOX_MOUNT
 */
export function attachLoop(kernel: Kernel, imagePath: string, blockBytes: number): LoopDevice {
  const control = opened('/dev/loop-control');
  const image = openSync(imagePath, 'r+');
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const path = `/dev/loop${kernel.ioctl(control, LOOP_CTL_GET_FREE, 0)}`;
      const device = opened(path);
      if (canConfigure(kernel, device, { image, blockBytes })) {
        return { path, [Symbol.dispose]: () => closeSync(device) };
      }
      closeSync(device);
    }
  } finally {
    closeSync(image);
    closeSync(control);
  }
  throw noLoop(`others took the free device ${ATTEMPTS_MAX} times`);
}

/** Name of the loop device over an image file; null when there is none. */
export function loopDeviceOf(imagePath: string): string | null {
  const names = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  return names.find((name) => backingFileOf(name) === imagePath) ?? null;
}

/** Counts the bytes written to a loop device from now on; the device's own count began before it was ours. */
export function openWriteCounter(device: string): { bytes(): number } & Disposable {
  const descriptor = openSync(`/sys/block/${device}/stat`, 'r');
  const buffer = Buffer.alloc(STAT_BYTES_MAX);
  const read = (): number => {
    const text = buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
    return Number(text.trim().split(/\s+/)[SECTORS_WRITTEN_FIELD]) * SECTOR_BYTES;
  };
  const before = read();
  return { bytes: () => read() - before, [Symbol.dispose]: () => closeSync(descriptor) };
}

function backingFileOf(device: string): string {
  try {
    return readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trimEnd();
  } catch (error) {
    // A device that is not attached has no such file; one that was detached just now gives ENXIO.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENXIO') return '';
    throw noLoop(`${device} cannot be read`, error);
  }
}

/** False when somebody else took the device first. */
function canConfigure(kernel: Kernel, device: number, backing: { image: number; blockBytes: number }): boolean {
  const config = Buffer.alloc(LOOP_CONFIG_BYTES);
  config.writeUInt32LE(backing.image, 0);
  config.writeUInt32LE(backing.blockBytes, BLOCK_SIZE_OFFSET);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR, FLAGS_OFFSET);
  try {
    kernel.ioctlBuffer(device, LOOP_CONFIGURE, config);
    return true;
  } catch (error) {
    if (kernelErrnoOf(error) === 'EBUSY') return false;
    closeSync(device);
    throw error;
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (cause) {
    throw noLoop(`${path} cannot be opened`, cause);
  }
}

function noLoop(why: string, cause?: unknown): SandboxError {
  return new SandboxError('SANDBOX_MOUNT', `no loop device for a writable layer: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'run as root of the host, with the module loop loaded: modprobe loop',
    cause,
  });
}
