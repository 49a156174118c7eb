// What the sensor's programs have in common: finding the caller's group, counting its call, reserving an event.
import { gramHash, UNKNOWN_CALL } from '../../behaviour/index.ts';
import type { Assembler } from './assembler.ts';
import type { KernelTypes } from './btf.ts';
import type { Register } from './instruction.ts';
import * as layout from './sensor-layout.ts';

/** Numbers of the kernel's helpers, from <linux/bpf.h>. */
export const helper = {
  nanoseconds: 5,
  processor: 8,
  comm: 16,
  readUser: 112,
  readKernel: 113,
  readUserText: 114,
  readKernelText: 115,
  reserve: 131,
  submit: 132,
  task: 158,
  registersOf: 175,
} as const;

/** Descriptors of the maps, by what they hold. */
export interface SensorMaps {
  readonly groups: number;
  readonly counters: number;
  readonly threads: number;
  readonly grams: number;
  readonly gramMarks: number;
  readonly allowances: number;
  readonly attention: number;
  readonly events: number;
}

/** Everything that a program depends on. */
export interface ProgramHost {
  readonly maps: SensorMaps;
  readonly types: KernelTypes;
  readonly registers: CallRegisters;
  readonly cpus: number;
  readonly slots: number;
}

/** Where an architecture keeps a call's number and arguments, and how it marks the other word size. */
export interface CallRegisters {
  readonly number: number;
  readonly arguments: readonly [number, number, number, number];
  /** Field of the task, and the bit in it. */
  readonly compat: { readonly offset: number; readonly bit: number };
  /** The call that leaves -1 in place of its number, having restored all registers; null where none does. */
  readonly restoring: number | null;
  /** The calls that never return, and those of the other word size. */
  readonly exits: readonly [number, number];
  readonly compatExits: readonly [number, number];
  readonly clone: number;
  readonly clone3: number;
}

/** Places on the stack, below r10. */
export const stack = {
  symbol: -8,
  time: -16,
  group: -24,
  word: -32,
  attention: -40,
  allowance: -48,
  size: -56,
} as const;

const ENOSYS = 38;

/** r8 is the task. Jumps to `out` unless its group is watched; then r9 is the word about it. Uses r1 to r4. */
export function findGroup(a: Assembler, { types, maps }: ProgramHost): void {
  const found = a.fresh('found');
  a.load('u64', 'r1', ['r8', types.offsetOf('task_struct', 'cgroups')]);
  a.load('u64', 'r1', ['r1', types.offsetOf('css_set', 'dfl_cgrp')]);
  a.load('u64', 'r1', ['r1', types.offsetOf('cgroup', 'kn')]);
  a.load('u64', 'r1', ['r1', types.offsetOf('kernfs_node', 'id')]);
  a.move('r2', 'r1').alu('and', 'r2', layout.GROUP_BUCKETS - 1);
  a.alu('mul', 'r2', layout.GROUP_PLACES * layout.PLACE_BYTES);
  at(a, 'r3', maps.groups).alu('add', 'r3', 'r2');
  for (let place = 0; place < layout.GROUP_PLACES; place += 1) {
    if (place > 0) a.alu('add', 'r3', layout.PLACE_BYTES);
    a.load('u64', 'r4', ['r3', 0]).branch(['r4', '==', 'r1'], found);
  }
  a.jump('out').label(found);
  a.load('u64', 'r9', ['r3', 8]);
  a.store('u64', ['r10', stack.group], 'r1').store('u64', ['r10', stack.word], 'r9');
}

/** r7 are the caller's registers, r8 the task. r1 becomes the call's symbol; r2 is used. */
export function findSymbol(
  a: Assembler,
  { registers }: ProgramHost,
  resultAt: readonly [Register, number] | null,
): void {
  const [compat, plain, done] = [a.fresh('compat'), a.fresh('plain'), a.fresh('symbol')];
  a.load('u32', 'r2', ['r8', registers.compat.offset]).branch(['r2', '&', registers.compat.bit], compat);
  a.load('u64', 'r1', ['r7', registers.number]);
  if (registers.restoring !== null && resultAt !== null) {
    a.branch(['r1', '!=', -1], plain);
    a.load('u64', 'r2', resultAt).branch(['r2', '==', -ENOSYS], plain);
    a.move('r1', registers.restoring);
  }
  a.label(plain).branch(['r1', '<', UNKNOWN_CALL], done).move('r1', UNKNOWN_CALL).jump(done);
  a.label(compat).move('r1', gramHash.compatSymbol);
  a.label(done);
}

