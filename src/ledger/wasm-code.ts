// WebAssembly as bytes: the few instructions and sections that hashing four messages side by side needs. @source https://webassembly.github.io/spec/core/binary

/** Instructions, encoded; nested as they were put together, since thousands of them are copied only once. */
export type Code = readonly (number | Code)[];

/** A function that is exported: its parameters are 32-bit numbers, its other locals vectors, at most 127 in all. It gives nothing back. */
export interface WasmFunction {
  readonly name: string;
  readonly params: number;
  readonly vectors: number;
  readonly code: Code;
}

const I32 = 0x7f;
const V128 = 0x7b;
const FUNCTION_TYPE = 0x60;
const NO_RESULT = 0x40;
const END = 0x0b;
const SIMD = 0xfd;
/** Logarithm of the alignment that loads and stores claim: none. */
const UNALIGNED = 0;

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [value, 0x21, local];
export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const i32Add = (left: Code, right: Code): Code => [left, right, 0x6a];
/** 1 when `left` is greater, as signed numbers. */
export const i32Greater = (left: Code, right: Code): Code => [left, right, 0x4a];

/** Runs `body` until `goesOn` is 0 after it. */
export const repeat = (body: Code, goesOn: Code): Code => [0x03, NO_RESULT, body, goesOn, 0x0d, 0, END];

export const add = (left: Code, right: Code): Code => [left, right, SIMD, 0xae, 0x01];
export const and = (left: Code, right: Code): Code => [left, right, SIMD, 0x4e];
export const or = (left: Code, right: Code): Code => [left, right, SIMD, 0x50];
export const xor = (left: Code, right: Code): Code => [left, right, SIMD, 0x51];
export const shiftLeft = (value: Code, bits: number): Code => [value, i32(bits), SIMD, 0xab, 0x01];
export const shiftRight = (value: Code, bits: number): Code => [value, i32(bits), SIMD, 0xad, 0x01];

/** Bytes of both vectors, 0 to 31, in the order that `bytes` says. */
export const shuffle = (left: Code, right: Code, bytes: Code): Code => [left, right, SIMD, 0x0d, bytes];

export const load = (address: Code, offset: number): Code => [address, SIMD, 0x00, UNALIGNED, unsigned(offset)];
/** Replaces one of the four 32-bit lanes. */
export const loadLane = (vector: Code, lane: number, { address, offset }: Place): Code => [
  [address, vector, SIMD, 0x56, UNALIGNED],
  [unsigned(offset), lane],
];
export const store = (address: Code, offset: number, value: Code): Code => [
  [address, value, SIMD, 0x0b, UNALIGNED],
  unsigned(offset),
];

/** Bytes in the memory. */
export interface Place {
  readonly address: Code;
  readonly offset: number;
}

/** A module with a memory of one page of 64 KiB, exported as `memory`, which holds `data` from address 0 on. */
export function wasmModule(functions: readonly WasmFunction[], data: Uint8Array): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ params }) => [FUNCTION_TYPE, vector(Array.from({ length: params }, () => [I32])), 0]);
  const exported = functions.map(({ name }, index) => [text(name), 0x00, index]);
  const bodies = functions.map(({ vectors, code }) => sized([1, vectors, V128, code, END]));
  const indexes = functions.map((_, index) => [index]);
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, types),
      section(3, indexes),
      section(5, [[0x00, 1]]),
      section(7, [[text('memory'), 0x02, 0], ...exported]),
      section(10, bodies),
      section(11, [[0, i32(0), END, unsigned(data.length), [...data]]]),
    ]),
  );
}

function section(id: number, items: readonly Code[]): Code {
  return [id, sized(vector(items))];
}

function vector(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function sized(code: Code): Code {
  const bytes = flatten(code);
  return [unsigned(bytes.length), bytes];
}

function text(name: string): Code {
  return sized([...Buffer.from(name)]);
}

function flatten(code: Code): number[] {
  const bytes: number[] = [];
  const append = (part: Code): void => {
    for (const one of part) {
      if (typeof one === 'number') bytes.push(one);
      else append(one);
    }
  };
  append(code);
  return bytes;
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const isLast = value >= -0x40 && value < 0x40;
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
