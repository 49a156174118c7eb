// How unusual the system calls of one whole run are for code that is known by earlier runs: four views of a trace, ranked and joined.
import { GramModel } from './gram-model.ts';
import { Ranks } from './ranks.ts';
import { logarithm, squareRoot } from './real-functions.ts';
import { GramReader, type TraceGrams } from './trace-grams.ts';
import { TraceNeighbours } from './trace-neighbours.ts';

/** Traces that are remembered, and scores that a new one is ranked among. */
const TRACES_MAX = 2048;
/** Share of the most surprising runs of three that the peak is the mean of. */
const PEAK_SHARE = 0.2;
/** Keeps one view that ranks highest from outweighing the three others. */
const RANK_FLOOR = 0.005;
/** A trace that ranks within this most unusual share of the first normals is never learnt without being asked to: it may be an attack's. */
const UNTRUSTED_SHARE = 0.2;

/** What one trace was judged to be. */
export interface TraceScore {
  /** From about 4 (as normal as can be) to 800; more is more unusual. */
  readonly score: number;
  /** Conformal p-value of the score among recent normal ones, 0..1. */
  readonly pValue: number;
}

type Views = readonly [calls: number, pairs: number, peak: number, mean: number];

/** Learns traces (call numbers in order) that are normal and scores others against them. Deterministic: the same calls give the same bits. */
export class TraceDetector {
  readonly #reader = new GramReader();
  readonly #model = new GramModel();
  readonly #neighbours = new TraceNeighbours();
  /** As text, a character a call: the smallest form that there is. */
  readonly #traces: string[] = [];
  readonly #ranks = [0, 1, 2, 3].map(() => new Ranks(TRACES_MAX));
  /** Scores of the first normals, by which is told what may be learnt; and of whatever was seen last, by which a new one is ranked. */
  readonly #firstScores = new Ranks(TRACES_MAX);
  readonly #recentScores = new Ranks(TRACES_MAX);
  #next = 0;

  /** Learns traces that are known to be normal; each is then scored as if it alone had not been learnt, to know what scores are normal. */
  constructor(normals: readonly ArrayLike<number>[]) {
    for (const trace of normals) this.#remember(trace);
    const views = this.#traces.map((trace, slot) => this.#viewsWithout(trace, slot));
    for (const view of views) this.#ranks.forEach((ranks, index) => ranks.add(view[index] ?? 0));
    for (const view of views) {
      const score = this.#joined(view);
      this.#firstScores.add(score);
      this.#recentScores.add(score);
    }
  }

  /** Scores a trace; changes nothing. */
  score(trace: ArrayLike<number>): TraceScore {
    const score = this.#joined(this.#views(this.#reader.read(trace), -1));
    return { score, pValue: this.#recentScores.pValue(score) };
  }

  /**
   * Scores a trace that nobody has judged and then adapts to it: its score counts for later p-values, and the trace itself is learnt unless it
   * is among the most unusual. By what it is told which those are never moves: who can have unusual traces learnt cannot shift it.
   */
  observe(trace: ArrayLike<number>): TraceScore {
    const result = this.score(trace);
    this.#recentScores.add(result.score);
    if (this.#firstScores.pValue(result.score) >= UNTRUSTED_SHARE) this.#remember(trace);
    return result;
  }

  #remember(trace: ArrayLike<number>): void {
    const slot = this.#next;
    this.#next = (slot + 1) % TRACES_MAX;
    const oldest = this.#traces[slot];
    if (oldest !== undefined) {
      const forgotten = this.#reader.read(callsOf(oldest));
      this.#model.add(forgotten, -1);
      this.#neighbours.remove(slot, forgotten);
    }
    const grams = this.#reader.read(trace);
    this.#model.add(grams, 1);
    this.#neighbours.put(slot, grams);
    this.#traces[slot] = textOf(trace);
  }

  #viewsWithout(trace: string, slot: number): Views {
    const grams = this.#reader.read(callsOf(trace));
    this.#model.add(grams, -1);
    const views = this.#views(grams, slot);
    this.#model.add(grams, 1);
    return views;
  }

  /**
   * A set that differs is the more telling the smaller it is: new honest work brings its loader and libraries, code that took over a
   * process does few things.
   */
  #views(grams: TraceGrams, except: number): Views {
    const kinds = grams.calls.length;
    if (kinds === 0) return [0, 0, 0, 0];
    const { calls, pairs } = this.#neighbours.nearest(grams, except);
    return [
      calls / logarithm(1 + kinds),
      pairs / squareRoot(kinds),
      peakOf(this.#model.surprisals(grams, 3)),
      meanOf(this.#model.surprisals(grams, 5)),
    ];
  }

  /** A sum of inverse ranks: what one view finds very rare counts, whatever the others say. */
  #joined(views: Views): number {
    let sum = 0;
    this.#ranks.forEach((ranks, index) => {
      sum += 1 / (ranks.pValue(views[index] ?? 0) + RANK_FLOOR);
    });
    return sum;
  }
}

function textOf(trace: ArrayLike<number>): string {
  const parts: string[] = [];
  for (let at = 0; at < trace.length; at += 1) parts.push(String.fromCharCode(trace[at] ?? 0));
  return parts.join('');
}

function callsOf(text: string): Uint16Array {
  const calls = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at += 1) calls[at] = text.charCodeAt(at);
  return calls;
}

function peakOf(surprisals: Float64Array): number {
  const count = Math.ceil(surprisals.length * PEAK_SHARE);
  return meanOf(surprisals.toSorted().subarray(surprisals.length - count));
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? 0 : sum / values.length;
}
