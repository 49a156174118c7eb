// The sensor's own programs on a real kernel: exact counts, 3-grams, both word sizes, and nothing left behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { gramBucket } from '../../src/behaviour/index.ts';
import { openSensor, type Sensor, sensorFinding, type SensorReading } from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import { Group, number, until } from '../sensor-group.ts';

const PROJECT = join(import.meta.dirname, '../..');
const LOOP =
  'my $n = shift; my @kids = map { my $k = fork; if (!$k) { getppid for 1..$n; exit } $k } 1..shift; waitpid $_, 0 for @kids';

/** Only x64 is sure to run programs of the other word size. */
const COMPAT_PROGRAMS = ([['x64', compatProgram]] as const).filter(([architecture]) => architecture === process.arch);

const sum = (counts: Iterable<number>): number => [...counts].reduce((all, count) => all + count, 0);

describe.skipIf(needs('root'))('programs of our own, as root', () => {
  let sensor: Sensor;
  const groups: Group[] = [];
  const makeGroup = (): Group => {
    const group = new Group();
    groups.push(group);
    return group;
  };
  const readOf = (group: Group): SensorReading => {
    const reading = sensor.read().get(group.id);
    if (reading === undefined) throw new Error('the group is not watched');
    return reading;
  };

  beforeAll(async () => {
    sensor = await openSensor({ program: 'bpf' });
    expect([sensor.kind, sensor.limitation]).toEqual(['bpf', null]);
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

  it('count 3,000,000 calls of three processes exactly, and their 3-grams', () => {
    const group = makeGroup();
    sensor.watch(group.id, 'detailed');
    group.run('perl', '-e', LOOP, '1000000', '3');
    const { syscalls, grams, kept, compatCalls } = readOf(group);
    const call = number('getppid');
    expect(syscalls.get(call)).toBe(3_000_000);
    expect(grams?.get(gramBucket(call, call, call))).toBe(3 * (1_000_000 - 2));
    expect(sum(grams?.values() ?? [])).toBe(sum(syscalls.values()));
    expect([kept, compatCalls]).toEqual([1, 0]);
  });

  it('count processes, their ends and signal handlers exactly', () => {
    const group = makeGroup();
    sensor.watch(group.id, 'standard');
    group.run('perl', '-e', LOOP, '1', '50');
    const first = readOf(group).syscalls;
    // The shell of the test becomes perl, so there are 50 children and their parent.
    const forks = sum(['fork', 'vfork', 'clone', 'clone3'].map((name) => first.get(number(name)) ?? 0));
    expect([forks, first.get(number('exit_group'))]).toEqual([50, 51]);
    group.run('perl', '-e', '$SIG{USR1} = sub { }; kill USR1 => $$ for 1..100');
    const second = readOf(group).syscalls;
    expect([second.get(number('kill')), second.get(number('rt_sigreturn'))]).toEqual([100, 100]);
  });

  it('give differences that add up, whatever is read in between, and no grams to standard logs', () => {
    const group = makeGroup();
    sensor.watch(group.id, 'standard');
    expect(readOf(group).grams).toBeUndefined();
    group.run('perl', '-e', LOOP, '1000', '1');
    sensor.watch(group.id, 'realtime');
    expect(readOf(group).syscalls.get(number('getppid'))).toBe(1000);
    group.run('perl', '-e', LOOP, '500', '1');
    const second = readOf(group);
    expect(second.syscalls.get(number('getppid'))).toBe(500);
    expect(sum(second.grams?.values() ?? [])).toBe(sum(second.syscalls.values()));
    expect(readOf(group)).toMatchObject({ syscalls: new Map(), grams: new Map(), audit: [] });
  });

  it.each(COMPAT_PROGRAMS)('count the calls of a 32-bit program apart, on %s', (_architecture, writeProgram) => {
    const folder = mkdtempSync(join(tmpdir(), 'provost-'));
    using stack = new DisposableStack();
    stack.defer(() => rmSync(folder, { recursive: true }));
    const program = join(folder, 'compat');
    writeFileSync(program, writeProgram(1000), { mode: 0o755 });
    const group = makeGroup();
    sensor.watch(group.id, 'detailed');
    group.run(program);
    const { compatCalls = 0, syscalls, grams } = readOf(group);
    // 1000 calls, the exec that returns into the program, and the exit.
    expect(compatCalls).toBe(1002);
    expect(sum(grams?.values() ?? [])).toBe(sum(syscalls.values()) + compatCalls);
  });

  it('say what a call that reaches out was given, and what came of it', async () => {
    const group = makeGroup();
    sensor.watch(group.id, 'standard');
    group.run('mount', '-t', 'tmpfs', 'none', '/nonexistent/\u202eevil');
    const events = readOf(group).audit.filter(({ kind }) => kind === 'call');
    const [event] = events.filter(({ target }) => ['mount', 'move_mount', 'fsopen'].includes(target));
    expect(event?.detail).toMatch(/^0x[\da-f]+ 0x[\da-f]+ 0x[\da-f]+ 0x[\da-f]+ = -?\d+/);
    expect(events.map(({ detail }) => detail).join('\n')).not.toContain('\u202e');
  });

  it('have room for so many workloads, say so beyond that, and fill the room that others leave', async () => {
    await using full = await openSensor({ program: 'bpf' });
    const ids = Array.from({ length: 300 }, (_, index) => 2n ** 40n + BigInt(index));
    for (const id of ids) full.watch(id, 'standard');
    expect(full.limitation).toMatch(/no room for \d+ of 300 workloads/);
    const kept = [...full.read().values()].map((reading) => reading.kept);
    expect(kept.filter((one) => one === 0).length).toBeGreaterThan(0);
    for (const id of ids.slice(0, 150)) full.unwatch(id);
    expect(full.limitation).toBeNull();
    expect([...full.read().values()].every((reading) => reading.kept > 0)).toBe(true);
  });

  it('lower what is kept of a detailed log whose grams found no room', async () => {
    await using full = await openSensor({ program: 'bpf' });
    for (let id = 1n; id <= 65n; id += 1n) full.watch(2n ** 40n + id, 'detailed');
    const readings = [...full.read().values()];
    expect(readings.filter(({ grams }) => grams === undefined).map(({ kept }) => kept)).toEqual([0.9]);
  });

  it('see nothing any more once closed, and do not mind being asked', async () => {
    const closed = await openSensor({ program: 'bpf' });
    closed.watch(1n, 'detailed');
    await closed[Symbol.asyncDispose]();
    await closed[Symbol.asyncDispose]();
    expect([closed.kind, closed.limitation]).toEqual(['none', expect.stringContaining('closed')]);
    expect(closed.read().get(1n)?.kept).toBe(0);
    closed.watch(2n, 'standard');
    closed.unwatch(1n);
    expect([...closed.read().keys()]).toEqual([2n]);
    closed.unwatch(2n);
  });
});

describe.skipIf(needs('root'))('a process with programs of its own, as root', () => {
  let child: ChildProcess | null = null;

  afterEach(() => {
    child?.kill('SIGKILL');
  });

  it('leaves none in the kernel when it is killed', async () => {
    const program = `import { openSensor } from './src/sandbox/index.ts';
      const sensor = await openSensor({ program: 'bpf' });
      process.stdout.write(sensor.kind);
      setInterval(() => undefined, 1000);`;
    const started = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: PROJECT });
    child = started;
    const said = Promise.withResolvers<string>();
    started.stdout.once('data', (text: Buffer) => said.resolve(text.toString()));
    started.once('exit', () => said.resolve('it ended'));
    expect(await said.promise).toBe('bpf');
    const ids = programIdsOf(started.pid ?? 0);
    expect(ids).toHaveLength(3);
    expect(ids.filter((id) => loadedPrograms().has(id))).toEqual(ids);
    started.kill('SIGKILL');
    await until('its programs are gone', () => ids.every((id) => !loadedPrograms().has(id)));
  });
});

