// Writes BPF programs by name: instructions with labels in, encoded slots out. Knows nothing of what a program is for.
import {
  type Arithmetic,
  encode,
  type Instruction,
  type Operand,
  type Register,
  type Size,
  slotsOf,
  type Test,
  type WideSource,
  type Width,
} from './instruction.ts';

/** An instruction whose target is still a name. */
type Item =
  | { readonly instruction: Instruction; readonly target: null }
  | { readonly instruction: Extract<Instruction, { offset: number }>; readonly target: string };

/** Offsets of jumps are 16 bits; the kernel refuses more than a million instructions anyway. */
const OFFSET_MAX = 32_767;

/** Collects the instructions of one program. Each method appends one and returns the assembler. */
export class Assembler {
  readonly #items: Item[] = [];
  readonly #labels = new Map<string, number>();
  #slots = 0;
  #labelsMade = 0;

  /** `to` ← `to` operation `by`, in 64 bits. */
  alu(operation: Arithmetic, to: Register, by: Operand): this {
    return this.#add({ kind: 'alu', operation, width: 64, to, by });
  }

  /** The same in 32 bits; the upper half becomes 0. */
  alu32(operation: Arithmetic, to: Register, by: Operand): this {
    return this.#add({ kind: 'alu', operation, width: 32, to, by });
  }

  move(to: Register, from: Operand): this {
    return this.alu('move', to, from);
  }

  load(size: Size, to: Register, [from, offset]: readonly [Register, number]): this {
    return this.#add({ kind: 'load', size, to, from, offset });
  }

  store(size: Size, [to, offset]: readonly [Register, number], value: Operand): this {
    return this.#add({ kind: 'store', size, to, offset, value });
  }

  atomicAdd(size: 'u32' | 'u64', [to, offset]: readonly [Register, number], value: Register): this {
    return this.#add({ kind: 'atomic-add', size, to, offset, value });
  }

  /** Loads 64 bits, a map, or the address of an array map's first value (`value` is the descriptor). */
  wide(source: WideSource, to: Register, value: bigint): this {
    return this.#add({ kind: 'wide', source, to, value });
  }

  call(helper: number): this {
    return this.#add({ kind: 'call', helper });
  }

  exit(): this {
    return this.#add({ kind: 'exit' });
  }

  jump(target: string): this {
    return this.#addTo({ kind: 'jump', offset: 0 }, target);
  }

  /** Jumps to `target` if `[left, test, right]` holds. */
  branch([left, test, right]: readonly [Register, Test, Operand], target: string, width: Width = 64): this {
    return this.#addTo({ kind: 'branch', test, width, left, right, offset: 0 }, target);
  }

  /** Names the place of the next instruction. @throws RangeError for a name that is taken */
  label(name: string): this {
    if (this.#labels.has(name)) throw new RangeError(`the label '${name}' is set twice`);
    this.#labels.set(name, this.#slots);
    return this;
  }

  /** A label that nobody else has; it is set with {@link label}. */
  fresh(prefix: string): string {
    this.#labelsMade += 1;
    return `${prefix}#${this.#labelsMade}`;
  }

  /** Puts the distances in. @throws RangeError for a label that is missing or too far away */
  instructions(): Instruction[] {
    let at = 0;
    return this.#items.map(({ instruction, target }) => {
      at += slotsOf(instruction);
      return target === null ? instruction : { ...instruction, offset: this.#distance(target, at) };
    });
  }

  /** The program as the kernel takes it. */
  assemble(): Buffer {
    return encode(this.instructions());
  }

  #distance(target: string, from: number): number {
    const to = this.#labels.get(target);
    if (to === undefined) throw new RangeError(`there is no label '${target}'`);
    if (Math.abs(to - from) > OFFSET_MAX) throw new RangeError(`the label '${target}' is too far away`);
    return to - from;
  }

  #add(instruction: Instruction): this {
    return this.#push({ instruction, target: null });
  }

  #addTo(instruction: Extract<Instruction, { offset: number }>, target: string): this {
    return this.#push({ instruction, target });
  }

  #push(item: Item): this {
    this.#items.push(item);
    this.#slots += slotsOf(item.instruction);
    return this;
  }
}
