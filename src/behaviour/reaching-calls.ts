// System calls that reach for more than a sandbox has, and how grave it is to try one.
import type { Severity } from '../trust/index.ts';

/**
 * Calls that the sensor reports one by one, attempts that were refused included. `null`: worth a line in the audit log,
 * but honest programs make them (Node tries io_uring, many daemons chroot themselves).
 */
export const reachingCalls: ReadonlyMap<string, Severity | null> = new Map<string, Severity | null>([
  ['init_module', 'critical'],
  ['finit_module', 'critical'],
  ['delete_module', 'critical'],
  ['kexec_load', 'critical'],
  ['kexec_file_load', 'critical'],
  ['open_by_handle_at', 'critical'],
  ['iopl', 'critical'],
  ['ioperm', 'critical'],
  ['ptrace', 'high'],
  ['process_vm_readv', 'high'],
  ['process_vm_writev', 'high'],
  ['setns', 'high'],
  ['mount', 'high'],
  ['umount2', 'high'],
  ['pivot_root', 'high'],
  ['open_tree', 'high'],
  ['move_mount', 'high'],
  ['fsopen', 'high'],
  ['fsmount', 'high'],
  ['mount_setattr', 'high'],
  ['bpf', 'high'],
  ['unshare', 'medium'],
  ['perf_event_open', 'medium'],
  ['userfaultfd', 'medium'],
  ['add_key', null],
  ['chroot', null],
  ['io_uring_setup', null],
  ['keyctl', null],
  ['memfd_create', null],
]);
