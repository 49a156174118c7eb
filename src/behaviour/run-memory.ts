// Which runs of three calls a program is known to make: a bit for each bucket that the sensor counts them in.
import { gramHash } from './call-grams.ts';

/** Runs that were seen, and those that were seen in two windows or more; each 65,536 bits in base64, or empty for none. */
export interface RunMemory {
  /** Windows that were learnt with runs in them: the sensor counts runs only where somebody asks for them. */
  readonly windows: number;
  readonly seen: string;
  readonly again: string;
}

/** How the runs of one window relate to those that are known. */
export interface RunNovelty {
  /** Buckets never seen before, the most frequent first, then by number. */
  readonly fresh: readonly number[];
  /** Share of the window's runs that are never seen before or were seen in one window alone, which count half; 0..1. */
  readonly rareShare: number;
}

const BYTES = gramHash.buckets / 8;

/** The memory of code whose runs were never counted. */
export const noRuns: RunMemory = { windows: 0, seen: '', again: '' };

/** Remembers the runs of a window. */
export function rememberRuns(memory: RunMemory, grams: ReadonlyMap<number, number>): RunMemory {
  const [seen, again] = [bitsOf(memory.seen), bitsOf(memory.again)];
  let isChanged = false;
  for (const [bucket, count] of grams) {
    if (count <= 0 || !isBucket(bucket)) continue;
    const target = has(seen, bucket) ? again : seen;
    isChanged ||= !has(target, bucket);
    target[bucket >> 3] = (target[bucket >> 3] ?? 0) | (1 << (bucket & 7));
  }
  const windows = memory.windows + 1;
  return isChanged
    ? { windows, seen: seen.toString('base64'), again: again.toString('base64') }
    : { ...memory, windows };
}

/** Compares the runs of a window with those that are known. */
export function compareRuns(memory: RunMemory, grams: ReadonlyMap<number, number>): RunNovelty {
  const [seen, again] = [bitsOf(memory.seen), bitsOf(memory.again)];
  const fresh: [bucket: number, count: number][] = [];
  let [all, rareHalves] = [0, 0];
  for (const [bucket, count] of grams) {
    if (count <= 0 || !isBucket(bucket)) continue;
    all += count;
    if (has(again, bucket)) continue;
    if (!has(seen, bucket)) fresh.push([bucket, count]);
    rareHalves += has(seen, bucket) ? count : 2 * count;
  }
  fresh.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return { fresh: fresh.map(([bucket]) => bucket), rareShare: all === 0 ? 0 : rareHalves / (2 * all) };
}

/** Buckets that were seen, and those that were in two windows or more. */
export function countRuns(memory: RunMemory): { readonly seen: number; readonly again: number } {
  return { seen: bitsSet(bitsOf(memory.seen)), again: bitsSet(bitsOf(memory.again)) };
}

function bitsSet(bits: Buffer): number {
  let count = 0;
  for (let rest of bits) for (; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** Whether a text is one that a memory can hold. */
export function isRunBits(text: unknown): boolean {
  return (
    typeof text === 'string' &&
    (text === '' || (Buffer.from(text, 'base64').toString('base64') === text && bitsOf(text).length === BYTES))
  );
}

function bitsOf(text: string): Buffer {
  return text === '' ? Buffer.alloc(BYTES) : Buffer.from(text, 'base64');
}

function has(bits: Buffer, bucket: number): boolean {
  return ((bits[bucket >> 3] ?? 0) & (1 << (bucket & 7))) !== 0;
}

function isBucket(bucket: number): boolean {
  return Number.isInteger(bucket) && bucket >= 0 && bucket < gramHash.buckets;
}
