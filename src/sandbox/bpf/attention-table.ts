// Which calls are more than counted: one byte for each call number, read by the programs in the kernel.
import { type CallArchitecture, reachingCalls, syscallNumbers, UNKNOWN_CALL } from '../../behaviour/index.ts';
import { attention } from './sensor-layout.ts';

/** Changes of who a process is, and what it lets in: honest daemons make them, so they are for detailed logs. */
const DETAILED_CALLS = [
  'listen',
  'setuid',
  'setgid',
  'setreuid',
  'setregid',
  'setresuid',
  'setresgid',
  'setgroups',
  'capset',
];
const PATH_FIRST = ['umount2', 'pivot_root', 'chroot', 'memfd_create', 'fsopen', 'delete_module', 'add_key'];
const PATH_SECOND = ['mount', 'open_tree', 'move_mount', 'mount_setattr', 'execveat'];
const FORKS = ['clone', 'fork', 'vfork', 'clone3'];

/** What is done about each call, by number; the last place is for calls of the other word size. */
export function attentionTable(architecture: CallArchitecture): Uint8Array {
  const table = new Uint8Array(UNKNOWN_CALL + 2);
  const set = (names: readonly string[], what: number): void => {
    for (const number of syscallNumbers(names, architecture)) table[number] = what;
  };
  set(DETAILED_CALLS, attention.detailedCall);
  set([...reachingCalls.keys()], attention.call);
  set(PATH_FIRST, attention.callPath0);
  set(
    PATH_SECOND.filter((name) => reachingCalls.has(name)),
    attention.callPath1,
  );
  set(FORKS, attention.fork);
  set(['connect'], attention.connect);
  set(['bind'], attention.bind);
  set(['open', 'creat'], attention.open);
  set(['openat', 'openat2'], attention.openAt);
  return table;
}
