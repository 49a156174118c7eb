// The two hashes of a Merkle tree. @source RFC 6962, section 2.1
import { hash } from 'node:crypto';

import { LANES } from './sha256-code.ts';
import { blocksOf, Sha256Lanes } from './sha256-lanes.ts';

/** Bytes of a hash. */
export const HASH_BYTES = 32;

/** Root of the tree without entries. */
export const EMPTY_ROOT: Buffer = sha256(Buffer.alloc(0));

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;
const PAIR_BYTES = 2 * HASH_BYTES;

/** Longest message that is put together in a buffer of its own, once for all: memory for each would take longer than its hash. */
const SCRATCH_BYTES = 64 * 1024;
/** Nothing in it outlives the call that wrote it. */
const scratch = Buffer.alloc(SCRATCH_BYTES);
const node = Buffer.alloc(1 + PAIR_BYTES);

/**
 * Entries of more blocks are hashed one by one: there OpenSSL, with a processor's own instructions for SHA-256, is ahead by more than a
 * call of it costs. Measured: 370 ns each way at 5 blocks.
 */
const BLOCKS_SIDE_BY_SIDE_MAX = 5;
/** Hashes of a process before it makes code for hashing side by side: that takes as long as some ten thousand of them. */
const HASHES_BEFORE_LANES = 16_384;

/** Hashing side by side, from when a process has hashed so much that it pays. What is hashed, and to what, is the same without. */
class LanesWhenTheyPay {
  #hashes = 0;
  #lanes: Sha256Lanes | null = null;

  /** The lanes for so many hashes more; null while they do not pay. */
  for(count: number): Sha256Lanes | null {
    if (this.#hashes > HASHES_BEFORE_LANES) return this.#lanes;
    this.#hashes += count;
    if (this.#hashes > HASHES_BEFORE_LANES) this.#lanes = Sha256Lanes.open();
    return this.#lanes;
  }
}

const sideBySide = new LanesWhenTheyPay();

/** Hash of an entry: SHA-256 over 0x00 and its bytes. */
export function hashLeaf(entry: Uint8Array): Buffer {
  return sha256(leafMessage(entry));
}

/** Puts the hashes of entries, one after the other, into `hashes` from byte `at` on. */
export function hashLeaves(entries: readonly Uint8Array[], hashes: Buffer, at: number): void {
  const lanes = sideBySide.for(entries.length);
  for (let done = 0; done < entries.length;) {
    const blocks = lanes === null ? 0 : blocksOfNext(entries, done);
    const to = at + done * HASH_BYTES;
    if (lanes !== null && blocks > 0) {
      lanes.leaves(entries.slice(done, done + LANES), blocks, hashes, to);
      done += LANES;
    } else {
      hashes.write(hash('sha256', leafMessage(entries[done] as Uint8Array), 'binary'), to, 'latin1');
      done += 1;
    }
  }
}

/** Blocks of each of the next entries that can be hashed side by side; 0 when they cannot. */
function blocksOfNext(entries: readonly Uint8Array[], from: number): number {
  const blocks = blocksOf(entries[from]?.length ?? 0);
  if (blocks > BLOCKS_SIDE_BY_SIDE_MAX || from + LANES > entries.length) return 0;
  for (let at = from + 1; at < from + LANES; at += 1) if (blocksOf(entries[at]?.length ?? 0) !== blocks) return 0;
  return blocks;
}

/** The view is kept for the next: entries of a log are often of one length. */
const last = { message: scratch.subarray(0, 1) };

function leafMessage(entry: Uint8Array): Uint8Array {
  const bytes = 1 + entry.length;
  if (last.message.length !== bytes)
    last.message = bytes <= SCRATCH_BYTES ? scratch.subarray(0, bytes) : Buffer.allocUnsafe(bytes);
  last.message[0] = LEAF_PREFIX;
  last.message.set(entry, 1);
  return last.message;
}

/** Hash of an inner node: SHA-256 over 0x01 and the hashes of its two children, 32 bytes each. */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  node[0] = NODE_PREFIX;
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}

/** Hash of the perfect subtree over a power of two of hashes, at most those of a tile, which lie one after the other in `hashes`. */
export function hashPerfect(hashes: Uint8Array): Buffer {
  const lanes = sideBySide.for(hashes.length / HASH_BYTES - 1);
  if (lanes !== null && hashes.length > PAIR_BYTES) return lanes.perfect(hashes);
  const level = Buffer.from(hashes);
  for (let end = level.length; end > HASH_BYTES; end /= 2) hashPairs(level, end);
  return Buffer.from(level.subarray(0, HASH_BYTES));
}

/** Puts the hashes of the pairs in the first `end` bytes in their place, from the beginning. */
function hashPairs(level: Buffer, end: number): void {
  node[0] = NODE_PREFIX;
  for (let at = 0; at < end; at += PAIR_BYTES) {
    // Byte by byte: a view to copy from costs more than the copy.
    for (let byte = 0; byte < PAIR_BYTES; byte += 1) node[1 + byte] = level[at + byte] ?? 0;
    level.write(hash('sha256', node, 'binary'), at / 2, 'latin1');
  }
}

/** By way of a string of 32 characters: Node makes one in a quarter of the time that a buffer with memory of its own takes. */
function sha256(message: Uint8Array): Buffer {
  return Buffer.from(hash('sha256', message, 'binary'), 'latin1');
}
