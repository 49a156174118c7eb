// The sensor's programs, run by the interpreter on a kernel made of buffers: what they count, and what they report.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countGrams, gramBucket, gramHash, syscallNumbers, UNKNOWN_CALL } from '../../behaviour/index.ts';
import { attentionTable } from './attention-table.ts';
import { callRegisters } from './call-registers.ts';
import { decode } from './instruction.ts';
import { type Helper, Machine, type Region } from './interpreter.ts';
import { helper, type ProgramHost } from './program-parts.ts';
import * as layout from './sensor-layout.ts';
import { callProgram, execProgram, threadEndProgram } from './sensor-programs.ts';

const CPUS = 2;
const SLOTS = 3;
const number = (name: string): number => syscallNumbers([name], 'x64')[0] ?? Number.NaN;

/** Each struct is a page of 4 KiB; each field lies where its name first asked for it. */
class FakeTypes {
  readonly #fields = new Map<string, Map<string, number>>();

  typedefId(): number {
    return 1;
  }

  offsetOf(struct: string, path: string): number {
    const fields = this.#fields.get(struct) ?? new Map<string, number>();
    this.#fields.set(struct, fields);
    const offset = fields.get(path) ?? 16 * (fields.size + 1);
    fields.set(path, offset);
    return offset;
  }
}

const PAGE = 4096;

class FakeKernel {
  readonly types = new FakeTypes();
  readonly regions: Region[] = [];
  readonly submitted: Buffer[] = [];
  readonly host: ProgramHost;
  readonly memory: Readonly<Record<'groups' | 'counters' | 'threads' | 'grams' | 'gramMarks' | 'allowances', Buffer>>;
  cpu = 0;
  nowNs = 0n;
  hasRoom = true;
  readonly #maps = new Map<number, bigint>();
  #next = 0x10_0000_0000n;
  #task = 0n;

  constructor() {
    const map = (bytes: number): { descriptor: number; bytes: Buffer } => {
      const region = this.region(bytes);
      const descriptor = this.#maps.size + 3;
      this.#maps.set(descriptor, region.base);
      return { descriptor, bytes: region.bytes };
    };
    const all = {
      groups: map(layout.GROUP_BYTES),
      counters: map(CPUS * SLOTS * layout.COUNTERS * layout.COUNTER_BYTES),
      threads: map(layout.THREADS * 8),
      grams: map(layout.GRAM_SLOTS * gramHash.buckets * 4),
      gramMarks: map(layout.GRAM_SLOTS * layout.GRAM_BLOCKS),
      allowances: map(SLOTS * layout.ALLOWANCE_BYTES),
      attention: map(UNKNOWN_CALL + 2),
      events: map(8),
    };
    all.attention.bytes.set(attentionTable('x64'));
    const [groups, counters, threads, grams, gramMarks, allowances] = [
      all.groups.bytes,
      all.counters.bytes,
      all.threads.bytes,
      all.grams.bytes,
      all.gramMarks.bytes,
      all.allowances.bytes,
    ];
    this.memory = { groups, counters, threads, grams, gramMarks, allowances };
    const maps = Object.fromEntries(Object.entries(all).map(([name, { descriptor }]) => [name, descriptor]));
    this.host = {
      maps: maps as unknown as ProgramHost['maps'],
      types: this.types,
      registers: callRegisters('x64', this.types),
      cpus: CPUS,
      slots: SLOTS,
    };
  }

  region(length: number): Region {
    const region = { base: this.#next, bytes: Buffer.alloc(length) };
    this.#next += BigInt(Math.ceil(length / PAGE) * PAGE + PAGE);
    this.regions.push(region);
    return region;
  }

  set(region: Region, struct: string, path: string, value: bigint): void {
    region.bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.types.offsetOf(struct, path));
  }

  text(value: string): bigint {
    const region = this.region(PAGE);
    region.bytes.write(value, 'latin1');
    return region.base;
  }

