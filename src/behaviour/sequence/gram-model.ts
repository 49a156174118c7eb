// How likely a run of calls is after the ones before it: counts of traces, backed off from long runs to short ones.
import { GramTable } from './gram-table.ts';
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
  readonly #shorter = new GramTable({ hasFollowers: true });
  readonly #longest = new GramTable({ hasFollowers: false });
  #calls = 0;

  /** Adds a trace, or with `times` −1 takes away one that was added. */
  add(grams: TraceGrams, times: 1 | -1): void {
    this.#calls += times * (grams.firsts[0]?.length ?? 0);
    for (let order = 1; order <= ORDER_MAX; order += 1) {
      const table = this.#tableOf(order);
      const keys = grams.keys[order - 1];
      const prefixes = grams.keys[order - 2];
      for (const place of grams.firsts[order - 1] ?? []) {
        const slot = table.slotFor(keys?.[place] ?? 0);
        const before = table.traces[slot] ?? 0;
        table.traces[slot] = before + times;
        if (prefixes !== undefined) this.#follow(prefixes[place - 1] ?? 0, { before, times });
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

  #follow(prefix: number, { before, times }: { readonly before: number; readonly times: 1 | -1 }): void {
    const table = this.#shorter;
    const slot = table.slotFor(prefix);
    table.followers[slot] = (table.followers[slot] ?? 0) + times;
    const kinds = table.kinds[slot] ?? 0;
    if (before === 0) table.kinds[slot] = kinds + 1;
    // Two runs that share a key may leave fewer kinds than there are.
    else if (before + times === 0 && kinds > 0) table.kinds[slot] = kinds - 1;
  }

  #probability(grams: TraceGrams, place: number, orderMax: number): number {
    const weight = this.#calls + UNSEEN_WEIGHT * CALLS_EXPECTED;
    const { traces, followers, kinds } = this.#shorter;
    const call = traces[this.#shorter.find(grams.keys[0]?.[place] ?? 0)] ?? 0;
    let probability = (call + UNSEEN_WEIGHT) / weight;
    for (let order = 2; order <= orderMax; order += 1) {
      const prefix = this.#shorter.find(grams.keys[order - 2]?.[place - 1] ?? 0);
      const sum = followers[prefix] ?? 0;
      const novel = kinds[prefix] ?? 0;
      // What never was followed by anything is not a prefix of longer runs either.
      if (sum === 0 || novel === 0) return probability;
      const table = this.#tableOf(order);
      const seen = table.traces[table.find(grams.keys[order - 1]?.[place] ?? 0)] ?? 0;
      probability = (seen + novel * probability) / (sum + novel);
    }
    return probability;
  }

  #tableOf(order: number): GramTable {
    return order === ORDER_MAX ? this.#longest : this.#shorter;
  }
}
