// The one bpftrace program of a host: counts calls by cgroup and call number, and reports what matters with its arguments.
import { type CallArchitecture, reachingCalls, syscallNumbers, UNKNOWN_CALL } from '../../behaviour/index.ts';
import { watchedFiles, watchedProcFiles } from './watched-path.ts';

/** Audit events of one cgroup that are printed in a tenth of a second; what is beyond is counted as dropped. */
export const AUDIT_EVENTS_PER_TICK = 128;

/** What the kernel's map says of a watched cgroup. A cgroup that has no entry costs one look-up a call. */
export const watchLevel = { standard: 1n, detailed: 2n } as const;

const PROC_MAGIC = '0x9fa0';

/**
 * Writes the program. It is the same on every host of an architecture: which cgroups are watched is an entry in its map.
 *
 * Probes are attached in this order; the count comes last, so that once it counts, everything is attached.
 *
 * Printed lines have the form `kind cgroup pid result name target`, where the name is padded to 16 bytes, so that neither
 * name nor target can forge a field.
 */
export function sensorScript(architecture: CallArchitecture): string {
  const opens =
    syscallNumbers(['open'], architecture).length > 0 ? ['open', 'openat', 'openat2'] : ['openat', 'openat2'];
  const reaching = syscallNumbers([...reachingCalls.keys()], architecture);
  const isReaching = (expression: string): string => reaching.map((n) => `${expression} == ${n}`).join(' || ');
  return `
BEGIN { @watched[(uint64)0] = (uint64)0; }

/* These are counted when they return, because a call that seccomp refuses never begins. */
tracepoint:raw_syscalls:sys_exit {
  $n = (uint64)args->id;
  if ((${isReaching('$n')}) && @watched[cgroup]) {
    @calls[cgroup, $n] = count();
    ${report('call', 'args->ret', '%d', '$n')}
  }
}

tracepoint:sched:sched_process_exec / @watched[cgroup] / {
  ${report('exec', '0', '%s', 'str(args->filename)')}
}

${opens.map(openProbes).join('\n')}

tracepoint:syscalls:sys_enter_connect / @watched[cgroup] / {
  $family = ((struct sockaddr *)args->uservaddr)->sa_family;
  if ($family == 1) {
    ${report('connect', '0', 'unix:%s', 'str(uptr((uint64)args->uservaddr + 2))')}
  }
  if (@watched[cgroup] > 1 && $family == 2) {
    $in4 = (struct sockaddr_in *)args->uservaddr;
    ${report('connect', '0', '%s %d', 'ntop(2, $in4->sin_addr.s_addr), (uint16)$in4->sin_port')}
  }
  if (@watched[cgroup] > 1 && $family == 10) {
    $in6 = (struct sockaddr_in6 *)args->uservaddr;
    ${report('connect', '0', '%s %d', 'ntop(10, $in6->sin6_addr.in6_u.u6_addr8), (uint16)$in6->sin6_port')}
  }
}

tracepoint:syscalls:sys_enter_bind / @watched[cgroup] > 1 / {
  $family = ((struct sockaddr *)args->umyaddr)->sa_family;
  if ($family == 2) {
    $in4 = (struct sockaddr_in *)args->umyaddr;
    ${report('bind', '0', '%s %d', 'ntop(2, $in4->sin_addr.s_addr), (uint16)$in4->sin_port')}
  }
  if ($family == 10) {
    $in6 = (struct sockaddr_in6 *)args->umyaddr;
    ${report('bind', '0', '%s %d', 'ntop(10, $in6->sin6_addr.in6_u.u6_addr8), (uint16)$in6->sin6_port')}
  }
}

interval:ms:100 { clear(@spent); }

tracepoint:raw_syscalls:sys_enter / @watched[cgroup] / {
  $n = (uint64)args->id;
  if ($n > ${UNKNOWN_CALL}) { $n = (uint64)${UNKNOWN_CALL}; }
  if (!(${isReaching('$n')})) { @calls[cgroup, $n] = count(); }
}
`;
}

/** A refused open is reported by the name that was given, a successful one by the file that it reached. */
function openProbes(call: string): string {
  return `
tracepoint:syscalls:sys_enter_${call} / @watched[cgroup] / { @given[tid] = (uint64)args->filename; }

tracepoint:syscalls:sys_exit_${call} / @given[tid] / {
  if (args->ret == -13 || args->ret == -1) {
    ${report('refused', 'args->ret', '%s', 'str(uptr(@given[tid]))')}
  }
  delete(@given[tid]);
}

tracepoint:syscalls:sys_exit_${call} / @watched[cgroup] && args->ret >= 0 / {
  $dentry = (*(((struct task_struct *)curtask)->files->fdt->fd + args->ret))->f_path.dentry;
  $name = *(uint64 *)$dentry->d_name.name;
  $nameBytes = (uint64)$dentry->d_name.hash_len >> 32;
  $folder = *(uint64 *)$dentry->d_parent->d_name.name;
  $folderBytes = (uint64)$dentry->d_parent->d_name.hash_len >> 32;
  $magic = $dentry->d_sb->s_magic;
  if (${isWatchedFile()}) {
    ${report('open', '0', '%s/%s', 'str($dentry->d_parent->d_name.name), str($dentry->d_name.name)')}
  }
}`;
}

/** Prints one event unless its cgroup has spent what it may print in this tenth of a second. */
function report(kind: string, result: string, format: string, target: string): string {
  return `@spent[cgroup]++;
  if (@spent[cgroup] <= ${AUDIT_EVENTS_PER_TICK}) {
    printf("${kind} %lu %d %ld %-16s${format}", cgroup, pid, ${result}, comm, ${target});
  } else { @dropped[cgroup] = count(); }`;
}

/** BPF has no room on its stack for the strings, so names are compared by length and first eight bytes, as numbers. */
function isWatchedFile(): string {
  const anywhere = watchedFiles.map(([folder, name]) =>
    [folder === '' ? '' : isNamed('$folder', folder), name === '' ? '' : isNamed('$name', name)]
      .filter((part) => part !== '')
      .join(' && '),
  );
  const inProc = watchedProcFiles.map((name) => isNamed('$name', name)).join(' || ');
  return [...anywhere.map((test) => `(${test})`), `($magic == ${PROC_MAGIC} && (${inProc}))`].join('\n    || ');
}

function isNamed(variable: string, name: string): string {
  const bytes = Buffer.alloc(8);
  bytes.write(name, 'latin1');
  const value = `0x${bytes.readBigUInt64LE().toString(16)}`;
  const mask = name.length >= 8 ? '' : ` & 0x${(2n ** BigInt(8 * name.length) - 1n).toString(16)}`;
  return `${variable}Bytes == ${name.length} && (${variable}${mask}) == (uint64)${value}`;
}
