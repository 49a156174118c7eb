// SHA-256 of four messages side by side, as WebAssembly: each 32-bit lane of a vector belongs to one message. @source FIPS 180-4, section 6.2
import {
  add,
  and,
  type Code,
  get,
  i32,
  i32Add,
  i32Greater,
  load,
  loadLane,
  or,
  type Place,
  repeat,
  set,
  shiftLeft,
  shiftRight,
  shuffle,
  store,
  type WasmFunction,
  wasmModule,
  xor,
} from './wasm-code.ts';

/** Messages of one call. */
export const LANES = 4;
/** Bytes of a block. */
export const BLOCK_BYTES = 64;
/** Where the pairs of nodes lie in the memory, after the constants; there is a byte before them, for a prefix. */
export const NODES_AT = 4096;
/** The hashes of a tile, and what is lost after them. */
export const NODES_BYTES = 8192;
/** Where messages lie: there is room for 192 blocks of each. */
export const MESSAGES_AT = 16_384;

const PAIR_BYTES = 64;
const HASH_BYTES = 32;
const VECTOR_BYTES = 16;
const ROUNDS = 64;
const WORDS = 16;
/** Of a message of a prefix and two hashes. */
const NODE_BITS = 8 * (1 + PAIR_BYTES);

/** A word of four messages: the local that holds it, or what it is in all of them. */
type Word = { readonly local: number } | { readonly same: number };

/** Locals of a function, after its parameters. */
interface Locals {
  /** The eight words of the hash so far. */
  readonly hash: readonly number[];
  readonly state: readonly number[];
  readonly words: readonly number[];
  /** a ^ b of this round and of the one before. */
  readonly differences: readonly [number, number];
}
const VECTOR_LOCALS = 8 + 8 + WORDS + 2;

/** Constants in the memory, each in all four lanes. */
class Constants {
  readonly #values: number[] = [];

  load(value: number): Code {
    const known = this.#values.indexOf(value);
    const at = known < 0 ? this.#values.push(value) - 1 : known;
    return load(i32(0), at * VECTOR_BYTES);
  }

  bytes(): Uint8Array {
    const lanes = this.#values.flatMap((value) => Array<number>(LANES).fill(value));
    return new Uint8Array(Uint32Array.from(lanes).buffer);
  }
}

/**
 * The module. It exports its `memory`, and two functions:
 *
 * - `messages(bytes, blocks)`: of four messages from {@link MESSAGES_AT} on, padded to so many blocks, each `bytes` after the one before, puts
 *   the hashes to {@link NODES_AT}
 * - `nodes(pairs)`: puts the hashes of pairs of hashes, from {@link NODES_AT} on, in their place; what follows to a multiple of four is lost
 */
export function sha256Module(): Uint8Array<ArrayBuffer> {
  const constants = new Constants();
  const functions = [messagesFunction(constants), nodesFunction(constants)];
  return wasmModule(functions, constants.bytes());
}

function localsAfter(params: number): Locals {
  const row = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => params + from + at);
  const [hash, state, words] = [row(0, 8), row(8, 8), row(16, WORDS)];
  return { hash, state, words, differences: [params + 32, params + 33] };
}

function messagesFunction(constants: Constants): WasmFunction {
  const [bytes, blocks, from] = [0, 1, 2];
  // The third parameter is a local that callers leave out: it begins as 0.
  const params = 3;
  const locals = localsAfter(params);
  const lane = (index: number): Code => lanes(get(from), get(bytes), index);
  const block = [
    loadBlock(locals, (index) => ({ address: lane(index), offset: MESSAGES_AT })),
    compress(
      constants,
      locals,
      locals.words.map((local) => ({ local })),
    ),
    set(from, i32Add(get(from), i32(BLOCK_BYTES))),
    set(blocks, i32Add(get(blocks), i32(-1))),
  ];
  const code = [
    beginHash(constants, locals),
    repeat(block, i32Greater(get(blocks), i32(0))),
    storeHashes(locals, i32(0)),
  ];
  return { name: 'messages', params, vectors: VECTOR_LOCALS, code };
}

