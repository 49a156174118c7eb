import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Assembler } from './assembler.ts';
import { Machine } from './interpreter.ts';

const nowhere = { regions: [], maps: new Map<number, bigint>(), helpers: new Map() };
const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('the interpreter', () => {
  it('calculates in 64 and 32 bits', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        const program = (width: 'alu' | 'alu32', operation: 'add' | 'sub' | 'mul' | 'xor'): bigint => {
          const operands = new Assembler().wide('value', 'r0', a).wide('value', 'r2', b);
          const whole = width === 'alu' ? operands.alu(operation, 'r0', 'r2') : operands.alu32(operation, 'r0', 'r2');
          return new Machine(nowhere).run(whole.exit().instructions(), 0n);
        };
        expect(program('alu', 'add')).toBe(BigInt.asUintN(64, a + b));
        expect(program('alu', 'sub')).toBe(BigInt.asUintN(64, a - b));
        expect(program('alu32', 'mul')).toBe(BigInt.asUintN(32, a * b));
        expect(program('alu32', 'xor')).toBe(BigInt.asUintN(32, a ^ b));
      }),
    );
  });

  it('extends immediates with their sign, and divides by 0 as the kernel does', () => {
    const run = (a: Assembler): bigint => new Machine(nowhere).run(a.exit().instructions(), 0n);
    expect(run(new Assembler().move('r0', -1))).toBe(2n ** 64n - 1n);
    expect(run(new Assembler().alu32('move', 'r0', -1))).toBe(2n ** 32n - 1n);
    expect(run(new Assembler().move('r0', 7).move('r1', 0).alu('div', 'r0', 'r1'))).toBe(0n);
    expect(run(new Assembler().move('r0', -8).alu('shift-right-signed', 'r0', 1))).toBe(2n ** 64n - 4n);
  });

  it('refuses what a verifier would: other memory, registers that are not set, programs without end', () => {
    const run = (a: Assembler): bigint => new Machine(nowhere).run(a.instructions(), 0n);
    expect(() => run(new Assembler().load('u64', 'r0', ['r1', 0]).exit())).toThrow('nothing lies at 0x0');
    expect(() => run(new Assembler().load('u64', 'r0', ['r10', 0]).exit())).toThrow('nothing lies');
    expect(() => run(new Assembler().move('r0', 'r2').exit())).toThrow('r2 is not set');
    expect(() => run(new Assembler().label('a').jump('a'))).toThrow('does not end');
    expect(() => run(new Assembler().call(1).exit())).toThrow('no helper 1');
    expect(() => run(new Assembler().move('r0', 0))).toThrow('no instruction at 1');
  });
});
