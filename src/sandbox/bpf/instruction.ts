// One BPF instruction as a value, and the 8-byte slots that the kernel reads: encoding and decoding.

/** r0 is the result, r1 to r5 arguments (lost in a call), r6 to r9 kept, r10 the top of a stack of 512 bytes. */
export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r4' | 'r5' | 'r6' | 'r7' | 'r8' | 'r9' | 'r10';
export type Size = 'u8' | 'u16' | 'u32' | 'u64';
export type Width = 32 | 64;
export type Arithmetic = (typeof ARITHMETIC)[number];
export type Test = keyof typeof TESTS;
/** What `wide` loads: 64 bits as they are, a map, or the address of the first value of an array map. */
export type WideSource = (typeof WIDE_SOURCES)[number];

/** A register, or 32 bits that are extended with their sign. */
export type Operand = Register | number;

export type Instruction =
  | {
      readonly kind: 'alu';
      readonly operation: Arithmetic;
      readonly width: Width;
      readonly to: Register;
      readonly by: Operand;
    }
  | {
      readonly kind: 'load';
      readonly size: Size;
      readonly to: Register;
      readonly from: Register;
      readonly offset: number;
    }
  | {
      readonly kind: 'store';
      readonly size: Size;
      readonly to: Register;
      readonly offset: number;
      readonly value: Operand;
    }
  | {
      readonly kind: 'atomic-add';
      readonly size: 'u32' | 'u64';
      readonly to: Register;
      readonly offset: number;
      readonly value: Register;
    }
  /** Jumps over `offset` slots when the test holds. */
  | {
      readonly kind: 'branch';
      readonly test: Test;
      readonly width: Width;
      readonly left: Register;
      readonly right: Operand;
      readonly offset: number;
    }
  | { readonly kind: 'jump'; readonly offset: number }
  /** Two slots. Of a map, `value` is its descriptor in the lower half and an offset in the upper. */
  | { readonly kind: 'wide'; readonly source: WideSource; readonly to: Register; readonly value: bigint }
  | { readonly kind: 'call'; readonly helper: number }
  | { readonly kind: 'exit' };

/** Bytes of a slot; `wide` takes two. */
export const SLOT_BYTES = 8;

const REGISTERS: readonly Register[] = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10'];
// The place in a list is the kernel's number for it: <linux/bpf_common.h>, <linux/bpf.h>.
const ARITHMETIC = [
  'add',
  'sub',
  'mul',
  'div',
  'or',
  'and',
  'shift-left',
  'shift-right',
  'negate',
  'modulo',
  'xor',
  'move',
  'shift-right-signed',
] as const;
const TESTS = { '==': 1, '>': 2, '>=': 3, '&': 4, '!=': 5, 's>': 6, 's>=': 7, '<': 10, '<=': 11, 's<': 12, 's<=': 13 };
const SIZES: readonly Size[] = ['u32', 'u16', 'u8', 'u64'];
const WIDE_SOURCES = ['value', 'map', 'map-value'] as const;

const CLASS = { wide: 0, load: 1, storeImmediate: 2, store: 3, alu32: 4, jump: 5, jump32: 6, alu64: 7 };
const FROM_REGISTER = 0x08;
const MODE_MEMORY = 0x60;
const MODE_ATOMIC = 0xc0;
const WIDE_OPCODE = 0x18;
const JUMP_ALWAYS = 0;
const JUMP_CALL = 8;
const JUMP_EXIT = 9;

/** The parts of a slot: opcode, two registers, offset and immediate. */
interface Slot {
  readonly opcode: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly immediate?: number;
}

/** How many slots an instruction takes. */
export function slotsOf(instruction: Instruction): number {
  return instruction.kind === 'wide' ? 2 : 1;
}

/** Writes instructions as the kernel reads them. @source RFC 9669 */
export function encode(program: readonly Instruction[]): Buffer {
  return Buffer.concat(program.flatMap((instruction) => slotsFor(instruction).map(writeSlot)));
}

function slotsFor(instruction: Instruction): Slot[] {
  switch (instruction.kind) {
    case 'alu': {
      const { operation, width, to, by } = instruction;
      const base = width === 64 ? CLASS.alu64 : CLASS.alu32;
      return [{ opcode: base | (ARITHMETIC.indexOf(operation) << 4), to: numberOf(to), ...operand(by) }].map(flagged);
    }
    case 'load': {
      const { size, to, from, offset } = instruction;
      return [{ opcode: CLASS.load | MODE_MEMORY | sizeBits(size), to: numberOf(to), from: numberOf(from), offset }];
    }
    case 'store': {
      const { size, to, offset, value } = instruction;
      const base = typeof value === 'number' ? CLASS.storeImmediate : CLASS.store;
      return [{ opcode: base | MODE_MEMORY | sizeBits(size), to: numberOf(to), offset, ...operand(value) }];
    }
    case 'atomic-add': {
      const { size, to, offset, value } = instruction;
      return [{ opcode: CLASS.store | MODE_ATOMIC | sizeBits(size), to: numberOf(to), from: numberOf(value), offset }];
    }
    case 'branch': {
      const { test, width, left, right, offset } = instruction;
      const base = width === 64 ? CLASS.jump : CLASS.jump32;
      return [{ opcode: base | (TESTS[test] << 4), to: numberOf(left), offset, ...operand(right) }].map(flagged);
    }
    case 'jump':
      return [{ opcode: CLASS.jump | (JUMP_ALWAYS << 4), offset: instruction.offset }];
    case 'wide':
      return wideSlots(instruction.source, instruction.to, instruction.value);
    case 'call':
      return [{ opcode: CLASS.jump | (JUMP_CALL << 4), immediate: instruction.helper }];
    default:
      return [{ opcode: CLASS.jump | (JUMP_EXIT << 4) }];
  }
}

