// A netlink socket inside a workload's network namespace: the thread enters, opens it, and is back in the same tick.
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

import { exitStatus, messageOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { netlinkFamily, type NetlinkSocket, openNetlink } from './netlink.ts';

const CLONE_NEWNET = 0x40000000;
const setns = koffi.load('libc.so.6').func('int setns(int, int)');

/**
 * Opens an rtnetlink socket in the network namespace of process `pid`. A socket stays bound to the namespace that it was made in, so
 * the thread needs to be there for this one call only; no other JavaScript runs in between.
 *
 * @throws SandboxError SANDBOX_GONE when the process has ended, SANDBOX_NETWORK when the kernel refuses
 */
export function openNetlinkOf(pid: number): NetlinkSocket {
  const own = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const theirs = openNamespace(pid);
    try {
      if ((setns(theirs, CLONE_NEWNET) as number) !== 0) throw refused(pid, `setns failed with errno ${koffi.errno()}`);
      try {
        return openNetlink(netlinkFamily.route);
      } finally {
        // Left behind in a workload's namespace, this process would take the workload's network for the host's.
        if ((setns(own, CLONE_NEWNET) as number) !== 0) process.abort();
      }
    } finally {
      closeSync(theirs);
    }
  } finally {
    closeSync(own);
  }
}

function openNamespace(pid: number): number {
  try {
    return openSync(`/proc/${pid}/ns/net`, 'r');
  } catch (error) {
    throw new SandboxError(
      'SANDBOX_GONE',
      `process ${pid}, whose network was to be set up, has ended: ${messageOf(error)}`,
      {
        cause: error,
        hint: 'See the log of the workload for why it ended.',
      },
    );
  }
}

function refused(pid: number, why: string): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `cannot enter the network namespace of process ${pid}: ${why}`, {
    exit: exitStatus.notAuthorised,
    hint: 'Run as root with CAP_SYS_ADMIN and CAP_NET_ADMIN.',
  });
}
