// What a model knows, in words: for people who ask what is normal for an artifact.
import { shareNames, volumes } from './features.ts';
import { describeForest } from './half-space-forest.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import { countRuns } from './run-memory.ts';
import { syscallName } from './syscall-names.ts';

/** What is normal, as it is told; each list in the model's own order. */
export interface ModelDescription {
  readonly windows: number;
  /** False until it has learnt enough to call anything unusual. */
  readonly isJudging: boolean;
  readonly calls: readonly string[];
  readonly programs: readonly string[];
  readonly destinations: readonly string[];
  readonly files: readonly string[];
  /** Amounts that count as normal; those that never were above nothing are left out. */
  readonly amounts: readonly { readonly name: string; readonly normal: number; readonly largest: number }[];
  /** Ranges of the shares that groups of calls have, 0..1. */
  readonly shares: readonly { readonly name: string; readonly low: number; readonly high: number }[];
  /** Buckets of runs of three calls: that were seen, and in two windows or more. */
  readonly runs: { readonly windows: number; readonly seen: number; readonly again: number };
  /** Windows that the forest counts, and the kinds of mixtures that they were, by its first tree. */
  readonly forest: { readonly windows: number; readonly mixtures: number };
  /** Recent normal windows that a new one is ranked among. */
  readonly ranked: number;
}

/** Tells what a model knows. */
export function describeModel(model: Model): ModelDescription {
  const { windows, calls, programs, destinations, files, peaks, shares, runs, forest, scores } = model;
  return {
    windows,
    isJudging: windows >= LEARNING_WINDOWS,
    calls: calls.map((number) => syscallName(number, model.architecture)),
    programs,
    destinations,
    files,
    amounts: peaks.flatMap(([largest, second], at) =>
      largest > 0 ? [{ name: volumes[at]?.name ?? '', normal: second, largest }] : [],
    ),
    shares: shares.flatMap(([low, high], at) => (low > high ? [] : [{ name: shareNames[at] ?? '', low, high }])),
    runs: { windows: runs.windows, ...countRuns(runs) },
    forest: describeForest(forest),
    ranked: scores.length,
  };
}