  watch(id: bigint, slot: number, options: { isDetailed?: boolean; gramSlot?: number } = {}): void {
    const bucket = Number(id & BigInt(layout.GROUP_BUCKETS - 1)) * layout.GROUP_PLACES;
    const place =
      [0, 1].find((at) => this.memory.groups.readBigUInt64LE((bucket + at) * layout.PLACE_BYTES) === 0n) ?? 0;
    const at = (bucket + place) * layout.PLACE_BYTES;
    const level = options.isDetailed === true ? layout.watchLevel.detailed : layout.watchLevel.standard;
    const grams = options.gramSlot === undefined ? 0n : BigInt(options.gramSlot + 1) << BigInt(layout.GRAM_SLOT_SHIFT);
    this.memory.groups.writeBigUInt64LE(id, at);
    this.memory.groups.writeBigUInt64LE(BigInt(slot) | grams | (level << BigInt(layout.LEVEL_SHIFT)), at + 8);
  }

  task(cgroup: bigint, tid: number): Region {
    const [task, set, group, node] = [this.region(PAGE), this.region(PAGE), this.region(PAGE), this.region(PAGE)];
    this.set(task, 'task_struct', 'cgroups', set.base);
    this.set(set, 'css_set', 'dfl_cgrp', group.base);
    this.set(group, 'cgroup', 'kn', node.base);
    this.set(node, 'kernfs_node', 'id', cgroup);
    this.set(task, 'task_struct', 'pid', BigInt(tid));
    this.set(task, 'task_struct', 'tgid', BigInt(tid));
    return task;
  }

  setCompat(task: Region, isCompat: boolean): void {
    task.bytes.writeUInt32LE(isCompat ? 2 : 0, this.types.offsetOf('task_struct', 'thread_info.status'));
  }

  /** A call returns. */
  call(task: Region, call: number | bigint, options: { result?: bigint; args?: readonly bigint[] } = {}): void {
    const context = this.region(16);
    context.bytes.writeBigUInt64LE(this.registers(call, options.args ?? []).base, 0);
    context.bytes.writeBigInt64LE(options.result ?? 0n, 8);
    this.#task = task.base;
    this.#run(callProgram(this.host), context);
  }

  exec(task: Region, path: string): void {
    const binary = this.region(PAGE);
    this.set(binary, 'linux_binprm', 'filename', this.text(path));
    const context = this.region(24);
    context.bytes.writeBigUInt64LE(task.base, 0);
    context.bytes.writeBigUInt64LE(binary.base, 16);
    this.#run(execProgram(this.host), context);
  }

  end(task: Region, inCall: number): void {
    const context = this.region(16);
    context.bytes.writeBigUInt64LE(task.base, 0);
    this.#registersOf = this.registers(inCall, []).base;
    this.#run(threadEndProgram(this.host), context);
  }

  #registersOf = 0n;

  registers(call: number | bigint, args: readonly bigint[]): Region {
    const registers = this.region(PAGE);
    this.set(registers, 'pt_regs', 'orig_ax', BigInt(call));
    for (const [index, name] of ['di', 'si', 'dx', 'r10'].entries()) {
      this.set(registers, 'pt_regs', name, args[index] ?? 0n);
    }
    return registers;
  }

