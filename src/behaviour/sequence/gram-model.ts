// How likely a run of calls is after the ones before it: counts of traces, backed off from long runs to short ones.
import { logarithm } from './real-functions.ts';
import { ORDER_MAX, type TraceGrams } from './trace-grams.ts';

/** System calls that a kernel has, about: a call that was never seen is one of as many. */
const CALLS_EXPECTED = 200;
const UNSEEN_WEIGHT = 0.5;

/**
 * Counts, for runs of one to five calls, the traces that contain them; so no loop weighs more than once. A run's probability
 * is interpolated with that of the run without its first call, by as much as new calls followed its prefix in the past.
 *
 * @source Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37 (1991), method C
 */
export class GramModel {
  #keys = new Uint32Array(1 << 12);
  #traces = new Uint16Array(1 << 12);
  /** Of the runs one call longer that begin with this one: the sum of their traces, and how many kinds there are. */
  #followers = new Uint32Array(1 << 12);
  #kinds = new Uint16Array(1 << 12);
  #size = 0;
  #calls = 0;

  /** Adds a trace, or with `times` −1 takes away one that was added. */
  add(grams: TraceGrams, times: 1 | -1): void {
    this.#calls += times * (grams.firsts[0]?.length ?? 0);
    for (let order = 1; order <= ORDER_MAX; order += 1) {
      const keys = grams.keys[order - 1];
      const prefixes = grams.keys[order - 2];
      for (const place of grams.firsts[order - 1] ?? []) {
        const slot = this.#slotFor(keys?.[place] ?? 0);
        const before = this.#traces[slot] ?? 0;
        this.#traces[slot] = before + times;
        if (prefixes === undefined) continue;
        const prefix = this.#slotFor(prefixes[place - 1] ?? 0);
        this.#followers[prefix] = (this.#followers[prefix] ?? 0) + times;
        const kinds = this.#kinds[prefix] ?? 0;
        if (before === 0) this.#kinds[prefix] = kinds + 1;
        // Two runs that share a key may leave fewer kinds than there are.
        else if (before + times === 0 && kinds > 0) this.#kinds[prefix] = kinds - 1;
      }
    }
  }

  /** −ln of the probability of the last call of each distinct run of `order` calls, in the order of their first places. */
  surprisals(grams: TraceGrams, order: number): Float64Array {
    const places = grams.firsts[order - 1] ?? new Int32Array(0);
    const surprisals = new Float64Array(places.length);
    for (let index = 0; index < places.length; index += 1) {
      surprisals[index] = -logarithm(this.#probability(grams, places[index] ?? 0, order));
    }
    return surprisals;
  }

  #probability(grams: TraceGrams, place: number, orderMax: number): number {
    const weight = this.#calls + UNSEEN_WEIGHT * CALLS_EXPECTED;
    let probability = (this.#tracesOf(grams.keys[0]?.[place] ?? 0) + UNSEEN_WEIGHT) / weight;
    for (let order = 2; order <= orderMax; order += 1) {
      const prefix = this.#find(grams.keys[order - 2]?.[place - 1] ?? 0);
      const followers = this.#followers[prefix] ?? 0;
      const kinds = this.#kinds[prefix] ?? 0;
      // What never was followed by anything is not a prefix of longer runs either.
      if (followers === 0 || kinds === 0) return probability;
      const traces = this.#tracesOf(grams.keys[order - 1]?.[place] ?? 0);
      probability = (traces + kinds * probability) / (followers + kinds);
    }
    return probability;
  }

  #tracesOf(key: number): number {
    return this.#traces[this.#find(key)] ?? 0;
  }

  /** Where the key is, or the free slot where it would be. */
  #find(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let slot = key & mask;
    while (keys[slot] !== key && keys[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }

  #slotFor(key: number): number {
    const slot = this.#find(key);
    if (this.#keys[slot] === key) return slot;
    if (this.#size * 4 < this.#keys.length * 3) {
      this.#size += 1;
      this.#keys[slot] = key;
      return slot;
    }
    this.#grow();
    return this.#slotFor(key);
  }

  /** Doubles the table, or only drops the runs that no trace has any more. */
  #grow(): void {
    const [keys, traces, followers, kinds] = [this.#keys, this.#traces, this.#followers, this.#kinds];
    const kept = traces.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    const size = kept * 2 < keys.length ? keys.length : keys.length * 2;
    this.#keys = new Uint32Array(size);
    this.#traces = new Uint16Array(size);
    this.#followers = new Uint32Array(size);
    this.#kinds = new Uint16Array(size);
    this.#size = 0;
    for (let old = 0; old < keys.length; old += 1) {
      if ((traces[old] ?? 0) === 0) continue;
      const slot = this.#slotFor(keys[old] ?? 0);
      this.#traces[slot] = traces[old] ?? 0;
      this.#followers[slot] = followers[old] ?? 0;
      this.#kinds[slot] = kinds[old] ?? 0;
    }
  }
}
