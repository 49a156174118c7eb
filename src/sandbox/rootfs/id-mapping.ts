// User namespaces that only carry a mapping of ids, for mounts: one for each range of ids, kept open.
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { SandboxError } from '../driver.ts';
import type { Kernel } from '../kernel/syscall.ts';

/** Ids of one workload: those of a whole ordinary system. */
export const RANGE_SIZE = 65_536;

/** Namespaces that are kept open; one beyond them is made again when it is needed. */
const KEPT_MAX = 64;

/** Mappings of ids for mounts. Closing it leaves the mounts made with it as they are. */
export interface IdMappings extends Disposable {
  /** Descriptor of a user namespace in which id 0 is `first` on the host, and so on for 65,536 ids. */
  namespaceOf(first: number): number;
}

/** Makes namespaces when they are first asked for; about 0.2 ms each. */
export function openIdMappings(kernel: Kernel): IdMappings {
  const descriptors = new Map<number, number>();
  return {
    namespaceOf: (first) => {
      const known = descriptors.get(first);
      if (known !== undefined) return known;
      const made = makeNamespace(kernel, first);
      const [oldest] = descriptors;
      if (descriptors.size >= KEPT_MAX && oldest !== undefined) {
        descriptors.delete(oldest[0]);
        closeSync(oldest[1]);
      }
      descriptors.set(first, made);
      return made;
    },
    [Symbol.dispose]: () => {
      for (const descriptor of descriptors.values()) closeSync(descriptor);
      descriptors.clear();
    },
  };
}

/** A process that has ended still has its user namespace until it is reaped: long enough to write the mapping and open it. */
function makeNamespace(kernel: Kernel, first: number): number {
  const ended = kernel.endedChildInUserNamespace();
  try {
    const mapping = `0 ${first} ${RANGE_SIZE}`;
    writeFileSync(`/proc/${ended.pid}/uid_map`, mapping);
    writeFileSync(`/proc/${ended.pid}/gid_map`, mapping);
    return openSync(`/proc/${ended.pid}/ns/user`, 'r');
  } catch (cause) {
    throw new SandboxError('SANDBOX_MOUNT', `cannot make a mapping of ids from ${first} on`, {
      hint: 'user namespaces must be allowed: see /proc/sys/user/max_user_namespaces',
      details: { first },
      cause,
    });
  } finally {
    ended.reap();
  }
}
