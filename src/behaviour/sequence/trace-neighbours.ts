// How far a trace is from the nearest of those that are known, by the calls and the pairs of calls that occur in it.
import { logarithm } from './real-functions.ts';
import { SlotLists } from './slot-lists.ts';
import type { TraceGrams } from './trace-grams.ts';

/** Distance to the nearest known trace: 0 (the same set) to 1 (nothing in common). */
export interface NearestTrace {
  /** Of the sets of calls, a rare call weighing more. */
  readonly calls: number;
  /** Of the sets of pairs. */
  readonly pairs: number;
}

/** An inverted index of the traces that are known, each in a slot. */
export class TraceNeighbours {
  readonly #slotsByCall = new SlotLists();
  readonly #slotsByPair = new SlotLists();
  /** Distinct pairs by slot; 0 where a trace was taken away. */
  readonly #pairCounts: number[] = [];
  #weights: Float64Array | null = null;
  #count = 0;

  put(slot: number, grams: TraceGrams): void {
    const pairs = pairsOf(grams);
    this.#pairCounts[slot] = pairs.length;
    for (const call of grams.calls) this.#slotsByCall.put(call, slot);
    for (const pair of pairs) this.#slotsByPair.put(pair, slot);
    this.#count += 1;
    this.#weights = null;
  }

  /** Takes away the trace of these grams. */
  remove(slot: number, grams: TraceGrams): void {
    for (const call of grams.calls) this.#slotsByCall.drop(call, slot);
    for (const pair of pairsOf(grams)) this.#slotsByPair.drop(pair, slot);
    this.#pairCounts[slot] = 0;
    this.#count -= 1;
    this.#weights = null;
  }

  /** Measures the distance to the nearest trace, other than that in slot `except` (−1 for none). */
  nearest(grams: TraceGrams, except: number): NearestTrace {
    const weights = (this.#weights ??= this.#weigh());
    const slots = this.#pairCounts.length;
    const shared = new Float64Array(slots);
    let own = 0;
    for (const call of grams.calls) {
      const weight = this.#weight(call);
      own += weight;
      addTo(shared, this.#slotsByCall.of(call), weight);
    }
    const pairs = pairsOf(grams);
    const sharedPairs = new Float64Array(slots);
    for (const pair of pairs) addTo(sharedPairs, this.#slotsByPair.of(pair), 1);
    const nearest = { calls: 1, pairs: pairs.length === 0 ? 0 : 1 };
    for (let slot = 0; slot < slots; slot += 1) {
      const sharedWeight = shared[slot] ?? 0;
      // What shares no call, as a trace that was taken away, is at the distance 1 already.
      if (sharedWeight === 0 || slot === except) continue;
      const calls = distance(sharedWeight, own + (weights[slot] ?? 0));
      if (calls < nearest.calls) nearest.calls = calls;
      const sharedCount = sharedPairs[slot] ?? 0;
      if (sharedCount === 0) continue;
      const pairDistance = distance(sharedCount, pairs.length + (this.#pairCounts[slot] ?? 0));
      if (pairDistance < nearest.pairs) nearest.pairs = pairDistance;
    }
    return nearest;
  }

  /** The weights of all traces; in the order of the calls, as the weight of one trace is, so that equal sets weigh the same to the bit. */
  #weigh(): Float64Array {
    const weights = new Float64Array(this.#pairCounts.length);
    for (const call of this.#slotsByCall.keys()) addTo(weights, this.#slotsByCall.of(call), this.#weight(call));
    return weights;
  }

  /** @source inverse document frequency: Spärck Jones, Journal of Documentation 28 (1972) */
  #weight(call: number): number {
    const traces = this.#slotsByCall.count(call);
    return 1 + logarithm((this.#count + 1) / (traces + 1));
  }
}

function addTo(sums: Float64Array, list: Uint16Array, amount: number): void {
  const end = list[0] ?? 0;
  for (let at = 1; at <= end; at += 1) {
    const slot = list[at] ?? 0;
    sums[slot] = (sums[slot] ?? 0) + amount;
  }
}

/** Jaccard's distance of two sets by what they share, which is not nothing, and the sum of their sizes. */
function distance(shared: number, sizes: number): number {
  return 1 - shared / (sizes - shared);
}

function pairsOf({ keys, firsts }: TraceGrams): number[] {
  return Array.from(firsts[1] ?? [], (place) => keys[1]?.[place] ?? 0);
}
