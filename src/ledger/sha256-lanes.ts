// Many hashes of a tree at once, four side by side: where a hash takes less time than asking for it, as those of nodes do.
import { hash } from 'node:crypto';

import { BLOCK_BYTES, LANES, MESSAGES_AT, NODES_AT, NODES_BYTES, sha256Module } from './sha256-code.ts';

const HASH_BYTES = 32;
const PAIR_BYTES = 2 * HASH_BYTES;
const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;
/** After a message: the one bit, and its length in bits. */
const PADDING_BYTES = 1 + 8;
const PADDING_BYTE = 0x80;
const LENGTH_BYTES = 4;

/** The part of it that is used, which the types of Node leave to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly nodes: (pairs: number) => void;
  readonly messages: (bytes: number, blocks: number) => void;
}

/** Hashes side by side, in a memory of its own. */
export class Sha256Lanes {
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #nodes: (pairs: number) => void;
  readonly #messages: (bytes: number, blocks: number) => void;
  /** Bytes of each entry whose padding is in the memory; null when those of the last call were not alike. */
  #paddedBytes: number | null = null;

  /**
   * Opens the lanes; null where this host has no such instructions, or they give hashes other than those of OpenSSL. Then nothing
   * is hashed by them.
   */
  static open(code: () => Uint8Array<ArrayBuffer> = sha256Module): Sha256Lanes | null {
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code()));
      const lanes = new Sha256Lanes(exports as Exports);
      return lanes.#isRight() ? lanes : null;
    } catch {
      // Whatever is wrong here, hashes are made one by one without it.
      return null;
    }
  }

  private constructor({ memory, nodes, messages }: Exports) {
    this.#memory = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#nodes = nodes;
    this.#messages = messages;
  }

  /** Hash of the perfect subtree over a power of two of hashes, at most those of a tile. */
  perfect(hashes: Uint8Array): Buffer {
    this.#memory.set(hashes, NODES_AT);
    for (let pairs = hashes.length / PAIR_BYTES; pairs >= 1; pairs /= 2) this.#nodes(pairs);
    return Buffer.from(this.#memory.subarray(NODES_AT, NODES_AT + HASH_BYTES));
  }

  /** Puts the hashes of four entries, each of so many blocks as {@link blocksOf} says, into `hashes` from byte `at` on. */
  leaves(entries: readonly Uint8Array[], blocks: number, hashes: Uint8Array, at: number): void {
    const bytes = blocks * BLOCK_BYTES;
    const [{ length } = { length: 0 }] = entries;
    const areAlike = entries.every((entry) => entry.length === length);
    for (const [lane, entry] of entries.entries()) {
      const start = MESSAGES_AT + lane * bytes;
      this.#memory.set(entry, start + 1);
      if (areAlike && length === this.#paddedBytes) continue;
      const end = start + 1 + entry.length;
      this.#memory[start] = LEAF_PREFIX;
      this.#memory.fill(0, end, start + bytes);
      this.#memory[end] = PADDING_BYTE;
      this.#view.setUint32(start + bytes - LENGTH_BYTES, 8 * (1 + entry.length));
    }
    this.#paddedBytes = areAlike ? length : null;
    this.#messages(bytes, blocks);
    hashes.set(this.#memory.subarray(NODES_AT, NODES_AT + LANES * HASH_BYTES), at);
  }

  /** Every lane, each way through the code, against the hashes of OpenSSL. */
  #isRight(): boolean {
    const data = Buffer.from(Array.from({ length: NODES_BYTES }, (_, at) => (at * 167 + (at >> 5) * 59) & 0xff));
    const hashes = Buffer.alloc(LANES * HASH_BYTES);
    for (const length of [0, 54, 55, 130, 130]) {
      const entries = Array.from({ length: LANES }, (_, lane) => data.subarray(lane * length, (lane + 1) * length));
      this.leaves(entries, blocksOf(length), hashes, 0);
      const expected = entries.map((entry) => sha256(Buffer.concat([Buffer.of(LEAF_PREFIX), entry])));
      if (!Buffer.concat(expected).equals(hashes)) return false;
    }
    for (const count of [1, 2, 4, 8, 32]) {
      const some = data.subarray(0, count * HASH_BYTES);
      if (!this.perfect(some).equals(perfectOneByOne(some))) return false;
    }
    return true;
  }
}

/** Blocks of an entry's message, after its prefix and with its padding. */
export function blocksOf(entryBytes: number): number {
  return Math.ceil((1 + entryBytes + PADDING_BYTES) / BLOCK_BYTES);
}

function perfectOneByOne(hashes: Buffer): Buffer {
  if (hashes.length === HASH_BYTES) return hashes;
  const [left, right] = [hashes.subarray(0, hashes.length / 2), hashes.subarray(hashes.length / 2)];
  return sha256(Buffer.concat([Buffer.of(NODE_PREFIX), perfectOneByOne(left), perfectOneByOne(right)]));
}

function sha256(message: Uint8Array): Buffer {
  return hash('sha256', message, 'buffer');
}
