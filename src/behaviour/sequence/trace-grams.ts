// A trace taken apart: which calls, and which runs of two to five calls, occur in it at all. How often is left out: a loop is seen once.

/** Longest run of calls that is looked at. */
export const ORDER_MAX = 5;

/** What occurs in one trace. Valid until the next trace is read. */
export interface TraceGrams {
  /** The distinct calls, ascending, so that sums over them do not depend on their order in the trace. */
  readonly calls: readonly number[];
  /** By order − 1: for each place in the trace the key of the run that ends there. */
  readonly keys: readonly Uint32Array[];
  /** By order − 1: the places where a run is seen for the first time in this trace. */
  readonly firsts: readonly Int32Array[];
}

/** Reads traces one after the other with the same scratch memory. */
export class GramReader {
  #seen = new Uint32Array(1024);

  read(trace: ArrayLike<number>): TraceGrams {
    const keys = keysOf(trace);
    const firsts = keys.map((row, index) => this.#firstsOf(row, index));
    const distinct = Array.from(firsts[0] ?? [], (place) => trace[place] ?? 0);
    return { calls: distinct.sort((a, b) => a - b), keys, firsts };
  }

  #firstsOf(row: Uint32Array, start: number): Int32Array {
    let size = 64;
    while (size < 2 * row.length) size *= 2;
    if (size > this.#seen.length) this.#seen = new Uint32Array(size);
    const seen = this.#seen.fill(0, 0, size);
    const mask = size - 1;
    const places = new Int32Array(row.length);
    let count = 0;
    for (let place = start; place < row.length; place += 1) {
      const key = row[place] ?? 0;
      let slot = key & mask;
      while (seen[slot] !== 0 && seen[slot] !== key) slot = (slot + 1) & mask;
      if (seen[slot] === key) continue;
      seen[slot] = key;
      places[count] = place;
      count += 1;
    }
    return places.subarray(0, count);
  }
}

/** Keys of 32 bits, never 0: two runs of a model share one about once in a hundred models. */
function keysOf(trace: ArrayLike<number>): Uint32Array[] {
  const rows = Array.from({ length: ORDER_MAX }, () => new Uint32Array(trace.length));
  for (let place = 0; place < trace.length; place += 1) {
    let hash = 0;
    for (let order = 1; order <= ORDER_MAX && order <= place + 1; order += 1) {
      hash = mixed(hash ^ ((trace[place - order + 1] ?? 0) + 1) ^ Math.imul(order, 0x9e3779b1));
      const row = rows[order - 1];
      if (row !== undefined) row[place] = hash === 0 ? 1 : hash;
    }
  }
  return rows;
}

/** @source the finaliser of MurmurHash3, Austin Appleby, public domain */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
