// The two hashes of a Merkle tree. @source RFC 6962, section 2.1
import { hash } from 'node:crypto';

/** Bytes of a hash. */
export const HASH_BYTES = 32;

/** Root of the tree without entries. */
export const EMPTY_ROOT: Buffer = hash('sha256', Buffer.alloc(0), 'buffer');

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/** Hash of an entry: SHA-256 over 0x00 and its bytes. */
export function hashLeaf(entry: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(1 + entry.length);
  message[0] = LEAF_PREFIX;
  message.set(entry, 1);
  return hash('sha256', message, 'buffer');
}

/** Hash of an inner node: SHA-256 over 0x01 and the hashes of its two children, 32 bytes each. */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  message[0] = NODE_PREFIX;
  message.set(left, 1);
  message.set(right, 1 + HASH_BYTES);
  return hash('sha256', message, 'buffer');
}

/** Hash of the perfect subtree over a power of two of hashes, which lie one after the other in `hashes`. */
export function hashPerfect(hashes: Uint8Array): Buffer {
  let level = hashes;
  while (level.length > HASH_BYTES) level = hashPairs(level);
  return Buffer.from(level);
}

function hashPairs(level: Uint8Array): Buffer {
  const above = Buffer.allocUnsafe(level.length / 2);
  const message = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  message[0] = NODE_PREFIX;
  for (let at = 0; at < level.length; at += 2 * HASH_BYTES) {
    message.set(level.subarray(at, at + 2 * HASH_BYTES), 1);
    above.set(hash('sha256', message, 'buffer'), at / 2);
  }
  return above;
}