describe.skipIf(needs('root', 'bpftrace'))('a host that refuses programs of our own', () => {
  const report = `import { openSensor, sensorFinding } from './src/sandbox/index.ts';
    const options = { bpftracePath: process.argv[1] };
    await using sensor = await openSensor(options);
    await sensor.ready;
    sensor.watch(1n, 'standard');
    const { kind, limitation } = sensor;
    const finding = await sensorFinding(options);
    process.stdout.write(JSON.stringify({ kind, limitation, finding, kept: sensor.read().get(1n).kept }));`;
  /** Runs it where the kernel's types cannot be read: in a mount namespace of its own. */
  const withoutTypes = (bpftracePath: string): unknown => {
    const hide = 'mount --bind /dev/null /sys/kernel/btf/vmlinux && exec "$@"';
    const node = [process.execPath, '--input-type=module', '-e', report, bpftracePath];
    const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', hide, 'sh', ...node], {
      cwd: PROJECT,
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  };

  it('has bpftrace in their place, and says so', () => {
    const folder = mkdtempSync(join(tmpdir(), 'provost-'));
    using stack = new DisposableStack();
    stack.defer(() => rmSync(folder, { recursive: true }));
    const outside = join(folder, 'bpftrace');
    writeFileSync(outside, `#!/bin/sh\nexec nsenter --mount=/proc/${process.pid}/ns/mnt -- bpftrace "$@"\n`, {
      mode: 0o755,
    });
    expect(withoutTypes(outside)).toMatchObject({
      kind: 'bpftrace',
      limitation: expect.stringMatching(/bpftrace counts in place of.*does not begin like BTF/),
      finding: { status: 'weak', detail: expect.stringContaining('without 3-grams') },
    });
  });

  it('has cgroup figures only where there is no bpftrace either, and keeps nothing', () => {
    expect(withoutTypes('/nonexistent/bpftrace')).toMatchObject({
      kind: 'none',
      limitation: expect.stringMatching(/not found.*does not begin like BTF.*only cgroup and network figures/),
      finding: { status: 'weak' },
      kept: 0,
    });
  });

  it('is told what to do where it has no permission', () => {
    // Root by name alone: without capabilities.
    const bare = ['--inh-caps', '-all', '--bounding-set', '-all'];
    const node = [process.execPath, '--input-type=module', '-e', report, '/nonexistent/bpftrace'];
    const { stdout, stderr } = spawnSync('setpriv', [...bare, ...node], { cwd: PROJECT, encoding: 'utf8' });
    if (stdout === '') throw new Error(stderr);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'none',
      limitation: expect.stringContaining('errno 1'),
      finding: { status: 'weak', fix: expect.stringContaining('root') },
      kept: 0,
    });
  });
});