/** The address of lane `index`, whose messages are `bytes` apart. */
function lanes(from: Code, bytes: Code, index: number): Code {
  return index === 0 ? from : i32Add(lanes(from, bytes, index - 1), bytes);
}

function nodesFunction(constants: Constants): WasmFunction {
  const [pairs, from, to] = [0, 1, 2];
  const params = 3;
  const locals = localsAfter(params);
  const [first = 0] = locals.words;
  const lastBytes = Array.from({ length: LANES }, (_, lane) => lane).reduce<Code>(
    (code, lane) => loadLane(code, lane, { address: get(from), offset: NODES_AT + (lane + 1) * PAIR_BYTES - 4 }),
    get(first),
  );
  const zeros = locals.words.slice(1, -1).map((): Word => ({ same: 0 }));
  const lastBlock = [{ local: first }, ...zeros, { same: NODE_BITS }];
  const group = [
    beginHash(constants, locals),
    // The prefix takes the place of the byte before the pair.
    loadBlock(locals, (index) => ({ address: get(from), offset: NODES_AT - 1 + index * PAIR_BYTES })),
    set(first, or(and(get(first), constants.load(0x00ff_ffff)), constants.load(0x0100_0000))),
    compress(
      constants,
      locals,
      locals.words.map((local) => ({ local })),
    ),
    // The second block: the last byte of the pair, the one bit of the padding, and the length.
    set(first, or(and(lastBytes, constants.load(0xff00_0000)), constants.load(0x0080_0000))),
    compress(constants, locals, lastBlock),
    storeHashes(locals, get(to)),
    set(from, i32Add(get(from), i32(LANES * PAIR_BYTES))),
    set(to, i32Add(get(to), i32(LANES * HASH_BYTES))),
    set(pairs, i32Add(get(pairs), i32(-LANES))),
  ];
  return { name: 'nodes', params, vectors: VECTOR_LOCALS, code: repeat(group, i32Greater(get(pairs), i32(0))) };
}

function beginHash(constants: Constants, { hash }: Locals): Code {
  return hash.map((local, at) => set(local, constants.load(INITIAL[at] ?? 0)));
}

/** Loads 64 bytes of each lane; then word n of the block is in local n, with its lanes in order. */
function loadBlock({ words }: Locals, lane: (index: number) => Place): Code {
  return [0, 4, 8, 12].map((word) => {
    const four = words.slice(word, word + 4);
    const loads = four.map((local, index) => {
      const { address, offset } = lane(index);
      return set(local, swapBytes(load(address, offset + word * 4)));
    });
    return [loads, transpose(four)];
  });
}

function storeHashes({ hash }: Locals, to: Code): Code {
  return [0, 4].map((word) => {
    const four = hash.slice(word, word + 4);
    const stores = four.map((local, lane) => store(to, NODES_AT + lane * HASH_BYTES + word * 4, swapBytes(get(local))));
    return [transpose(four), stores];
  });
}

