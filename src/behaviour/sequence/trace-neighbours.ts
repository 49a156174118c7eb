// How far a trace is from the nearest of those that are known, by the calls and the pairs of calls that occur in it.
import { logarithm } from './real-functions.ts';
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
  readonly #slotsByCall = new Map<number, number[]>();
  readonly #slotsByPair = new Map<number, number[]>();
  /** By slot; undefined where a trace was taken away. */
  readonly #callsOf: (readonly number[] | undefined)[] = [];
  readonly #pairsOf: (readonly number[] | undefined)[] = [];
  #weights: Float64Array | null = null;
  #count = 0;

  put(slot: number, grams: TraceGrams): void {
    const pairs = pairsOf(grams);
    this.#callsOf[slot] = grams.calls;
    this.#pairsOf[slot] = pairs;
    for (const call of grams.calls) listOf(this.#slotsByCall, call).push(slot);
    for (const pair of pairs) listOf(this.#slotsByPair, pair).push(slot);
    this.#count += 1;
    this.#weights = null;
  }

  remove(slot: number): void {
    for (const call of this.#callsOf[slot] ?? []) dropFrom(this.#slotsByCall, call, slot);
    for (const pair of this.#pairsOf[slot] ?? []) dropFrom(this.#slotsByPair, pair, slot);
    this.#callsOf[slot] = undefined;
    this.#pairsOf[slot] = undefined;
    this.#count -= 1;
    this.#weights = null;
  }

  /** Measures the distance to the nearest trace, other than that in slot `except` (−1 for none). */
  nearest(grams: TraceGrams, except: number): NearestTrace {
    this.#weights ??= Float64Array.from(this.#callsOf, (calls) => this.#weightOf(calls ?? []));
    const slots = this.#callsOf.length;
    const shared = new Float64Array(slots);
    for (const call of grams.calls) {
      const weight = this.#weight(call);
      for (const slot of this.#slotsByCall.get(call) ?? []) shared[slot] = (shared[slot] ?? 0) + weight;
    }
    const pairs = pairsOf(grams);
    const sharedPairs = new Uint32Array(slots);
    for (const pair of pairs) {
      for (const slot of this.#slotsByPair.get(pair) ?? []) sharedPairs[slot] = (sharedPairs[slot] ?? 0) + 1;
    }
    const weight = this.#weightOf(grams.calls);
    const nearest = { calls: 1, pairs: pairs.length === 0 ? 0 : 1 };
    for (let slot = 0; slot < slots; slot += 1) {
      if (slot === except || this.#callsOf[slot] === undefined) continue;
      const calls = distance(shared[slot] ?? 0, weight + (this.#weights[slot] ?? 0));
      if (calls < nearest.calls) nearest.calls = calls;
      const pairDistance = distance(sharedPairs[slot] ?? 0, pairs.length + (this.#pairsOf[slot]?.length ?? 0));
      if (pairDistance < nearest.pairs) nearest.pairs = pairDistance;
    }
    return nearest;
  }

  #weightOf(calls: readonly number[]): number {
    let sum = 0;
    for (const call of calls) sum += this.#weight(call);
    return sum;
  }

  /** @source inverse document frequency: Spärck Jones, Journal of Documentation 28 (1972) */
  #weight(call: number): number {
    const traces = this.#slotsByCall.get(call)?.length ?? 0;
    return 1 + logarithm((this.#count + 1) / (traces + 1));
  }
}

/** Jaccard's distance of two sets by what they share and the sum of their sizes. */
function distance(shared: number, sizes: number): number {
  const union = sizes - shared;
  return union > 0 ? 1 - shared / union : 0;
}

function pairsOf({ keys, firsts }: TraceGrams): number[] {
  return Array.from(firsts[1] ?? [], (place) => keys[1]?.[place] ?? 0);
}

function listOf(slots: Map<number, number[]>, key: number): number[] {
  const list = slots.get(key);
  if (list !== undefined) return list;
  const fresh: number[] = [];
  slots.set(key, fresh);
  return fresh;
}

function dropFrom(slots: Map<number, number[]>, key: number, slot: number): void {
  const rest = (slots.get(key) ?? []).filter((one) => one !== slot);
  if (rest.length === 0) slots.delete(key);
  else slots.set(key, rest);
}