  #run(program: Buffer, context: Region): void {
    const machine = new Machine({ regions: this.regions, maps: this.#maps, helpers: this.#helpers() });
    expect(machine.run(decode(program), context.base)).toBe(0n);
  }

  #helpers(): Map<number, Helper> {
    const read: Helper = ([to = 0n, length = 0n, from = 0n], machine) => {
      try {
        machine.memory(from, Number(length)).copy(machine.memory(to, Number(length)));
        return 0n;
      } catch {
        // As the kernel: the destination is zeroed, and an error is returned.
        machine.memory(to, Number(length)).fill(0);
        return -14n;
      }
    };
    const readText: Helper = ([to = 0n, length = 0n, from = 0n], machine) => {
      const whole = this.regions.find(({ base, bytes }) => from >= base && from < base + BigInt(bytes.length));
      if (whole === undefined) return -14n;
      const text = whole.bytes.subarray(Number(from - whole.base));
      const bytes = Math.min(Number(length), text.indexOf(0) + 1);
      text.copy(machine.memory(to, bytes), 0, 0, bytes - 1);
      return BigInt(bytes);
    };
    let reserved: Region | null = null;
    return new Map<number, Helper>([
      [helper.task, () => this.#task],
      [helper.processor, () => BigInt(this.cpu)],
      [helper.nanoseconds, () => this.nowNs],
      [helper.registersOf, () => this.#registersOf],
      [helper.comm, ([to = 0n], machine) => BigInt(machine.memory(to, 16).fill(0).write('worker') - 6)],
      [helper.readUser, read],
      [helper.readKernel, read],
      [helper.readUserText, readText],
      [helper.readKernelText, readText],
      [
        helper.reserve,
        ([, length = 0n]) => {
          reserved = this.hasRoom ? this.region(Number(length)) : null;
          return reserved?.base ?? 0n;
        },
      ],
      [
        helper.submit,
        () => {
          if (reserved !== null) this.submitted.push(reserved.bytes);
          return 0n;
        },
      ],
    ]);
  }

  count(slot: number, symbol: number): number[] {
    return Array.from({ length: CPUS }, (_, cpu) =>
      Number(this.memory.counters.readBigUInt64LE(((cpu * SLOTS + slot) * layout.COUNTERS + symbol) * 8)),
    );
  }

  grams(gramSlot: number): Map<number, number> {
    const grams = new Map<number, number>();
    for (let bucket = 0; bucket < gramHash.buckets; bucket += 1) {
      const count = this.memory.grams.readUInt32LE((gramSlot * gramHash.buckets + bucket) * 4);
      if (count > 0) grams.set(bucket, count);
    }
    return grams;
  }
}

describe('the program at the end of every call', () => {
  it('counts a watched group by CPU, and nobody else', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 1);
    kernel.watch(7n + 4096n, 2);
    const [watched, neighbour, stranger] = [kernel.task(7n, 10), kernel.task(4103n, 11), kernel.task(8199n, 12)];
    kernel.call(watched, 0);
    kernel.cpu = 1;
    kernel.call(watched, 0);
    kernel.call(watched, 0);
    kernel.call(neighbour, 0);
    kernel.call(stranger, 0);
    expect([0, 1, 2].map((slot) => kernel.count(slot, 0))).toEqual([
      [0, 0],
      [1, 2],
      [0, 1],
    ]);
    expect(kernel.submitted).toEqual([]);
  });

  it('counts numbers beyond the table in one place, and calls of the other word size in another', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0);
    const task = kernel.task(7n, 10);
    for (const call of [510, 511, 512, 2n ** 30n, 2n ** 64n - 1n]) kernel.call(task, call, { result: -38n });
    kernel.setCompat(task, true);
    kernel.call(task, 4);
    expect([510, 511, 512, 4].map((symbol) => kernel.count(0, symbol)[0])).toEqual([1, 4, 1, 0]);
  });

  it('knows a signal handler’s return, and counts a fork once', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0);
    const [parent, child] = [kernel.task(7n, 10), kernel.task(7n, 11)];
    kernel.call(parent, 2n ** 64n - 1n, { result: 5n });
    kernel.call(parent, number('fork'), { result: 11n });
    kernel.call(child, number('fork'), { result: 0n });
    expect(kernel.count(0, number('rt_sigreturn'))[0]).toBe(1);
    expect(kernel.count(0, number('fork'))[0]).toBe(1);
  });

  it('counts each thread’s 3-grams like countGrams, however threads and CPUs take turns', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.nat(1), fc.oneof(fc.nat(20), fc.integer({ min: 320, max: 600 }))), {
          maxLength: 60,
        }),
        (calls) => {
          const kernel = new FakeKernel();
          kernel.watch(7n, 0, { isDetailed: true, gramSlot: 3 });
          const tasks = [kernel.task(7n, 10), kernel.task(7n, 11), kernel.task(7n, 12)];
          const expected = new Map<number, number>();
          for (const [task, cpu, call] of calls) {
            kernel.cpu = cpu;
            kernel.call(tasks[task] ?? kernel.task(7n, 13), call, { result: -1n });
          }
          for (const task of [0, 1, 2]) {
            const trace = calls.filter(([by]) => by === task).map(([, , call]) => call);
            for (const [bucket, count] of countGrams(trace)) expected.set(bucket, (expected.get(bucket) ?? 0) + count);
          }
          expect(kernel.grams(3)).toEqual(expected);
          for (const bucket of expected.keys()) {
            expect(kernel.memory.gramMarks[3 * layout.GRAM_BLOCKS + (bucket >> 10)]).toBe(1);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('reports a call that reaches out, within what the group may, and counts what is beyond', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 1);
    const task = kernel.task(7n, 10);
    kernel.nowNs = 5_000_000_000n;
    const args = [kernel.text('dev'), kernel.text('/proc'), 3n, 4n];
    for (let count = 0; count < layout.EVENTS_PER_TICK + 5; count += 1) {
      kernel.call(task, number('mount'), { result: -1n, args });
    }
    const dropped = (): bigint =>
      kernel.memory.allowances.readBigUInt64LE(layout.ALLOWANCE_BYTES + layout.DROPPED_OFFSET);
    expect([kernel.submitted.length, dropped()]).toEqual([layout.EVENTS_PER_TICK, 5n]);
    kernel.nowNs += 100_000_000n;
    kernel.hasRoom = false;
    kernel.call(task, number('mount'), { args });
    expect(dropped()).toBe(6n);
    kernel.hasRoom = true;
    kernel.call(task, number('mount'), { args });
    expect(kernel.submitted).toHaveLength(layout.EVENTS_PER_TICK + 1);
    const record = kernel.submitted[0] ?? Buffer.alloc(0);
    expect(record.toString('latin1', layout.event.text, layout.event.text + 6)).toBe('/proc\0');
    expect(record.readBigInt64LE(layout.event.result)).toBe(-1n);
    expect(kernel.count(1, number('mount'))[0]).toBe(layout.EVENTS_PER_TICK + 7);
  });

  it('reports new namespaces by clone and clone3, and no other child', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0);
    const task = kernel.task(7n, 10);
    const flags = kernel.region(PAGE);
    kernel.call(task, number('clone'), { result: 11n, args: [0x1200011n] });
    kernel.call(task, number('clone3'), { result: 11n, args: [flags.base] });
    kernel.call(task, number('fork'), { result: 11n, args: [0x1000_0000n] });
    expect(kernel.submitted).toHaveLength(0);
    flags.bytes.writeBigUInt64LE(0x1000_0000n);
    kernel.call(task, number('clone'), { result: 11n, args: [0x2000_0011n] });
    kernel.call(task, number('clone3'), { result: 11n, args: [flags.base] });
    expect(kernel.submitted.map((record) => record.readUInt32LE(layout.event.call))).toEqual([
      number('clone'),
      number('clone3'),
    ]);
  });

  it('hears an engine’s socket always, and addresses only for detailed logs', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0);
    kernel.watch(8n, 1, { isDetailed: true });
    const unix = kernel.region(PAGE);
    unix.bytes.writeUInt16LE(1, 0);
    const inet = kernel.region(PAGE);
    inet.bytes.writeUInt16LE(2, 0);
    for (const task of [kernel.task(7n, 10), kernel.task(8n, 11)]) {
      for (const call of ['connect', 'bind']) {
        for (const { base } of [unix, inet]) kernel.call(task, number(call), { args: [3n, base, 16n] });
      }
      kernel.call(task, number('connect'), { args: [3n, 1n, 16n] });
    }
    const seen = kernel.submitted.map((record) => [record.readUInt32LE(16), record.readUInt32LE(20), record[88]]);
    expect(seen).toEqual([
      [10, number('connect'), 1],
      [11, number('connect'), 1],
      [11, number('connect'), 2],
      [11, number('bind'), 2],
    ]);
  });
});

describe('the programs at the start of a program and the end of a thread', () => {
  it('report what is started', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0);
    kernel.exec(kernel.task(7n, 10), '/bin/true');
    kernel.exec(kernel.task(9n, 11), '/bin/false');
    expect(kernel.submitted.map((record) => record.toString('latin1', 88, 97))).toEqual(['/bin/true']);
  });

  it('count the call that does not return, and forget what the thread called', () => {
    const kernel = new FakeKernel();
    kernel.watch(7n, 0, { isDetailed: true, gramSlot: 0 });
    const [first, second] = [kernel.task(7n, 10), kernel.task(7n, 11)];
    kernel.call(first, 1);
    kernel.call(second, 1);
    kernel.end(first, number('exit_group'));
    kernel.end(second, 1);
    expect(kernel.count(0, number('exit_group'))[0]).toBe(1);
    expect(kernel.count(0, 1)[0]).toBe(2);
    kernel.call(kernel.task(7n, 10), 3);
    const { startSymbol } = gramHash;
    expect(kernel.grams(0).get(gramBucket(startSymbol, startSymbol, 3))).toBe(1);
  });
});