/** Each word's bytes in the other order. */
function swapBytes(value: Code): Code {
  return shuffle(value, value, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
}

const word = (index: number): number[] => [0, 1, 2, 3].map((byte) => index * 4 + byte);
const INTERLEAVE_LOW = [0, 4, 1, 5].flatMap(word);
const INTERLEAVE_HIGH = [2, 6, 3, 7].flatMap(word);
const LOW_HALVES = [0, 1, 4, 5].flatMap(word);
const HIGH_HALVES = [2, 3, 6, 7].flatMap(word);

/** Lane m of vector n becomes lane n of vector m. Operands stay on the stack, so that it needs no other locals. */
function transpose([a = 0, b = 0, c = 0, d = 0]: readonly number[]): Code {
  const both = (one: number, other: number, bytes: readonly number[]): Code => shuffle(get(one), get(other), bytes);
  return [
    // Values are set in the reverse order of their computation.
    both(a, b, INTERLEAVE_LOW),
    both(a, b, INTERLEAVE_HIGH),
    both(c, d, INTERLEAVE_LOW),
    both(c, d, INTERLEAVE_HIGH),
    [d, c, b, a].map((local) => set(local, [])),
    both(a, c, LOW_HALVES),
    both(a, c, HIGH_HALVES),
    both(b, d, LOW_HALVES),
    both(b, d, HIGH_HALVES),
    [d, c, b, a].map((local) => set(local, [])),
  ];
}

/** Adds a block to the hash. Constants are folded while the code is written. */
function compress(constants: Constants, { hash, state, words: locals, differences }: Locals, block: Word[]): Code {
  const words = [...block];
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  let [now, before] = differences;
  const code: Code[] = state.map((local, at) => set(local, get(hash[at] ?? 0)));
  code.push(set(before, xor(get(b), get(c))));
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round >= WORDS) code.push(schedule(constants, { words, locals, round }));
    const choice = xor(get(g), and(get(e), xor(get(f), get(g))));
    const input = inputOf(constants, words[round % WORDS] ?? { same: 0 }, ROUND_CONSTANTS[round] ?? 0);
    code.push(
      set(h, add(add(get(h), input), add(choice, rotations(e, [6, 11, 25])))),
      set(d, add(get(d), get(h))),
      // Maj(a, b, c) is b ^ (a ^ b) & (b ^ c), and the second difference is the first of the round before.
      set(now, xor(get(a), get(b))),
      set(h, add(get(h), add(rotations(a, [2, 13, 22]), xor(get(b), and(get(now), get(before)))))),
    );
    [a, b, c, d, e, f, g, h] = [h, a, b, c, d, e, f, g];
    [now, before] = [before, now];
  }
  const ended = [a, b, c, d, e, f, g, h];
  return [code, hash.map((local, at) => set(local, add(get(local), get(ended[at] ?? 0))))];
}

function inputOf(constants: Constants, word: Word, constant: number): Code {
  if ('same' in word) return constants.load((word.same + constant) >>> 0);
  return add(get(word.local), constants.load(constant));
}

interface Schedule {
  /** The last sixteen words. */
  readonly words: Word[];
  readonly locals: readonly number[];
  readonly round: number;
}

/** Puts the word of `round` in the place of the one of sixteen rounds before. */
function schedule(constants: Constants, { words, locals, round }: Schedule): Code {
  const at = (back: number): Word => words[(round - back) % WORDS] ?? { same: 0 };
  const small: Sigma = { turns: [7, 18], shift: 3 };
  const large: Sigma = { turns: [17, 19], shift: 10 };
  const terms = [at(16), sigma(at(15), small), at(7), sigma(at(2), large)];
  const same = terms.reduce((sum, term) => ('same' in term ? (sum + term.same) >>> 0 : sum), 0);
  const codes = terms.flatMap((term) => ('same' in term ? [] : ['code' in term ? term.code : get(term.local)]));
  const place = round % WORDS;
  if (codes.length === 0) {
    words[place] = { same };
    return [];
  }
  if (same !== 0) codes.push(constants.load(same));
  const local = locals[place] ?? 0;
  words[place] = { local };
  return set(
    local,
    codes.reduce((sum, code) => add(sum, code)),
  );
}

interface Sigma {
  readonly turns: readonly [number, number];
  readonly shift: number;
}

function sigma(word: Word, { turns, shift }: Sigma): { readonly same: number } | { readonly code: Code } {
  if ('local' in word) return { code: xor(rotations(word.local, turns), shiftRight(get(word.local), shift)) };
  const { same } = word;
  const turned = turns.reduce((sum, bits) => sum ^ ((same >>> bits) | (same << (32 - bits))), same >>> shift);
  return { same: turned >>> 0 };
}

/** The value, turned to the right by each count, all combined by xor. */
function rotations(local: number, turns: readonly number[]): Code {
  return turns
    .flatMap((bits) => [shiftRight(get(local), bits), shiftLeft(get(local), 32 - bits)])
    .reduce((sum, code) => xor(sum, code));
}

/** The first 32 bits of what comes after the point. */
function fraction(value: number): number {
  return Math.floor((value % 1) * 2 ** 32);
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let value = 2; primes.length < count; value += 1)
    if (primes.every((prime) => value % prime !== 0)) primes.push(value);
  return primes;
}

const PRIMES = firstPrimes(ROUNDS);
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const ROUND_CONSTANTS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
