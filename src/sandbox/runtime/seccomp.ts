// The seccomp filter of each launch profile, as the OCI runtime specification writes one: what is not listed is refused.
import type { LaunchProfileName } from '../driver.ts';

/** One condition on a system call's argument. */
export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ';
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

/** The `linux.seccomp` object of an OCI configuration. */
export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

const EPERM = 1;
const ENOSYS = 38;

/**
 * 64-bit entry points only. The 32-bit ones would bring `socketcall`, whose arguments lie in memory where no filter sees them,
 * and with it every address family that is closed below.
 */
const ARCHITECTURES = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'];

const FILES = `access cachestat chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
  fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch
  inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr listxattrat llistxattr
  lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64
  pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile
  setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink
  unlinkat utime utimensat utimes vmsplice write writev`;

const WAITING = `epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
  eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit pipe pipe2 poll ppoll pselect6 select signalfd
  signalfd4 timerfd_create timerfd_gettime timerfd_settime`;

const SOCKETS = `accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
  sendto setsockopt shutdown`;

const MEMORY = `brk madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap
  mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect`;

const PROCESSES = `arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid getpgrp
  getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self pause pidfd_open pidfd_send_signal prctl prlimit64
  restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
  sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
  set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid
  setreuid setrlimit setsid setuid sigaltstack tgkill tkill vfork wait4 waitid get_robust_list`;

const TIME_AND_SYSTEM = `alarm clock_getres clock_gettime clock_nanosleep getitimer getrandom gettimeofday nanosleep setitimer sysinfo time
  timer_create timer_delete timer_getoverrun timer_gettime timer_settime times uname`;

const LOCKS_AND_QUEUES = `futex futex_requeue futex_wait futex_waitv futex_wake mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
  mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget`;

const STANDARD = [FILES, WAITING, SOCKETS, MEMORY, PROCESSES, TIME_AND_SYSTEM, LOCKS_AND_QUEUES].flatMap((group) =>
  group.split(/\s+/),
);

/**
 * What the strict profile takes from the standard one: the kernel's own asynchronous I/O, System V and POSIX queues, pinned
 * memory, real-time scheduling, and ways to run code that no file system shows.
 */
const STRICT_REFUSES: ReadonlySet<string> = new Set(
  `io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit msgctl msgget msgrcv msgsnd mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedsend mq_unlink mlock mlock2 mlockall vmsplice tee sched_setattr sched_setparam sched_setscheduler
  ioprio_set execveat memfd_create pkey_alloc pkey_free pkey_mprotect`.split(/\s+/),
);

/** Newer calls whose callers fall back to an older one, but only when the kernel says that it has never heard of them. */
const UNKNOWN_TO_US = ['clone3', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'];

/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET of <linux/sched.h>. */
export const CLONE_NAMESPACE_FLAGS = 0x7e020000;

// Address families of <linux/socket.h>. AF_ALG, AF_PACKET, AF_VSOCK, AF_XDP, AF_BLUETOOTH and all others stay closed.
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
/** The only netlink protocol: libc asks it for interfaces and addresses. */
const NETLINK_ROUTE = 0;

/** Execution domains that programs ask for: Linux, with 32-bit uname, and "tell me the present one". As in Docker's profile. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** The filter of a launch profile; for every architecture that is built for. */
export function seccompProfile(profile: LaunchProfileName): SeccompProfile {
  const names = STANDARD.filter((name) => profile === 'standard' || !STRICT_REFUSES.has(name));
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES,
    syscalls: [
      { names: names.toSorted(), action: 'SCMP_ACT_ALLOW' },
      allowWhen('clone', [{ index: 0, value: CLONE_NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]),
      ...[AF_UNIX, AF_INET, AF_INET6].map((family) => allowWhen('socket', [equal(0, family)])),
      allowWhen('socket', [equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)]),
      allowWhen('socketpair', [equal(0, AF_UNIX)]),
      ...PERSONALITIES.map((domain) => allowWhen('personality', [equal(0, domain)])),
      { names: UNKNOWN_TO_US, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  };
}

function allowWhen(name: string, args: readonly SeccompArgument[]): SeccompRule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args };
}

function equal(index: number, value: number): SeccompArgument {
  return { index, value, op: 'SCMP_CMP_EQ' };
}
