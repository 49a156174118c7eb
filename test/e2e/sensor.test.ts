// The sensor on a real kernel: it counts right, sees what matters, says what it misses, and never outlives its process.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSensor, type Sensor, sensorFinding, type SensorReading } from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import { childrenOf, gather, Group, isGone, number, until } from '../sensor-group.ts';

const PROJECT = join(import.meta.dirname, '../..');

/** What every sensor promises, whichever program counts. */
describe.skipIf(needs('root', 'bpftrace')).each(['bpf', 'bpftrace'] as const)(
  'the sensor by %s, as root',
  (program) => {
    let sensor: Sensor;
    const groups: Group[] = [];
    const makeGroup = (): Group => {
      const group = new Group();
      groups.push(group);
      return group;
    };

    beforeAll(async () => {
      sensor = await openSensor({ program });
      await sensor.ready;
      expect(sensor.limitation).toBeNull();
      expect(sensor.kind).toBe(program);
    });

    afterAll(async () => {
      await sensor[Symbol.asyncDispose]();
    });

    afterEach(() => {
      for (const group of groups.splice(0)) {
        sensor.unwatch(group.id);
        group.remove();
      }
    });

    it('counts the calls of a watched group within 1 % of what was made, and of that group alone', async () => {
      const [group, other] = [makeGroup(), makeGroup()];
      sensor.watch(group.id, 'standard');
      group.run('dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=100000');
      other.run('dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=50000');
      const readings = sensor.read();
      expect([...readings.keys()]).toEqual([group.id]);
      const { syscalls, kept } = readings.get(group.id) ?? { syscalls: new Map<number, number>(), kept: 0 };
      for (const call of ['read', 'write']) {
        const count = syscalls.get(number(call)) ?? 0;
        expect(count, call).toBeGreaterThanOrEqual(100_000);
        expect(count, call).toBeLessThanOrEqual(101_000);
      }
      expect(kept).toBeGreaterThan(0.99);
      expect(sensor.read().get(group.id)?.syscalls).toEqual(new Map());
    });

    it('forgets a group that it no longer watches', () => {
      const group = makeGroup();
      sensor.watch(group.id, 'standard');
      group.run('dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=1000');
      sensor.unwatch(group.id);
      expect(sensor.read().size).toBe(0);
      group.run('true');
      sensor.watch(group.id, 'standard');
      expect(sensor.read().get(group.id)?.syscalls).toEqual(new Map());
    });

    it('sees a watched file by what was opened, whatever it was called, and an attempt that was refused', async () => {
      const group = makeGroup();
      sensor.watch(group.id, 'standard');
      group.run('cat', '../etc/./shadow');
      group.run('setpriv', '--reuid', '65534', '--clear-groups', 'cat', 'shadow', '/etc/shadow');
      const opens = (all: SensorReading): string[] =>
        all.audit.filter(({ kind, comm }) => kind === 'open' && comm === 'cat').map(({ target }) => target);
      const seen = await gather(sensor, group.id, (all) => opens(all).length >= 2);
      expect(opens(seen)).toEqual(['…/etc/shadow', '/etc/shadow (refused)']);
      expect(seen.audit.filter(({ kind }) => kind === 'exec').map(({ target }) => target.replace(/.*\//, ''))).toEqual([
        'cat',
        'setpriv',
        'cat',
      ]);
    });

    it('sees calls that reach out, with who made them', async () => {
      const group = makeGroup();
      sensor.watch(group.id, 'standard');
      group.run('unshare', '--uts', 'true');
      const seen = await gather(sensor, group.id, ({ audit }) => audit.some(({ kind }) => kind === 'call'));
      expect(seen.audit.find(({ kind }) => kind === 'call')).toMatchObject({ comm: 'unshare', target: 'unshare' });
      expect(seen.syscalls.get(number('unshare'))).toBe(1);
    });

    it('sees a call that seccomp refused, which never began', async () => {
      const group = makeGroup();
      sensor.watch(group.id, 'standard');
      group.run(process.execPath, join(import.meta.dirname, 'refused-call.ts'), `${number('unshare')}`);
      const seen = await gather(sensor, group.id, ({ audit }) => audit.some(({ kind }) => kind === 'call'));
      expect(seen.audit.filter(({ target }) => target === 'unshare')).toHaveLength(1);
      expect(seen.syscalls.get(number('unshare'))).toBe(1);
    });

    it('sees connections and ports with detailed logging, and only then', async () => {
      const group = makeGroup();
      const dial = `const net = require('node:net');
      net.createServer().listen(0, '127.0.0.1', function () { this.close(); });
      net.connect(9, '127.0.0.1').on('error', () => net.connect(9, '::1').on('error', () => {}));`;
      sensor.watch(group.id, 'standard');
      group.run(process.execPath, '-e', dial);
      sensor.watch(group.id, 'detailed');
      group.run(process.execPath, '-e', dial);
      const targets = (all: SensorReading, kind: string): string[] =>
        all.audit.filter((event) => event.kind === kind).map(({ target }) => target);
      const seen = await gather(sensor, group.id, (all) => targets(all, 'connect').length >= 2);
      expect(targets(seen, 'connect')).toEqual(['127.0.0.1:9', '[::1]:9']);
      expect(targets(seen, 'bind')).toEqual(['127.0.0.1:0']);
    });

    it('says so when one group makes more events than it may', async () => {
      const group = makeGroup();
      sensor.watch(group.id, 'standard');
      group.run('sh', '-c', 'i=0; while [ $i -lt 3000 ]; do (: < shadow); i=$((i + 1)); done');
      const seen = await gather(sensor, group.id, ({ audit }) => audit.length > 100);
      expect(seen.kept).toBeLessThan(0.9);
    });

    it('is fit, says the doctor', async () => {
      expect(await sensorFinding({ program })).toMatchObject({ name: 'sensor', status: 'ok', fix: null });
    });
  },
);

describe.skipIf(needs('root', 'bpftrace'))('a sensor by bpftrace, as root', () => {
  let child: ChildProcess | null = null;

  afterEach(() => {
    child?.kill('SIGKILL');
  });

  it('starts anew when bpftrace is killed, and the gap shows', async () => {
    await using sensor = await openSensor({ program: 'bpftrace' });
    await sensor.ready;
    using stack = new DisposableStack();
    const group = new Group();
    stack.defer(() => group.remove());
    sensor.watch(group.id, 'standard');
    const before = childrenOf(process.pid, 'bpftrace');
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until('the loss is noticed', () => sensor.limitation !== null);
    expect(sensor.limitation).toContain('SIGKILL');
    await until('it sees again', () => sensor.limitation === null);
    expect(sensor.kind).toBe('bpftrace');
    const { kept, syscalls } = sensor.read().get(group.id) ?? { kept: 1, syscalls: new Map() };
    expect(kept).toBeLessThan(0.9);
    expect(syscalls).toEqual(new Map());
    group.run('dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=1000');
    expect(sensor.read().get(group.id)?.syscalls.get(number('write'))).toBeGreaterThanOrEqual(1000);
    expect(before).toHaveLength(1);
  });

  it('leaves no bpftrace and no tracefs behind when it is killed', async () => {
    const tracefs = (): string[] =>
      readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .filter((line) => line.includes(' tracefs '));
    const mounts = tracefs();
    const program = `import { openSensor } from './src/sandbox/index.ts';
      const sensor = await openSensor({ program: 'bpftrace' });
      await sensor.ready;
      process.stdout.write(String(sensor.limitation));`;
    const started = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: PROJECT });
    child = started;
    const said = Promise.withResolvers<string>();
    started.stdout.once('data', (text: Buffer) => said.resolve(text.toString()));
    started.once('exit', () => said.resolve('it ended'));
    expect(await said.promise).toBe('null');
    const sensors = childrenOf(started.pid ?? 0, 'bpftrace');
    expect(sensors).toHaveLength(1);
    started.kill('SIGKILL');
    await until('bpftrace is gone', () => sensors.every(isGone));
    expect(tracefs()).toEqual(mounts);
  });
});

describe('a host without bpftrace', () => {
  it('has a sensor that says so, and keeps nothing', async () => {
    await using sensor = await openSensor({ program: 'bpftrace', bpftracePath: '/nonexistent/bpftrace' });
    await sensor.ready;
    expect(sensor.kind).toBe('none');
    expect(sensor.limitation).toMatch(/not found.*only cgroup and network figures are seen/);
    sensor.watch(1n, 'detailed');
    expect(sensor.read()).toEqual(new Map([[1n, { syscalls: new Map(), audit: [], kept: 0 }]]));
    sensor.unwatch(1n);
    expect(sensor.read().size).toBe(0);
  });

  it('is told by the doctor what to install', async () => {
    const finding = await sensorFinding({ program: 'bpftrace', bpftracePath: '/bin/false' });
    expect(finding.status).toBe('weak');
    expect(finding.fix).toContain('bpftrace');
  });
});
