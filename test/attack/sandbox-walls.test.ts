// What code in a sandbox must not reach, whatever it tries: each attempt is judged by its effect on the host.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/index.ts';
import type { DriverName, LaunchPart } from '../../src/sandbox/index.ts';
import { makeBusyboxRoot } from '../busybox-image.ts';
import { needs } from '../needs.ts';
import { ID_RANGE_FIRST, openSandboxHost, ROOMY, type SandboxHost, until } from '../sandbox-fixture.ts';

const DRIVERS: readonly DriverName[] = ['runc', 'gvisor'];
/** A host that still works answers a fork and a file at once; a loaded one with two cores needs some slack. */
const RESPONSIVE_MS_MAX = 2000;
/** Numbers of system calls on x86-64; the tests of calls run there alone. */
const CALLS = {
  bpf: 321,
  keyctl: 250,
  io_uring_setup: 425,
  perf_event_open: 298,
  userfaultfd: 323,
  init_module: 175,
  kexec_load: 246,
  open_by_handle_at: 304,
  setns: 308,
  unshare: 272,
  mount: 165,
  ptrace: 101,
  iopl: 172,
};

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'busybox', 'mkfs.ext4')).each(DRIVERS)(
  'code under %s',
  (name) => {
    let host: SandboxHost;
    let canary: string;

    beforeAll(() => {
      host = openSandboxHost();
      canary = `/root/.provost-canary-${randomBytes(6).toString('hex')}`;
      writeFileSync(canary, 'the host\n', { mode: 0o600 });
      writeFileSync(join(host.dir, 'state'), 'the home\n', { mode: 0o644 });
    });

    afterAll(async () => {
      rmSync(canary, { force: true });
      await host[Symbol.asyncDispose]();
      expect(host.traces()).toEqual([]);
    });

    async function ran(
      script: string,
      part: Partial<LaunchPart> = {},
      live: Partial<typeof ROOMY> = {},
    ): Promise<string> {
      const sandbox = await host.run(name, { argv: ['/bin/sh', '-c', script], ...part }, live);
      await sandbox.wait();
      return host.output(sandbox);
    }

    it.each([
      ['its image', () => [host.layerDir]],
      ['the host’s own root', () => ['/']],
    ])('does not see files of the host from %s', async (_root, layerDirs) => {
      const paths = [canary, join(host.dir, 'state'), '/etc/shadow'];
      const output = await ran(paths.map((path) => `cat ${path} 2>/dev/null`).join('; '), {
        layerDirs: layerDirs(),
        launchProfile: 'strict',
      });
      expect(output.trim()).toBe('');
    });

    it('sees no process of the host', async () => {
      const output = await ran('ls /proc | grep -c "^[0-9]"', { layerDirs: ['/'] });
      expect(Number(output)).toBeLessThan(8);
    });

    it('changes nothing of the host through /proc, /sys and control groups', async () => {
      const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
      const targets = [
        '/proc/sys/kernel/core_pattern',
        '/proc/sysrq-trigger',
        '/proc/sys/vm/drop_caches',
        '/sys/kernel/mm/ksm/run',
      ];
      const output = await ran(
        `${targets.map((path) => `(echo x > ${path}) 2>/dev/null && echo wrote ${path}`).join('; ')}; ls -d /sys/fs/cgroup/*/release_agent 2>/dev/null; true`,
      );
      expect(output).not.toContain('release_agent');
      expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
      if (name === 'runc') expect(output).toBe('');
    });

    it('mounts nothing, makes no device, and gains nothing by a set-uid program', async () => {
      const script = [
        'mount -t tmpfs none /tmp 2>/dev/null && echo mounted',
        'mknod /tmp/disk b 253 0 2>/dev/null && cat /tmp/disk >/dev/null 2>&1 && echo read a disk',
        'cp /bin/busybox /tmp/su 2>/dev/null; chmod 4755 /tmp/su; id -u',
      ].join('; ');
      expect(await ran(script, { user: 'app' })).toBe('1000\n');
      expect(await ran(script)).toBe('0\n');
    });

    it('is nobody on the host', async () => {
      const sandbox = await host.run(name, { argv: ['/bin/sleep', '1000'] });
      const procs = `/sys/fs/cgroup/unified/provost/${host.homeId}/${sandbox.record.id}/cgroup.procs`;
      const owners = (): number[] => {
        const pids = readFileSync(procs, 'utf8').trim().split('\n');
        return pids.map((pid) => statSync(`/proc/${pid}`).uid);
      };
      // The monitor, which was born here to have its children born here, has left.
      await until('none of its processes is root', () => owners().every((uid) => uid !== 0));
      expect(owners().length).toBeGreaterThan(0);
      if (name === 'runc') expect(owners()).toEqual([ID_RANGE_FIRST]);
      await sandbox.kill();
    });

    it('is refused the calls that reach for the kernel', async () => {
      const calls = Object.entries(CALLS).map(
        ([call, number]) =>
          `$!=0; my $${call} = syscall(${number}, 0, 0, 0, 0, 0); print "${call}\\n" if $${call} >= 0;`,
      );
      const sockets =
        'socket(my $s, $_->[0], $_->[1], 0) and print "socket @$_\\n" for ([17, 3], [38, 5], [40, 1], [2, 3]);';
      const output = await ran(`exec perl -MSocket -e '${[...calls, sockets].join(' ')}'`, {
        layerDirs: ['/'],
        argv: ['/usr/bin/perl', '-MSocket', '-e', [...calls, sockets].join(' ')],
      });
      expect(output).toBe('');
    });

    it('writes nothing outside by links in its image', async () => {
      const outside = join(host.dir, `outside-${name}`);
      mkdirSync(outside);
      const root = makeBusyboxRoot(join(host.dir, `links-${name}`));
      const up = '../'.repeat(12);
      rmSync(join(root, 'run'), { recursive: true });
      symlinkSync(`${up}${outside}`, join(root, 'run'));
      symlinkSync(`${up}${outside}/resolv`, join(root, 'etc/resolv.conf'));
      symlinkSync(`${up}${outside}`, join(root, 'volume'));
      const volume = join(host.dir, `given-${name}`);
      mkdirSync(volume);
      const mounts = [{ source: volume, target: '/volume/in', readOnly: false }];
      const sandbox = await host
        .create(name, {
          layerDirs: [root],
          mounts,
          secrets: new Map([['token', Buffer.from('x')]]),
          argv: ['/bin/sh', '-c', 'echo x > /run/x; echo y > /volume/y'],
        })
        .catch(() => null);
      if (sandbox !== null) {
        sandbox.apply(ROOMY);
        await sandbox.start();
        await sandbox.wait();
      }
      expect(readdirSync(outside)).toEqual([]);
    });

    it.each([
      ['forks without end', 'f() { f | f & }; f; sleep 3', {}],
      ['wants all memory', 'x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done', { memoryBytes: 96 * MIB }],
      ['fills its disk', 'dd if=/dev/zero of=/full bs=1M', {}],
      ['floods its log', 'yes flood | head -c 50000000', {}],
    ])('that %s harms itself alone', async (_what, script, live) => {
      const sandbox = await host.run(
        name,
        { argv: ['/bin/sh', '-c', script], diskBytes: 16 * MIB },
        { pids: 64, cpuMillicores: 500, ...live },
      );
      const fromMs = performance.now();
      for (let round = 0; round < 5; round += 1) {
        const beganMs = performance.now();
        execFileSync('/bin/true');
        expect(performance.now() - beganMs).toBeLessThan(RESPONSIVE_MS_MAX);
      }
      await until('it has had its time', () => performance.now() - fromMs > 700);
      expect(statSync(sandbox.record.logPath).size).toBeLessThan(2 * MIB);
      await sandbox.kill();
      await sandbox.remove();
      expect(host.traces().filter((trace) => trace.includes(sandbox.record.id))).toEqual([]);
    });
  },
);