function wideSlots(source: WideSource, to: Register, value: bigint): Slot[] {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return [
    { opcode: WIDE_OPCODE, to: numberOf(to), from: WIDE_SOURCES.indexOf(source), immediate: low },
    { opcode: 0, immediate: high },
  ];
}

function operand(value: Operand): Pick<Slot, 'from' | 'immediate'> {
  return typeof value === 'number' ? { immediate: value } : { from: numberOf(value) };
}

/** Arithmetic and tests say by a bit whether the operand is a register. */
function flagged(slot: Slot): Slot {
  return slot.immediate === undefined ? { ...slot, opcode: slot.opcode | FROM_REGISTER } : slot;
}

function writeSlot(slot: Slot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes.writeUInt8(slot.opcode, 0);
  bytes.writeUInt8((slot.to ?? 0) | ((slot.from ?? 0) << 4), 1);
  bytes.writeInt16LE(slot.offset ?? 0, 2);
  bytes.writeInt32LE(slot.immediate ?? 0, 4);
  return bytes;
}

function numberOf(register: Register): number {
  return REGISTERS.indexOf(register);
}

function sizeBits(size: Size): number {
  return SIZES.indexOf(size) << 3;
}

/**
 * Reads slots back into instructions.
 *
 * @throws RangeError where the bytes are none that {@link encode} writes
 */
export function decode(bytes: Buffer): Instruction[] {
  const program: Instruction[] = [];
  for (let at = 0; at < bytes.length;) {
    const instruction = decodeAt(bytes, at);
    program.push(instruction);
    at += slotsOf(instruction) * SLOT_BYTES;
  }
  return program;
}

function decodeAt(bytes: Buffer, at: number): Instruction {
  const opcode = bytes.readUInt8(at);
  const registers = bytes.readUInt8(at + 1);
  const offset = bytes.readInt16LE(at + 2);
  const immediate = bytes.readInt32LE(at + 4);
  const [to, from] = [known(REGISTERS[registers & 15]), registers >> 4];
  if (opcode === WIDE_OPCODE) {
    const value = (BigInt(bytes.readUInt32LE(at + 12)) << 32n) | BigInt(bytes.readUInt32LE(at + 4));
    return { kind: 'wide', source: known(WIDE_SOURCES[from]), to, value };
  }
  const size = known(SIZES[(opcode >> 3) & 3]);
  const value = (opcode & FROM_REGISTER) === 0 ? immediate : known(REGISTERS[from]);
  switch (opcode & 7) {
    case CLASS.alu32:
    case CLASS.alu64:
      return {
        kind: 'alu',
        operation: known(ARITHMETIC[opcode >> 4]),
        width: (opcode & 7) === CLASS.alu64 ? 64 : 32,
        to,
        by: value,
      };
    case CLASS.load:
      return { kind: 'load', size, to, from: known(REGISTERS[from]), offset };
    case CLASS.storeImmediate:
      return { kind: 'store', size, to, offset, value: immediate };
    case CLASS.store:
      return decodeStore(opcode, { size, to, offset, value: known(REGISTERS[from]) });
    default:
      return decodeJump(opcode, { left: to, right: value, offset, immediate });
  }
}

function decodeStore(
  opcode: number,
  parts: { readonly size: Size; readonly to: Register; readonly offset: number; readonly value: Register },
): Instruction {
  if ((opcode & 0xe0) === MODE_MEMORY) return { kind: 'store', ...parts };
  const { size } = parts;
  if (size === 'u8' || size === 'u16') throw new RangeError(`no BPF instruction has the opcode ${opcode}`);
  return { kind: 'atomic-add', ...parts, size };
}

function decodeJump(
  opcode: number,
  parts: { readonly left: Register; readonly right: Operand; readonly offset: number; readonly immediate: number },
): Instruction {
  const { left, right, offset, immediate } = parts;
  const number = opcode >> 4;
  if (number === JUMP_ALWAYS) return { kind: 'jump', offset };
  if (number === JUMP_CALL) return { kind: 'call', helper: immediate };
  if (number === JUMP_EXIT) return { kind: 'exit' };
  const test = (Object.keys(TESTS) as Test[]).find((name) => TESTS[name] === number);
  return { kind: 'branch', test: known(test), width: (opcode & 7) === CLASS.jump ? 64 : 32, left, right, offset };
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError('these bytes are no BPF instruction of ours');
  return value;
}
