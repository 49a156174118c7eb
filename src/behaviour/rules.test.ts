import { describe, expect, it } from 'vitest';
import {
  type AuditEvent,
  behaviourSettings,
  createModel,
  judge,
  learn,
  type Model,
  syscallNumbers,
  type Window,
} from './index.ts';
import { quietWindow } from '../../test/quiet-window.ts';

const calm: Window = { ...quietWindow, syscalls: new Map([[0, 10]]) };
const grant = { pids: 100, cpu: { millicores: 500 } };

function event(kind: AuditEvent['kind'], target: string): AuditEvent {
  return { timeMs: 0, kind, comm: 'evil', pid: 42, target };
}

let known = createModel();
for (let at = 0; at < 40; at += 1) known = learn(known, { ...calm, audit: [event('exec', '/usr/sbin/nginx')] });

function broken(window: Partial<Window>, model: Model = known): string[] {
  const verdict = judge(model, { ...calm, ...window }, { active: true, grant });
  return verdict.violations.map(({ kind, severity }) => `${kind} ${severity}`);
}

function calls(name: string, count: number): Window['syscalls'] {
  return new Map(syscallNumbers([name], 'x64').map((number) => [number, count]));
}

const places = (count: number, next: (n: number) => string): string[] =>
  Array.from({ length: count }, (_, n) => next(n));

