// Verification of Merkle proofs: that an entry is in a tree, and that one tree continues another. @source RFC 9162, sections 2.1.3.2 and 2.1.4.2
import { exitStatus, isSameBytes } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import { EMPTY_ROOT, HASH_BYTES, hashNode } from './tree-hash.ts';

/** Hashes of the longest proof of a tree of 2^63 entries. */
export const PROOF_HASHES_MAX = 63;

/** That an entry is in a tree. */
export interface InclusionClaim {
  /** 0-based. */
  readonly index: bigint;
  /** Entries of the tree. */
  readonly size: bigint;
  readonly leafHash: Uint8Array;
  /** Sibling hashes from the leaf to the root, 32 bytes each. */
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** That the tree of `to` entries continues the one of `from`. */
export interface ConsistencyClaim {
  readonly from: bigint;
  readonly to: bigint;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  /** 32 bytes each. */
  readonly proof: readonly Uint8Array[];
}

/**
 * Verifies that `leafHash` is entry `index` of the tree with `root`.
 *
 * @throws LedgerError LEDGER_PROOF
 * @source RFC 9162, section 2.1.3.2
 */
export function verifyInclusion({ index, size, leafHash, proof, root }: InclusionClaim): void {
  if (index < 0n || index >= size) throw badProof(`entry ${index} is not in a tree of ${size}`);
  checkHashes([leafHash, root, ...proof], proof.length);
  let [at, last, hash] = [index, size - 1n, leafHash];
  for (const sibling of proof) {
    if (last === 0n) throw badProof('it is too long');
    if (isOdd(at) || at === last) {
      hash = hashNode(sibling, hash);
      while (!isOdd(at) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      hash = hashNode(hash, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n) throw badProof('it is too short');
  if (!isSameBytes(hash, root)) throw badProof('it leads to another root');
}

/**
 * Verifies that the tree of `to` entries begins with the tree of `from` entries. Every tree continues the empty one.
 *
 * @throws LedgerError LEDGER_PROOF
 * @source RFC 9162, section 2.1.4.2
 */
export function verifyConsistency({ from, to, fromRoot, toRoot, proof }: ConsistencyClaim): void {
  if (from < 0n || from > to) throw badProof(`a tree of ${to} does not continue one of ${from}`);
  checkHashes([fromRoot, toRoot, ...proof], proof.length);
  if (from === 0n || from === to) {
    if (proof.length > 0) throw badProof('it is too long');
    if (from === to && !isSameBytes(fromRoot, toRoot)) throw badProof('two trees of one size have different roots');
    if (from === 0n && !isSameBytes(fromRoot, EMPTY_ROOT)) throw badProof('the root of the empty tree is another');
    return;
  }
  const isPerfect = (from & (from - 1n)) === 0n;
  const [first, ...path] = isPerfect ? [fromRoot, ...proof] : proof;
  if (first === undefined) throw badProof('it is too short');
  walkConsistency({ from, to, fromRoot, toRoot, first, path });
}

interface ConsistencyWalk extends Omit<ConsistencyClaim, 'proof'> {
  readonly first: Uint8Array;
  readonly path: readonly Uint8Array[];
}

function walkConsistency({ from, to, fromRoot, toRoot, first, path }: ConsistencyWalk): void {
  let [at, last, old, now] = [from - 1n, to - 1n, first, first];
  while (isOdd(at)) [at, last] = [at >> 1n, last >> 1n];
  for (const sibling of path) {
    if (last === 0n) throw badProof('it is too long');
    if (isOdd(at) || at === last) {
      [old, now] = [hashNode(sibling, old), hashNode(sibling, now)];
      while (!isOdd(at) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      now = hashNode(now, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n) throw badProof('it is too short');
  if (!isSameBytes(old, fromRoot)) throw badProof('it leads to another root of the smaller tree');
  if (!isSameBytes(now, toRoot)) throw badProof('it leads to another root of the larger tree');
}

function isOdd(value: bigint): boolean {
  return (value & 1n) === 1n;
}

function checkHashes(hashes: readonly Uint8Array[], count: number): void {
  if (count > PROOF_HASHES_MAX) throw badProof('it is too long');
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw badProof('a hash in it has not 32 bytes');
}

function badProof(why: string): LedgerError {
  return new LedgerError('LEDGER_PROOF', `the proof does not hold: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Get the proof and the checkpoint again from the log; if it still fails, keep both: the log may show different people different trees.',
  });
}