describe.skipIf(needs('root'))('the doctor', () => {
  it('says that programs of our own count', async () => {
    expect(await sensorFinding()).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('3-grams'),
      fix: null,
    });
  });
});

/** Ids of the programs that a process holds. */
function programIdsOf(pid: number): number[] {
  const folder = `/proc/${pid}/fdinfo`;
  const ids = readdirSync(folder).map(
    (fd) => /^prog_id:\s*(\d+)$/m.exec(readFileSync(join(folder, fd), 'latin1'))?.[1],
  );
  return [...new Set(ids.filter((id) => id !== undefined).map(Number))];
}

/** Ids of all programs in the kernel, by BPF_PROG_GET_NEXT_ID. */
function loadedPrograms(): Set<number> {
  const syscall = koffi
    .load(null)
    .func('long syscall(long number, long command, void *attributes, unsigned long size)');
  const ids = new Set<number>();
  const request = Buffer.alloc(12);
  while (Number(syscall(number('bpf'), 11, request, request.length)) === 0) {
    ids.add(request.readUInt32LE(4));
    request.writeUInt32LE(request.readUInt32LE(4), 0);
  }
  return ids;
}

/** A 32-bit program of 113 bytes that calls getpid `calls` times and exits. */
function compatProgram(calls: number): Buffer {
  const code = Buffer.from('b900000000b814000000cd80e2f7b80100000031dbcd80', 'hex');
  code.writeUInt32LE(calls, 1);
  const [base, headers] = [0x0804_8000, 84];
  const file = Buffer.alloc(headers + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [at, value] of [
    [16, 2],
    [18, 3],
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const) {
    file.writeUInt16LE(value, at);
  }
  for (const [at, value] of [
    [20, 1],
    [24, base + headers],
    [28, 52],
    [52, 1],
    [60, base],
    [64, base],
    [68, file.length],
    [72, file.length],
    [76, 5],
    [80, 4096],
  ] as const) {
    file.writeUInt32LE(value, at);
  }
  file.set(code, headers);
  return file;
}
