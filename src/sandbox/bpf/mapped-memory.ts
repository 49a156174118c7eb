// Memory of the kernel's maps, seen from here: mmap(2) through koffi, and views on it that end before the memory does.
import koffi from 'koffi';
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import type { Descriptor } from './kernel.ts';

const PROTECTION_READ = 1;
const PROTECTION_WRITE = 2;
const SHARED = 1;

const libc = koffi.load(null);
const mmap = libc.func(
  'void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, int64_t offset)',
);
const munmap = libc.func('int munmap(void *address, size_t bytes)');
const getpagesize = libc.func('int getpagesize()');
/** What mmap(2) returns instead of an address. */
const FAILED = 2n ** 64n - 1n;

/** A piece of shared memory. Nobody may touch `memory` after it is disposed of: the process would end. */
export interface MappedMemory extends Disposable {
  readonly memory: ArrayBuffer;
}

/** Bytes of a page of this host. */
export function pageBytes(): number {
  return Number(getpagesize());
}

/**
 * Maps `bytes` of a map from `offset`, a multiple of the page size.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function mapMemory(
  map: Descriptor,
  options: { readonly bytes: number; readonly offset?: number; readonly isWritable: boolean },
): MappedMemory {
  const { bytes, offset = 0, isWritable } = options;
  const protection = isWritable ? PROTECTION_READ | PROTECTION_WRITE : PROTECTION_READ;
  const address: unknown = mmap(null, bytes, protection, SHARED, map.number, offset);
  if (address === null || koffi.address(address) === FAILED) {
    throw new SandboxError('SANDBOX_SENSOR', `the memory of the sensor cannot be mapped: errno ${koffi.errno()}`, {
      exit: exitStatus.unavailable,
      hint: 'Run on a kernel of 5.8 or later, with memory to spare.',
      details: { bytes },
    });
  }
  let isMapped = true;
  return {
    memory: koffi.view(address, bytes),
    [Symbol.dispose]: () => {
      if (isMapped) munmap(address, bytes);
      isMapped = false;
    },
  };
}
