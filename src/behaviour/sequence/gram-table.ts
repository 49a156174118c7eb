// Counts by 32-bit key in typed arrays, open addressing: a tenth of the memory of a Map.

const SIZE_FIRST = 1 << 10;

/** What is counted of a run of calls; a slot of the table. */
export class GramTable {
  #keys = new Uint32Array(SIZE_FIRST);
  #size = 0;
  /** Traces that contain the run. */
  traces = new Uint16Array(SIZE_FIRST);
  /** Of the runs one call longer that begin with this one: the sum of their traces, and how many kinds there are. Empty for the longest. */
  followers: Uint32Array;
  kinds: Uint16Array;
  readonly #hasFollowers: boolean;

  constructor(options: { readonly hasFollowers: boolean }) {
    this.#hasFollowers = options.hasFollowers;
    this.followers = new Uint32Array(options.hasFollowers ? SIZE_FIRST : 0);
    this.kinds = new Uint16Array(options.hasFollowers ? SIZE_FIRST : 0);
  }

  /** Where the key is, or the free slot, all of whose counts are 0, where it would be. Keys are above 0. */
  find(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let slot = key & mask;
    while (keys[slot] !== key && keys[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }

  /** The slot of the key, which is made if need be; slots found before are no longer valid. */
  slotFor(key: number): number {
    const slot = this.find(key);
    if (this.#keys[slot] === key) return slot;
    if (this.#size * 4 >= this.#keys.length * 3) {
      this.#rebuild();
      return this.slotFor(key);
    }
    this.#size += 1;
    this.#keys[slot] = key;
    return slot;
  }

  /** Doubles the table, or only drops the runs that no trace has any more. */
  #rebuild(): void {
    const { traces, followers, kinds } = this;
    const keys = this.#keys;
    let kept = 0;
    for (const count of traces) if (count > 0) kept += 1;
    const size = kept * 2 < keys.length ? keys.length : keys.length * 2;
    this.#keys = new Uint32Array(size);
    this.#size = 0;
    this.traces = new Uint16Array(size);
    this.followers = new Uint32Array(this.#hasFollowers ? size : 0);
    this.kinds = new Uint16Array(this.#hasFollowers ? size : 0);
    for (let old = 0; old < keys.length; old += 1) {
      if (traces[old] === 0) continue;
      const slot = this.slotFor(keys[old] ?? 0);
      this.traces[slot] = traces[old] ?? 0;
      if (!this.#hasFollowers) continue;
      this.followers[slot] = followers[old] ?? 0;
      this.kinds[slot] = kinds[old] ?? 0;
    }
  }
}
