import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Assembler } from './assembler.ts';
import { decode, encode, type Instruction, type Register, SLOT_BYTES, slotsOf } from './instruction.ts';

const register = fc.constantFrom<Register>('r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10');
const immediate = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const operand = fc.oneof(register, immediate);
const offset = fc.integer({ min: -32_768, max: 32_767 });
const size = fc.constantFrom('u8', 'u16', 'u32', 'u64' as const);
const width = fc.constantFrom(32, 64 as const);
const operation = fc.constantFrom(
  ...([
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
  ] as const),
  'shift-right-signed' as const,
);
const test = fc.constantFrom(...(['==', '>', '>=', '&', '!=', 's>', 's>=', '<', '<=', 's<', 's<='] as const));

const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  fc.record({ kind: fc.constant('alu' as const), operation, width, to: register, by: operand }),
  fc.record({ kind: fc.constant('load' as const), size, to: register, from: register, offset }),
  fc.record({ kind: fc.constant('store' as const), size, to: register, offset, value: operand }),
  fc.record({
    kind: fc.constant('atomic-add' as const),
    size: fc.constantFrom('u32', 'u64' as const),
    to: register,
    offset,
    value: register,
  }),
  fc.record({ kind: fc.constant('branch' as const), test, width, left: register, right: operand, offset }),
  fc.record({ kind: fc.constant('jump' as const), offset }),
  fc.record({
    kind: fc.constant('wide' as const),
    source: fc.constantFrom('value', 'map', 'map-value' as const),
    to: register,
    value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  fc.record({ kind: fc.constant('call' as const), helper: fc.nat(1000) }),
  fc.constant({ kind: 'exit' as const }),
);

describe('BPF instructions', () => {
  it('come back from their slots as they went in', () => {
    fc.assert(
      fc.property(fc.array(instruction, { maxLength: 50 }), (program) => {
        const bytes = encode(program);
        expect(bytes.length).toBe(program.reduce((slots, one) => slots + slotsOf(one), 0) * SLOT_BYTES);
        expect(decode(bytes)).toEqual(program);
      }),
    );
  });

  it('are the bytes that the kernel’s headers name', () => {
    const a = new Assembler()
      .move('r6', 'r1')
      .alu32('mul', 'r4', -1)
      .load('u64', 'r7', ['r6', 8])
      .store('u8', ['r10', -8], 1)
      .atomicAdd('u64', ['r5', 0], 'r3')
      .branch(['r7', '!=', 5], 'end')
      .wide('map-value', 'r3', 7n)
      .call(158)
      .label('end')
      .exit();
    expect(a.assemble().toString('hex').match(/.{16}/g)).toEqual([
      'bf16000000000000',
      '24040000ffffffff',
      '7967080000000000',
      '720af8ff01000000',
      'db35000000000000',
      '5507030005000000',
      '1823000007000000',
      '0000000000000000',
      '850000009e000000',
      '9500000000000000',
    ]);
  });

  it.each(['ff00000000000000', '180f000000000000', '1845000000000000', 'f700000000000000', 'd30a000000000000', '6100'])(
    'are not guessed at: %s',
    (hex) => {
      expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(RangeError);
    },
  );
});

describe('the assembler', () => {
  it('refuses a label that is missing, set twice or too far away', () => {
    expect(() => new Assembler().jump('nowhere').assemble()).toThrow("no label 'nowhere'");
    expect(() => new Assembler().label('a').label('a')).toThrow('twice');
    const far = new Assembler().jump('end');
    for (let count = 0; count < 32_768; count += 1) far.exit();
    expect(() => far.label('end').assemble()).toThrow('too far');
  });

  it('jumps back and forth over instructions of two slots', () => {
    const program = new Assembler()
      .label('start')
      .wide('value', 'r1', 1n)
      .jump('start')
      .jump('end')
      .wide('value', 'r1', 2n);
    expect(
      program
        .label('end')
        .exit()
        .instructions()
        .filter(({ kind }) => kind === 'jump'),
    ).toEqual([
      { kind: 'jump', offset: -3 },
      { kind: 'jump', offset: 2 },
    ]);
  });

  it('never makes the same label twice', () => {
    const a = new Assembler();
    expect(a.fresh('x')).not.toBe(a.fresh('x'));
  });
});
