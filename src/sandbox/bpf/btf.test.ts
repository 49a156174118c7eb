import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBtf } from './btf.ts';

const STRUCT = 4;
const UNION = 5;
const POINTER = 2;
const TYPEDEF = 8;
const CONST = 10;

/** Writes BTF: types of name, kind, size or type, and members of name, type and bit offset. */
class BtfWriter {
  readonly #words: number[] = [];
  #strings = '\0';

  #name(name: string): number {
    if (name === '') return 0;
    this.#strings += `${name}\0`;
    return this.#strings.length - name.length - 1;
  }

  add(name: string, kind: number, size: number, members: readonly (readonly [string, number, number])[] = []): this {
    this.#words.push(this.#name(name), ((kind << 24) | members.length) >>> 0, size);
    for (const [member, type, bits] of members) this.#words.push(this.#name(member), type, bits);
    return this;
  }

  bytes(): Buffer {
    const types = Buffer.alloc(this.#words.length * 4);
    for (const [index, word] of this.#words.entries()) types.writeUInt32LE(word, index * 4);
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    for (const [index, word] of [24, 0, types.length, types.length, this.#strings.length].entries()) {
      header.writeUInt32LE(word, 4 + index * 4);
    }
    return Buffer.concat([header, types, Buffer.from(this.#strings, 'latin1')]);
  }
}

const sample = (): Buffer =>
  new BtfWriter()
    .add('task', STRUCT, 64, [
      ['pid', 3, 64],
      ['', 4, 128],
      ['path', 6, 256],
    ])
    .add('', POINTER, 1)
    .add('hook', TYPEDEF, 2)
    .add('', UNION, 8, [
      ['left', 3, 0],
      ['right', 5, 0],
    ])
    .add('inner', STRUCT, 8, [['deep', 3, 32]])
    .add('', CONST, 7)
    .add('inner_t', TYPEDEF, 5)
    .bytes();

describe('the kernel’s types', () => {
  it('say where a field lies, through structs without a name, typedefs and qualifiers', () => {
    const types = parseBtf(sample());
    expect(types.offsetOf('task', 'pid')).toBe(8);
    expect(types.offsetOf('task', 'left')).toBe(16);
    expect(types.offsetOf('task', 'right.deep')).toBe(20);
    expect(types.offsetOf('task', 'path.deep')).toBe(36);
    expect(types.typedefId('hook')).toBe(3);
  });

  it.each([
    ['a struct that is not there', 'nobody', 'pid'],
    ['a field that is not there', 'task', 'uid'],
    ['a field of what has none', 'task', 'pid.low'],
    ['a typedef in place of a struct', 'hook', 'pid'],
  ])('do not guess at %s', (_name, struct, path) => {
    expect(() => parseBtf(sample()).offsetOf(struct, path)).toThrow(
      expect.objectContaining({ code: 'SANDBOX_SENSOR' }),
    );
  });

  it('are refused when they are none, or cut short', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(24), sample().subarray(0, 60)]) {
      expect(() => parseBtf(bytes)).toThrow(expect.objectContaining({ code: 'SANDBOX_SENSOR' }));
    }
  });

  it('end in an error or an answer, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.nat(sample().length - 1), fc.nat(255), (at, value) => {
        const bytes = sample();
        bytes[at] = value;
        try {
          expect(parseBtf(bytes).offsetOf('task', 'path.deep')).toBeTypeOf('number');
        } catch (error) {
          expect(error).toMatchObject({ code: 'SANDBOX_SENSOR' });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('of this kernel have what the sensor asks for', () => {
    // A kernel without them has no sensor of its own; test/e2e shows what happens then.
    const file = '/sys/kernel/btf/vmlinux';
    const types = existsSync(file) ? parseBtf(readFileSync(file)) : null;
    expect(types?.offsetOf('task_struct', 'cgroups') ?? 1).toBeGreaterThan(0);
    expect(types?.typedefId('btf_trace_sys_exit') ?? 1).toBeGreaterThan(0);
  });
});
