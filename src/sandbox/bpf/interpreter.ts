// Runs BPF programs without a kernel: registers, a stack, pieces of memory and the helpers that are given. For tests of what a program does.
import {
  type Arithmetic,
  type Instruction,
  type Operand,
  type Register,
  type Size,
  slotsOf,
  type Test,
} from './instruction.ts';

/** Far more than the longest way through a program without loops. */
const STEPS_MAX = 100_000;
const STACK_BYTES = 512;
const STACK_BASE = 0x7fff_0000_0000n;
const BYTES: Readonly<Record<Size, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

/** A piece of memory at an address. */
export interface Region {
  readonly base: bigint;
  readonly bytes: Buffer;
}

export type Helper = (args: readonly bigint[], machine: Machine) => bigint;

/** What a program finds around it. */
export interface Surroundings {
  readonly regions: readonly Region[];
  /** Addresses of array maps' values, and of other maps, by descriptor. */
  readonly maps: ReadonlyMap<number, bigint>;
  readonly helpers: ReadonlyMap<number, Helper>;
}

/** Interprets programs; every access outside its regions throws a RangeError, as the verifier would refuse it. */
export class Machine {
  readonly #around: Surroundings;
  readonly #stack: Region = { base: STACK_BASE, bytes: Buffer.alloc(STACK_BYTES) };
  readonly #registers = new Map<Register, bigint>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Runs a program with the address of its context in r1. Returns r0. */
  run(program: readonly Instruction[], context: bigint): bigint {
    const bySlot = new Map<number, Instruction>();
    let slots = 0;
    for (const instruction of program) {
      bySlot.set(slots, instruction);
      slots += slotsOf(instruction);
    }
    this.#registers.clear();
    this.#set('r1', context);
    this.#set('r10', STACK_BASE + BigInt(STACK_BYTES));
    let at = 0;
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const instruction = bySlot.get(at);
      if (instruction === undefined) throw new RangeError(`there is no instruction at ${at}`);
      if (instruction.kind === 'exit') return this.#get('r0');
      at += slotsOf(instruction) + this.#step(instruction);
    }
    throw new RangeError('the program does not end');
  }

  /** The bytes at an address. */
  memory(address: bigint, length: number): Buffer {
    for (const { base, bytes } of [this.#stack, ...this.#around.regions]) {
      const offset = Number(address - base);
      if (address >= base && offset + length <= bytes.length) return bytes.subarray(offset, offset + length);
    }
    throw new RangeError(`nothing lies at 0x${address.toString(16)}`);
  }

  /** Returns how many slots are jumped over. */
  #step(instruction: Exclude<Instruction, { kind: 'exit' }>): number {
    switch (instruction.kind) {
      case 'alu':
        this.#calculate(instruction);
        return 0;
      case 'load':
        this.#set(instruction.to, this.#load(instruction.size, this.#get(instruction.from), instruction.offset));
        return 0;
      case 'store':
        this.#store(
          instruction.size,
          this.#get(instruction.to) + BigInt(instruction.offset),
          this.#value(instruction.value),
        );
        return 0;
      case 'atomic-add': {
        const address = this.#get(instruction.to) + BigInt(instruction.offset);
        this.#store(instruction.size, address, this.#load(instruction.size, address, 0) + this.#get(instruction.value));
        return 0;
      }
      case 'branch':
        return this.#holds(instruction) ? instruction.offset : 0;
      case 'jump':
        return instruction.offset;
      case 'wide':
        this.#set(instruction.to, this.#wide(instruction));
        return 0;
      default:
        this.#call(instruction.helper);
        return 0;
    }
  }

  #calculate({ operation, width, to, by }: Extract<Instruction, { kind: 'alu' }>): void {
    const right = BigInt.asUintN(width, this.#value(by));
    const left = operation === 'move' ? 0n : BigInt.asUintN(width, this.#get(to));
    this.#set(to, BigInt.asUintN(width, calculations[operation](left, right, width)));
  }

  #holds({ test, left, right, width }: Extract<Instruction, { kind: 'branch' }>): boolean {
    const { isSigned, holds } = comparisons[test];
    const cut = (bits: number, value: bigint): bigint =>
      isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
    return holds(cut(width, this.#get(left)), cut(width, this.#value(right)));
  }

  #wide({ source, value }: Extract<Instruction, { kind: 'wide' }>): bigint {
    if (source === 'value') return value;
    const address = this.#around.maps.get(Number(value & 0xffff_ffffn));
    if (address === undefined) throw new RangeError(`there is no map ${value}`);
    return address + (value >> 32n);
  }

  #call(number: number): void {
    const helper = this.#around.helpers.get(number);
    if (helper === undefined) throw new RangeError(`there is no helper ${number}`);
    const names = ['r1', 'r2', 'r3', 'r4', 'r5'] as const;
    const result = helper(
      names.map((name) => this.#registers.get(name) ?? 0n),
      this,
    );
    for (const name of names) this.#registers.delete(name);
    this.#set('r0', BigInt.asUintN(64, result));
  }

  #load(size: Size, from: bigint, offset: number): bigint {
    const bytes = this.memory(from + BigInt(offset), BYTES[size]);
    return BYTES[size] === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readUIntLE(0, BYTES[size]));
  }

  #store(size: Size, address: bigint, value: bigint): void {
    const bytes = this.memory(address, BYTES[size]);
    const bounded = BigInt.asUintN(8 * BYTES[size], value);
    if (BYTES[size] === 8) bytes.writeBigUInt64LE(bounded);
    else bytes.writeUIntLE(Number(bounded), 0, BYTES[size]);
  }

  #value(operand: Operand): bigint {
    return typeof operand === 'number' ? BigInt.asUintN(64, BigInt(operand)) : this.#get(operand);
  }

  /** A register that nobody has set, or a call has taken, may not be read. */
  #get(register: Register): bigint {
    const value = this.#registers.get(register);
    if (value === undefined) throw new RangeError(`${register} is not set`);
    return value;
  }

  #set(register: Register, value: bigint): void {
    this.#registers.set(register, BigInt.asUintN(64, value));
  }
}