/** r0 is the CPU, r1 the symbol, r9 the word. Adds one to the counter, which no other CPU touches. Keeps r1. */
export function countCall(a: Assembler, { maps, cpus, slots }: ProgramHost): void {
  a.move('r2', 'r9').alu('and', 'r2', layout.SLOT_MASK).branch(['r2', '>=', slots], 'out');
  a.branch(['r0', '>=', cpus], 'out');
  a.alu('mul', 'r2', layout.COUNTERS * layout.COUNTER_BYTES);
  a.alu('mul', 'r0', slots * layout.COUNTERS * layout.COUNTER_BYTES);
  at(a, 'r4', maps.counters).alu('add', 'r4', 'r0').alu('add', 'r4', 'r2');
  a.move('r3', 'r1').alu('mul', 'r3', layout.COUNTER_BYTES).alu('add', 'r4', 'r3');
  // The program is not interrupted by another of its kind on this CPU, so a plain sum loses nothing.
  a.load('u64', 'r5', ['r4', 0]).alu('add', 'r5', 1).store('u64', ['r4', 0], 'r5');
}

/** r1 is the symbol, r8 the task, r9 the word. Adds one to the gram's bucket where the group asks for it; r0 to r5 are used. */
export function countGram(a: Assembler, { maps, types }: ProgramHost): void {
  const { symbolBits, multiplier, shift, buckets } = gramHash;
  const pairMask = 2 ** (2 * symbolBits) - 1;
  const [done, same, marked] = [a.fresh('grams'), a.fresh('same'), a.fresh('marked')];
  a.move('r2', 'r9').alu('shift-right', 'r2', layout.GRAM_SLOT_SHIFT).alu('and', 'r2', layout.SLOT_MASK);
  a.branch(['r2', '==', 0], done).alu('sub', 'r2', 1).branch(['r2', '>=', layout.GRAM_SLOTS], done);
  a.load('u32', 'r3', ['r8', types.offsetOf('task_struct', 'pid')]);
  findThread(a, maps);
  a.load('u64', 'r4', ['r5', 0]).move('r0', 'r4').alu('shift-right', 'r0', 32).branch(['r0', '==', 'r3'], same);
  // Another thread's, or nobody's: this one begins with two start symbols, which are all ones.
  a.move('r4', pairMask).label(same);
  a.alu('and', 'r4', pairMask).alu('shift-left', 'r4', symbolBits).alu('or', 'r4', 'r1');
  a.move('r0', 'r4').alu('and', 'r0', pairMask).alu('shift-left', 'r3', 32).alu('or', 'r0', 'r3');
  a.store('u64', ['r5', 0], 'r0');
  a.alu32('mul', 'r4', multiplier | 0).alu32('shift-right', 'r4', shift);
  a.move('r0', 'r2').alu('mul', 'r0', buckets * 4);
  a.move('r3', 'r4').alu('mul', 'r3', 4).alu('add', 'r0', 'r3');
  at(a, 'r5', maps.grams).alu('add', 'r5', 'r0').move('r3', 1).atomicAdd('u32', ['r5', 0], 'r3');
  a.alu('mul', 'r2', layout.GRAM_BLOCKS).alu('shift-right', 'r4', Math.log2(layout.GRAM_BLOCK)).alu('add', 'r2', 'r4');
  at(a, 'r5', maps.gramMarks).alu('add', 'r5', 'r2');
  // A mark that is set already stays in every CPU's cache.
  a.load('u8', 'r0', ['r5', 0]).branch(['r0', '!=', 0], marked).store('u8', ['r5', 0], 1);
  a.label(marked).label(done);
}

/** r3 is a thread's id; r5 becomes the address of its last calls. r4 is used. */
export function findThread(a: Assembler, maps: SensorMaps): void {
  a.move('r4', 'r3')
    .alu('and', 'r4', layout.THREADS - 1)
    .alu('mul', 'r4', 8);
  at(a, 'r5', maps.threads).alu('add', 'r5', 'r4');
}

/** Loads the address of an array map's value. */
export function at(a: Assembler, to: Register, map: number): Assembler {
  return a.wide('map-value', to, BigInt(map));
}