describe('the rules', () => {
  it.each<[string, Partial<Window>, string[]]>([
    ['credentials that were read', { audit: [event('open', '…/etc/shadow')] }, ['credential-access high']],
    ['a key that was read', { audit: [event('open', '…/.ssh/id_ed25519')] }, ['credential-access high']],
    [
      'credentials that were refused',
      { audit: [event('open', '/etc/shadow (refused)')] },
      ['credential-access medium'],
    ],
    ['a file that leads to the host', { audit: [event('open', '…/kernel/core_pattern')] }, ['escape-attempt critical']],
    ['the memory of a process', { audit: [event('open', '…/1/mem')] }, ['escape-attempt medium']],
    ['a call that reaches out, by its count', { syscalls: calls('ptrace', 3) }, ['escape-attempt high']],
    ['a call that reaches out, by its event', { audit: [event('call', 'setns')] }, ['escape-attempt high']],
    ['a kernel module', { syscalls: calls('finit_module', 1) }, ['escape-attempt critical']],
    ['an engine’s socket', { audit: [event('connect', 'unix:/var/run/docker.sock')] }, ['engine-socket critical']],
    ['many destinations', { newDestinations: places(64, (n) => `10.0.0.${n}:80/tcp`) }, ['port-scan high']],
    ['many ports of one host', { newDestinations: places(16, (n) => `10.0.0.1:${n}/tcp`) }, ['port-scan high']],
    [
      'connections to many ports',
      { audit: places(16, (n) => `127.0.0.1:${n}`).map((to) => event('connect', to)) },
      ['port-scan high'],
    ],
    ['processes that multiply at the limit', { pids: 90, syscalls: calls('clone', 20) }, ['fork-bomb high']],
    ['a full process table that nobody sees into', { pids: 100, syscalls: new Map() }, ['fork-bomb high']],
    ['a shell where none ever was', { audit: [event('exec', '/bin/sh')] }, ['unexpected-shell medium']],
    [
      'a shell that connects itself',
      { audit: [{ ...event('connect', '10.1.1.1:4444'), comm: 'bash' }] },
      ['reverse-shell high'],
    ],
    ['a program in memory alone', { audit: [event('exec', '/proc/self/fd/7')] }, ['fileless-program high']],
    ['a program that was dropped', { audit: [event('exec', '/dev/shm/.x')] }, ['dropped-program medium']],
    ['a program that was written', { audit: [event('open', '/usr/local/bin/ls')] }, ['program-write high']],
    ['a refused write of one', { audit: [event('open', '…/sbin/init (refused)')] }, ['program-write medium']],
    ['a list of what all load', { audit: [event('open', '…/etc/ld.so.preload')] }, ['program-write high']],
    ['all CPU and no calls', { cpuMs: 450, syscalls: new Map([[0, 40]]) }, ['mining low']],
  ])('name %s', (_what, window, expected) => {
    expect(broken(window)).toEqual(expected);
  });

  it.each<[string, Partial<Window>, Model?]>([
    ['a program that it knows', { audit: [event('exec', '/usr/sbin/nginx')] }],
    ['a shell before anything was learnt', { audit: [event('exec', '/bin/sh')] }, createModel()],
    [
      'a call that honest programs make',
      { syscalls: calls('io_uring_setup', 1), audit: [event('call', 'io_uring_setup')] },
    ],
    ['a shell that speaks to its own host', { audit: [{ ...event('connect', 'unix:/run/x.sock'), comm: 'sh' }] }],
    [
      'a shell that connects where the code goes',
      { audit: [{ ...event('connect', '10.0.0.9:5432'), comm: 'sh' }] },
      learn(known, { ...calm, newDestinations: ['10.0.0.9:5432/tcp'] }),
    ],
    [
      'one more program that a build has made',
      { audit: [event('exec', '/tmp/conftest2')] },
      learn(known, { ...calm, audit: [event('exec', '/tmp/conftest1')] }),
    ],
    ['a program below a folder like memory', { audit: [event('exec', '/srv/memfd:x')] }],
    ['a socket of its own', { audit: [event('connect', 'unix:/run/mydocker.sock')] }],
    ['one destination less than a scan', { newDestinations: places(63, (n) => `10.0.0.${n}:80/tcp`) }],
    ['one port less than a scan', { newDestinations: places(15, (n) => `10.0.0.1:${n}/tcp`) }],
    ['many processes that stay', { pids: 99, syscalls: calls('clone', 2) }],
    ['processes that start below the limit', { pids: 89, syscalls: calls('clone', 500) }],
    ['CPU with calls', { cpuMs: 450, syscalls: new Map([[0, 46]]) }],
    ['CPU below the grant', { cpuMs: 449, syscalls: new Map([[0, 1]]) }],
  ])('accept %s', (_what, window, model) => {
    expect(broken(window, model)).toEqual([]);
  });

  it('see a scan in a tenth of a second', () => {
    expect(broken({ durationMs: 100, newDestinations: places(16, (n) => `10.0.0.${n}:80/tcp`) })).toEqual([
      'port-scan high',
    ]);
  });

  it('put the gravest first, and name each file once', () => {
    const audit = [
      event('open', '…/1/mem'),
      event('open', '…/etc/shadow'),
      event('open', '…/etc/shadow'),
      event('call', 'bpf'),
    ];
    expect(broken({ audit, syscalls: calls('kexec_load', 1) })).toEqual([
      'escape-attempt critical',
      'credential-access high',
      'escape-attempt high',
      'escape-attempt medium',
    ]);
  });

  it('say who did what', () => {
    const audit = [event('call', 'ptrace')];
    const { violations } = judge(known, { ...calm, audit, syscalls: calls('ptrace', 3) }, { active: true, grant });
    expect(violations[0]?.reason).toBe("'evil' called ptrace 3 times, which reaches out of a sandbox");
  });

  it('let a workload open what its settings allow', () => {
    const settings = { ...behaviourSettings, allowedFiles: ['etc/shadow'] };
    const audit = [event('open', '…/etc/shadow'), event('open', '…/.ssh/id_rsa')];
    const { violations } = judge(known, { ...calm, audit }, { active: true, grant, settings });
    expect(violations.map(({ reason }) => reason)).toEqual(["'evil' opened credentials: …/.ssh/id_rsa"]);
  });

  it('ask nothing about limits that are not known', () => {
    const window = { ...calm, pids: 10_000, cpuMs: 1e6, syscalls: calls('clone', 500) };
    expect(judge(known, window, { active: true, grant: null }).violations).toEqual([]);
  });
});
