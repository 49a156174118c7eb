// The memory of workloads on a real kernel: code that was made at run time, code that was changed, and how much was touched, against known amounts.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/index.ts';
import type { MemoryLook } from '../../src/behaviour/index.ts';
import { openSandboxHost, type SandboxHost } from '../sandbox-fixture.ts';
import { lookAtMemory } from '../../src/sandbox/telemetry/memory-look.ts';
import { needs } from '../needs.ts';
import { until } from '../network-fixture.ts';

/** Does as the lines of its input say, each time it says `done`. */
const PROGRAM = `
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
held = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
def touch(size):
  for at in range(0, size, 4096): held[at] = 1
def code(protection): return libc.mmap(None, 1 << 20, protection, 0x22, -1, 0)
def patch():
  page = ctypes.cast(libc.getpid, ctypes.c_void_p).value & ~4095
  assert libc.mprotect(page, 4096, 7) == 0
  ctypes.memset(page, ctypes.string_at(page, 1)[0], 1)
  assert libc.mprotect(page, 4096, 5) == 0
print('ready', flush=True)
for line in sys.stdin:
  eval(line)
  print('done', flush=True)
`;

interface Program {
  readonly child: ChildProcess;
  tell(line: string): Promise<void>;
}

async function openProgram(dir: string): Promise<Program> {
  const path = join(dir, 'program.py');
  writeFileSync(path, PROGRAM);
  const child = spawn('/usr/bin/python3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  let lines = 0;
  child.stdout.on('data', (bytes: Buffer) => (lines += bytes.toString('latin1').split('\n').length - 1));
  await until('the program is ready', () => lines === 1);
  return {
    child,
    tell: async (line) => {
      const before = lines;
      child.stdin.write(`${line}\n`);
      await until('it is done', () => lines > before);
    },
  };
}

describe.skipIf(needs('root', 'python3'))('a look at memory', () => {
  let dir: string;
  let program: Program;
  const marked = new Set<number>();

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'provost-memory-'));
  });

  afterEach(() => {
    program.child.kill('SIGKILL');
    marked.clear();
  });

  afterAll(() => {
    rmSync(dir, { recursive: true });
  });

  const look = async (countsTouched = false): Promise<MemoryLook> =>
    lookAtMemory({ pids: [program.child.pid ?? 0], countsTouched, marked });

  it('finds nothing in a program that makes no code', async () => {
    program = await openProgram(dir);
    expect(await look()).toEqual({
      anonymousExecutableBytes: 0,
      writableExecutableBytes: 0,
      changedCodePages: 0,
      processes: [],
      isWhole: true,
    });
  });

  it('finds code that belongs to no file, exactly, and tells what can be written too', async () => {
    program = await openProgram(dir);
    await program.tell('code(5)');
    expect(await look()).toMatchObject({
      anonymousExecutableBytes: MIB,
      writableExecutableBytes: 0,
      processes: ['python3'],
    });
    await program.tell('code(7)');
    expect(await look()).toMatchObject({ anonymousExecutableBytes: 2 * MIB, writableExecutableBytes: MIB });
  });

  it('finds the one page of a library that was changed, though it cannot be written any more', async () => {
    program = await openProgram(dir);
    await program.tell('patch()');
    expect(await look()).toMatchObject({
      changedCodePages: 1,
      anonymousExecutableBytes: 0,
      writableExecutableBytes: 0,
    });
  });

  it('tells how much was touched since the look before', async () => {
    program = await openProgram(dir);
    await program.tell('touch(64 << 20)');
    expect((await look(true)).touchedBytes).toBeUndefined();
    await program.tell('touch(16 << 20)');
    const { touchedBytes = 0 } = await look(true);
    // What the program itself takes to do it lies beside.
    expect(touchedBytes).toBeGreaterThanOrEqual(16 * MIB);
    expect(touchedBytes).toBeLessThan(26 * MIB);
    expect((await look(true)).touchedBytes).toBeLessThan(4 * MIB);
  });

  it('leaves out a process that has ended, and says when there are more than it reads', async () => {
    program = await openProgram(dir);
    const gone = 2 ** 22 - 1;
    const pids = [gone, program.child.pid ?? 0, ...Array.from({ length: 40 }, () => gone)];
    expect(await lookAtMemory({ pids, countsTouched: true, marked })).toMatchObject({ isWhole: false, processes: [] });
    expect([...marked]).toEqual([program.child.pid]);
  });
});

describe.skipIf(needs('root', 'runc', 'conmon', 'busybox'))('looks at a sandbox', () => {
  let host: SandboxHost;

  beforeAll(() => {
    host = openSandboxHost();
  });

  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    expect(host.traces()).toEqual([]);
  });

  it('come at the pace of its logging while it runs, and not while it rests', async () => {
    const busy = await host.run('runc', { argv: ['/bin/sh', '-c', 'while :; do :; done'] });
    const idle = await host.run('runc', { argv: ['/bin/sleep', '1000'] });
    const takeAt = (nowMs: number): readonly (MemoryLook | null)[] =>
      [busy, idle].map((sandbox) => sandbox.takeMemoryLook({ nowMs, logging: 'standard', stats: sandbox.stats() }));
    takeAt(0);
    await until('both were looked at', () => takeAt(1)[0] !== null);
    let [busyLooks, idleLooks] = [0, 0];
    await until('the busy one was looked at again', () => {
      const [ofBusy, ofIdle] = takeAt(10_001);
      busyLooks += ofBusy === null ? 0 : 1;
      idleLooks += ofIdle === null ? 0 : 1;
      return busyLooks > 0;
    });
    expect(takeAt(12_000)).toEqual([null, null]);
    expect(idleLooks).toBeLessThanOrEqual(1);
    await until('no look at the idle one follows', () => takeAt(20_002)[0] !== null);
    expect(takeAt(40_000)[1]).toBeNull();
  });
});
