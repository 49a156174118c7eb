import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import type { LaunchProfileName } from '../driver.ts';
import { CLONE_NAMESPACE_FLAGS, seccompProfile } from './seccomp.ts';

interface DockerRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly unknown[] | null;
  readonly includes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
  readonly excludes?: object;
}

/** What Docker's default profile allows without a capability. */
function dockerAllowed(): readonly DockerRule[] {
  const text = readFileSync(join(VECTORS_FOLDER, 'moby-seccomp/seccomp/default.json'), 'utf8');
  const { syscalls } = JSON.parse(text) as { syscalls: DockerRule[] };
  return syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.includes?.caps === undefined);
}

/** Entry points of 32-bit and of other architectures: they do not exist behind the two that the filter opens. */
const FOREIGN =
  /32$|64_64$|_time64$|^(_llseek|_newselect|mmap2|(f|l)?stat64|fstatat64|(f)?truncate64|fcntl64|sendfile64|clock_adjtime64|clock_gettime64|timer_[gs]ettime64|(f)?statfs64|timerfd_[gs]ettime64|ipc|recv|send|socketcall|sigprocmask|sigreturn|ugetrlimit|waitpid|riscv_.*|s390_.*|arm_.*|sync_file_range2|swapcontext|breakpoint|cacheflush|set_tls)$/;

describe.skipIf(needs('vectors'))('the filter, beside that of Docker', () => {
  it.each(['standard', 'strict'] as const)('allows in %s nothing that Docker refuses', (profile) => {
    const known = new Set(dockerAllowed().flatMap((rule) => rule.names));
    known.add('clone');
    expect([...allowedNames(profile)].filter((name) => !known.has(name))).toEqual([]);
  });

  it('refuses in standard, of what Docker allows on 64 bits, exactly this', () => {
    const allowed = allowedNames('standard');
    const refused = dockerAllowed()
      .flatMap((rule) => rule.names)
      .filter((name) => !allowed.has(name) && !FOREIGN.test(name));
    expect([...new Set(refused)].toSorted()).toEqual([
      'adjtimex',
      'clock_adjtime',
      'fanotify_mark',
      'get_thread_area',
      'listmount',
      'memfd_secret',
      'modify_ldt',
      'name_to_handle_at',
      'process_mrelease',
      'process_vm_readv',
      'process_vm_writev',
      'ptrace',
      'remap_file_pages',
      'set_thread_area',
      'statmount',
      'uretprobe',
    ]);
  });
});

describe('seccompProfile', () => {
  it('takes from strict what standard still has', () => {
    const strict = allowedNames('strict');
    const taken = [...allowedNames('standard')].filter((name) => !strict.has(name));
    expect(taken).toContain('io_setup');
    expect(taken).toContain('memfd_create');
    expect(taken.length).toBe(30);
    expect([...strict].filter((name) => !allowedNames('standard').has(name))).toEqual([]);
  });

  it.each(['standard', 'strict'] as const)('opens sockets in %s for four families only', (profile) => {
    const families = rulesOf(profile, 'socket').map((rule) => rule.args?.find(({ index }) => index === 0)?.value);
    expect(families).toEqual([1, 2, 10, 16]);
    expect(rulesOf(profile, 'socketpair').map((rule) => rule.args?.[0]?.value)).toEqual([1]);
  });

  it('lets clone make a thread and no namespace', () => {
    expect(rulesOf('standard', 'clone')).toEqual([
      {
        names: ['clone'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: CLONE_NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
    ]);
    expect(rulesOf('standard', 'clone3').map((rule) => rule.errnoRet)).toEqual([38]);
  });

  it('refuses what is not listed', () => {
    expect(seccompProfile('strict')).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 });
  });
});

function allowedNames(profile: LaunchProfileName): Set<string> {
  const rules = seccompProfile(profile).syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW');
  return new Set(rules.flatMap((rule) => rule.names));
}

function rulesOf(profile: LaunchProfileName, name: string): ReturnType<typeof seccompProfile>['syscalls'] {
  return seccompProfile(profile).syscalls.filter((rule) => rule.names.includes(name));
}
