// What every driver promises, held by one suite: nothing runs before it is confined, limits are the kernel's, ends are told, nothing is left.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/index.ts';
import {
  type DriverName,
  openAttachment,
  openDrivers,
  type Sandbox,
  type SandboxRecord,
} from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import { driverOf, ID_RANGE_FIRST, openSandboxHost, ROOMY, type SandboxHost, until } from '../sandbox-fixture.ts';

/** Where drivers really differ: what the host's own view can tell of a workload behind another kernel. */
const DRIVERS: readonly { readonly name: DriverName; readonly ownKernel: boolean }[] = [
  { name: 'runc', ownKernel: false },
  { name: 'gvisor', ownKernel: true },
];

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'busybox', 'mkfs.ext4')).each(DRIVERS)(
  'driver $name',
  ({ name, ownKernel }) => {
    let host: SandboxHost;

    beforeAll(() => {
      host = openSandboxHost();
    });

    afterAll(async () => {
      await host[Symbol.asyncDispose]();
      expect(host.traces()).toEqual([]);
    });

    const sh = (script: string) => ({ argv: ['/bin/sh', '-c', script] });
    /** Runs a script to its end; what it wrote, and how it ended. */
    async function ran(
      script: string,
      part: Parameters<SandboxHost['run']>[1] = {},
      live: Parameters<SandboxHost['run']>[2] = {},
    ) {
      const sandbox = await host.run(name, { ...sh(script), ...part }, live);
      const exit = await sandbox.wait();
      return { exit, output: await host.output(sandbox), sandbox };
    }

    it('runs here', async () => {
      expect(await driverOf(host.drivers, name).probe()).toMatchObject({ ok: true });
    });

    it('lets nothing of the workload run before it is started', async () => {
      const shared = join(host.dir, `shared-${name}`);
      mkdirSync(shared);
      const mounts = [{ source: shared, target: '/shared', readOnly: false }];
      const sandbox = await host.create(name, { ...sh('echo run > /shared/ran; sleep 1000'), mounts });
      sandbox.apply(ROOMY);
      expect(readdirSync(shared)).toEqual([]);
      await sandbox.start();
      await until('it has run', () => existsSync(join(shared, 'ran')));
      // What the workload's root made there is the host's root's.
      expect(statSync(join(shared, 'ran')).uid).toBe(0);
      expect(statSync(`/proc/${sandbox.record.pid}`).uid).toBeGreaterThanOrEqual(ownKernel ? 0 : ID_RANGE_FIRST);
      await sandbox.kill();
      expect((await sandbox.wait()).signal).toBe(constants.signals.SIGKILL);
    });

    it('tells exit codes, and which stream said what', async () => {
      const { exit, output } = await ran('echo out; echo err >&2; exit 7');
      expect(exit).toMatchObject({ code: 7, signal: null, oomKilled: false });
      expect(output.split('\n').toSorted()).toEqual(['', 'err', 'out']);
    });

    it('gives environment, folder, host name and user, by name or by number', async () => {
      const { output } = await ran('echo $GREETING; pwd; hostname; id -u', {
        env: ['GREETING=hello'],
        workingDir: '/tmp',
        user: 'app',
      });
      expect(output).toBe('hello\n/tmp\nbox\n1000\n');
      expect((await ran('id -u; id -g', { user: '1000:0' })).output).toBe('1000\n0\n');
      await expect(host.create(name, { user: 'nobody-there' })).rejects.toMatchObject({
        code: 'SANDBOX_USER',
        exit: 2,
      });
    });

    it('keeps the layers as they are, and the writable layer within its grant', async () => {
      const { output } = await ran(
        'echo changed > /etc/passwd; dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null || echo full',
        { diskBytes: 16 * MIB },
      );
      expect(output).toBe('full\n');
      expect(readFileSync(join(host.layerDir, 'etc/passwd'), 'utf8')).toContain('app:x:1000');
      const images = readdirSync(join(host.dir, 'scratch')).map(
        (id) => statSync(join(host.dir, 'scratch', id, 'layer.ext4')).blocks * 512,
      );
      expect(Math.max(...images)).toBeLessThan(33 * MIB);
    });

    it('reads limits back, moves them while it runs, and holds them', async () => {
      const sandbox = await host.run(name, sh('while true; do :; done'), { cpuMillicores: 2000 });
      const small = { ...ROOMY, cpuMillicores: 200, memoryBytes: 64 * MIB, pids: 32 };
      expect(sandbox.apply(small)).toEqual({ cpuMillicores: 200, memoryBytes: 64 * MIB, pids: 32, pending: {} });
      expect(sandbox.effective()).toEqual({ cpuMillicores: 200, memoryBytes: 64 * MIB, pids: 32, pending: {} });
      const [fromUsec, fromMs] = [sandbox.stats().cpuUsec, performance.now()];
      await until('a second has gone by', () => performance.now() - fromMs > 1000);
      const cores = (sandbox.stats().cpuUsec - fromUsec) / 1000 / (performance.now() - fromMs);
      // A fifth of a core, and at most one more period of it.
      expect(cores).toBeLessThan(0.25);
      expect(cores).toBeGreaterThan(ownKernel ? 0 : 0.1);
      expect(sandbox.apply(ROOMY)).toMatchObject({
        cpuMillicores: ROOMY.cpuMillicores,
        memoryBytes: ROOMY.memoryBytes,
      });
      await sandbox.kill();
    });

    it('ends what wants more memory than it may have, and says so', async () => {
      const { exit } = await ran(
        'dd if=/dev/zero of=/dev/null bs=400M count=1',
        {},
        { memoryBytes: (ownKernel ? 160 : 48) * MIB },
      );
      expect(exit.oomKilled || exit.code !== 0).toBe(true);
      if (!ownKernel) expect(exit).toMatchObject({ oomKilled: true, signal: constants.signals.SIGKILL });
    });

    it('refuses more processes than it may have', async () => {
      const forks = 'i=0; while [ $i -lt 400 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo done';
      const { output, exit, sandbox } = await ran(forks, {}, { pids: 40 });
      expect(`${output}${exit.code}`).not.toBe('done\n0');
      expect(sandbox.record.driver).toBe(name);
    });

    it('stops everything while it is frozen, lets it go on, and ends it frozen too', async () => {
      const sandbox = await host.run(name, sh('while true; do :; done'));
      await until('it works', () => sandbox.stats().cpuUsec > 50_000);
      await sandbox.freeze();
      expect(sandbox.isFrozen()).toBe(true);
      const frozen = sandbox.stats().cpuUsec;
      const fromMs = performance.now();
      await until('a moment has gone by', () => performance.now() - fromMs > 300);
      expect(sandbox.stats().cpuUsec - frozen).toBeLessThan(5000);
      await sandbox.thaw();
      await until('it works again', () => sandbox.stats().cpuUsec > frozen + 50_000);
      await sandbox.freeze();
      await sandbox.kill();
      expect((await sandbox.wait()).signal).toBe(constants.signals.SIGKILL);
    });

    it('hands signals to the first process', async () => {
      const sandbox = await host.run(
        name,
        sh("trap 'echo caught; exit 3' TERM; echo ready; while true; do sleep 0.05; done"),
      );
      await until('it listens', async () => (await host.output(sandbox)).includes('ready'));
      sandbox.signal(constants.signals.SIGTERM);
      expect(await sandbox.wait()).toMatchObject({ code: 3 });
      expect(await host.output(sandbox)).toContain('caught');
      expect(() => sandbox.signal(constants.signals.SIGTERM)).toThrow(
        expect.objectContaining({ code: 'SANDBOX_GONE' }),
      );
    });

    it('keeps secrets in memory, for the workload’s user alone', async () => {
      const secrets = new Map([['token', Buffer.from('s3cret')]]);
      const script =
        'cat /run/secrets/token; echo; ls -ln /run/secrets/token | head -c 10; echo; grep -c "/run/secrets" /proc/mounts; touch /run/secrets/new 2>/dev/null || echo refused';
      const { output } = await ran(script, { secrets, user: 'app' });
      expect(output).toBe('s3cret\n-r--------\n1\nrefused\n');
      expect((await ran('cat /run/secrets/token', { secrets, user: '1000' })).output).toBe('s3cret');
    });

    it('shows volumes read-only or not, as it was asked', async () => {
      const source = join(host.dir, `volume-${name}`);
      mkdirSync(source);
      writeFileSync(join(source, 'in'), 'from the host\n');
      const mount = (readOnly: boolean) => ({ mounts: [{ source, target: '/volume', readOnly }] });
      expect((await ran('cat /volume/in; touch /volume/new 2>/dev/null || echo refused', mount(true))).output).toBe(
        'from the host\nrefused\n',
      );
      expect((await ran('touch /volume/new && echo made', mount(false))).output).toBe('made\n');
      expect(readdirSync(source).toSorted()).toEqual(['in', 'new']);
    });

    it('joins a client to its input and output', async () => {
      const sandbox = await host.create(name, { argv: ['/bin/cat'], stdinOpen: true });
      sandbox.apply(ROOMY);
      using attachment = openAttachment(sandbox.attachSocketPath() ?? '');
      await sandbox.start();
      await attachment.write(Buffer.from('through\n'));
      attachment.endInput();
      let text = '';
      for await (const { bytes } of attachment.output) text += bytes.toString('utf8');
      expect(text).toBe('through\n');
      expect(await sandbox.wait()).toMatchObject({ code: 0 });
      expect(() => openAttachment(join(host.dir, 'no-socket'))).toThrow(
        expect.objectContaining({ code: 'SANDBOX_GONE' }),
      );
    });

    it('gives a terminal, whose size can be changed', async () => {
      // gVisor's console has no size that busybox could ask for.
      const script = ownKernel
        ? 'test -t 0 && echo terminal'
        : 'test -t 0 && echo terminal; until [ "$(stty size)" = "33 99" ]; do sleep 0.05; done';
      const sandbox = await host.run(name, { ...sh(script), terminal: true });
      await until('it has a terminal', async () => (await host.output(sandbox)).includes('terminal'));
      if (!ownKernel) sandbox.resizeTerminal(99, 33);
      expect((await sandbox.wait()).code).toBe(0);
    });

    it('is found again by what was recorded, running or ended', async () => {
      const running = await host.run(name, sh('sleep 1000'));
      const ended = await host.run(name, sh('exit 9'));
      await ended.wait();
      const record = (sandbox: Sandbox): SandboxRecord => JSON.parse(JSON.stringify(sandbox.record)) as SandboxRecord;
      const again = driverOf(openDrivers({ homeDir: host.dir, probeFile: null }), name);
      const adopted = await again.adopt(record(running));
      expect(adopted?.effective()).toEqual(running.effective());
      await adopted?.kill();
      expect((await adopted?.wait())?.signal).toBe(constants.signals.SIGKILL);
      expect(await again.adopt(record(ended))).toBeNull();
      expect(again.lastExit(record(ended))).toMatchObject({ code: 9 });
    });

    it('says so when the program is not there, and leaves nothing of the attempt', async () => {
      const before = host.traces();
      const attempt = async (): Promise<void> => {
        const sandbox = await host.create(name, { argv: ['/bin/missing'] });
        sandbox.apply(ROOMY);
        await sandbox.start();
      };
      await expect(attempt()).rejects.toMatchObject({ code: expect.stringMatching(/^SANDBOX_(CREATE|START)$/) });
      await expect(host.create(name, { id: 'No Id' })).rejects.toMatchObject({ code: 'SANDBOX_CREATE' });
      if (!ownKernel) expect(host.traces().length).toBeLessThanOrEqual(before.length);
    });

    it('cannot be removed while it runs, and twice afterwards', async () => {
      const sandbox = await host.run(name, sh('sleep 1000'));
      await expect(sandbox.remove()).rejects.toMatchObject({ code: 'SANDBOX_CREATE' });
      await sandbox.kill();
      await sandbox.remove();
      await sandbox.remove();
      expect(host.traces().filter((trace) => trace.includes(sandbox.record.id))).toEqual([]);
    });

    it('leaves nothing of one that was never started, nor of what waited to start it', async () => {
      const sandbox = await host.create(name, sh('true'));
      expect(host.traces().some((trace) => trace.includes(sandbox.record.id))).toBe(true);
      await sandbox.kill();
      await sandbox.remove();
      const left = (): string[] => host.traces().filter((trace) => trace.includes(sandbox.record.id));
      await until('its last process has ended', () => left().length === 0);
    });

    it('keeps no descriptor and no process of what has ended', async () => {
      const open = (): number => readdirSync('/proc/self/fd').length;
      const cycle = async (): Promise<void> => {
        const { sandbox } = await ran('true');
        await sandbox.remove();
      };
      await cycle();
      const before = open();
      for (let round = 0; round < (ownKernel ? 3 : 8); round += 1) await cycle();
      // A pipe closes shortly after the process at its other end has.
      await until('what they held is closed', () => open() <= before + 2);
    });
  },
);