type Calculation = (left: bigint, right: bigint, width: number) => bigint;

const distance = (right: bigint, width: number): bigint => right & BigInt(width - 1);

/** Both sides are unsigned and of the width; the result is cut to it. */
const calculations: Readonly<Record<Arithmetic, Calculation>> = {
  add: (left, right) => left + right,
  sub: (left, right) => left - right,
  mul: (left, right) => left * right,
  div: (left, right) => (right === 0n ? 0n : left / right),
  or: (left, right) => left | right,
  and: (left, right) => left & right,
  'shift-left': (left, right, width) => left << distance(right, width),
  'shift-right': (left, right, width) => left >> distance(right, width),
  negate: (left) => -left,
  modulo: (left, right) => (right === 0n ? left : left % right),
  xor: (left, right) => left ^ right,
  move: (_left, right) => right,
  'shift-right-signed': (left, right, width) => BigInt.asIntN(width, left) >> distance(right, width),
};

type Comparison = (left: bigint, right: bigint) => boolean;

const comparisons: Readonly<Record<Test, { readonly isSigned: boolean; readonly holds: Comparison }>> = {
  '==': { isSigned: false, holds: (left, right) => left === right },
  '!=': { isSigned: false, holds: (left, right) => left !== right },
  '>': { isSigned: false, holds: (left, right) => left > right },
  '>=': { isSigned: false, holds: (left, right) => left >= right },
  '<': { isSigned: false, holds: (left, right) => left < right },
  '<=': { isSigned: false, holds: (left, right) => left <= right },
  '&': { isSigned: false, holds: (left, right) => (left & right) !== 0n },
  's>': { isSigned: true, holds: (left, right) => left > right },
  's>=': { isSigned: true, holds: (left, right) => left >= right },
  's<': { isSigned: true, holds: (left, right) => left < right },
  's<=': { isSigned: true, holds: (left, right) => left <= right },
};
