// The 3-grams of a thread's calls as 16-bit buckets: the same arithmetic that the sensor's program does in the kernel.
import { UNKNOWN_CALL } from './syscall-names.ts';

/** The numbers of the hash; the kernel's program is made of them. */
export const gramHash = {
  /** Buckets of one workload. */
  buckets: 65_536,
  /** Bits of a symbol: calls up to 511, and the two below. */
  symbolBits: 10,
  /** The symbol of every call of the other word size (a 32-bit program's). */
  compatSymbol: 512,
  /** Stands for the calls before a thread's first. */
  startSymbol: 1023,
  /** 2³² divided by the golden ratio, odd: spreads neighbours apart. Source: Knuth, TAOCP 3, 6.4. */
  multiplier: 0x9e37_79b1,
  /** The upper 16 of 32 bits are kept. */
  shift: 16,
} as const;

const GRAM_MASK = 2 ** (3 * gramHash.symbolBits) - 1;

/**
 * Hashes the 3-gram `first second third` to the bucket that counts it in {@link Window.grams}.
 *
 * Symbols are call numbers of the host's architecture (511 from there on), 512 for 32-bit calls, and 1023 in place of the
 * calls before a thread's first, so that each call makes one gram.
 *
 * @returns 0..65535: the upper half of the 30-bit gram times 0x9e3779b1, modulo 2³²
 */
export function gramBucket(first: number, second: number, third: number): number {
  const { symbolBits, multiplier, shift } = gramHash;
  const gram = ((((first << symbolBits) | second) << symbolBits) | third) & GRAM_MASK;
  return Math.imul(gram, multiplier) >>> shift;
}

/** Counts the 3-grams of one thread's calls, in their order, by bucket, as the sensor does. */
export function countGrams(calls: Iterable<number>): Map<number, number> {
  const grams = new Map<number, number>();
  let [first, second]: [number, number] = [gramHash.startSymbol, gramHash.startSymbol];
  for (const call of calls) {
    const third = Math.min(call, UNKNOWN_CALL);
    const bucket = gramBucket(first, second, third);
    grams.set(bucket, (grams.get(bucket) ?? 0) + 1);
    [first, second] = [second, third];
  }
  return grams;
}
