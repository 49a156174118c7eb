// How a model learns what is normal for one artifact, window by window.
import { canonicalJson, sha256Hex } from '../base/index.ts';
import { amountsIn } from './asked-measures.ts';
import { featuresOf, volumes } from './features.ts';
import { growForest } from './half-space-forest.ts';
import {
  DESTINATIONS_MAX,
  FILES_MAX,
  LEARNING_WINDOWS,
  type MeasurePeak,
  type Model,
  type Peak,
  PROGRAMS_MAX,
  type Range,
  SCORES_MAX,
  ZONES_MAX,
} from './model-document.ts';
import { namesOf } from './names.ts';
import { rememberRuns } from './run-memory.ts';
import { UNKNOWN_CALL } from './syscall-names.ts';
import type { Window } from './telemetry.ts';
import { unusualnessOf } from './unusualness.ts';

/** A peak that does not return fades by this share a learnt window: to half in about 2,800. */
const PEAK_FADE = 1 / 4096;

/**
 * Learns one window that the caller holds for normal, and returns the model with it. The caller leaves out windows with
 * violations, windows under suspicion and idle ones: a model that learns everything learns the attack too.
 */
export function learn(model: Model, window: Window): Model {
  const features = featuresOf(window, model.architecture);
  const isRanked = model.windows >= LEARNING_WINDOWS;
  const scores = isRanked ? [...model.scores, unusualnessOf(model, window).score].slice(-SCORES_MAX) : model.scores;
  const names = namesOf(window);
  return {
    ...model,
    windows: model.windows + 1,
    peaks: volumes.map((_, index) => raised(model.peaks[index] ?? [0, 0], features.volumes[index] ?? 0)),
    shares: features.shares?.map((share, index) => widened(model.shares[index] ?? [1, 0], share)) ?? model.shares,
    calls: withCalls(model.calls, window.syscalls),
    destinations: withNew(model.destinations, names.destinations, DESTINATIONS_MAX),
    programs: withNew(model.programs, names.programs, PROGRAMS_MAX),
    files: withNew(model.files, names.files, FILES_MAX),
    zones: withNew(model.zones, names.zones, ZONES_MAX),
    measures: measured(model.measures, window),
    runs: window.grams === undefined ? model.runs : rememberRuns(model.runs, window.grams),
    forest: growForest(model.forest, features),
    scores,
  };
}

/** SHA-256 of the model as canonical JSON, in hex: what a decision names it by. */
export function modelDigest(model: Model): string {
  return sha256Hex(canonicalJson(model));
}

function raised([largest, second]: Peak, amount: number): Peak {
  const faded: Peak = [largest - largest * PEAK_FADE, second - second * PEAK_FADE];
  if (amount >= faded[0]) return [amount, faded[0]];
  return amount > faded[1] ? [faded[0], amount] : faded;
}

/** A window in which nobody looked teaches nothing of what there was to see. */
function measured(known: readonly MeasurePeak[], window: Window): readonly MeasurePeak[] {
  return amountsIn(window).map((amount, index): MeasurePeak => {
    const [windows, largest, second] = known[index] ?? [0, 0, 0];
    return amount === null ? [windows, largest, second] : [windows + 1, ...raised([largest, second], amount)];
  });
}

function widened([low, high]: Range, share: number): Range {
  return [share < low ? share : low, share > high ? share : high];
}

function withCalls(known: readonly number[], syscalls: ReadonlyMap<number, number>): readonly number[] {
  const fresh = [...syscalls.keys()].filter((number) => number <= UNKNOWN_CALL && !known.includes(number));
  return fresh.length === 0 ? known : [...known, ...fresh].sort((a, b) => a - b);
}

function withNew(known: readonly string[], names: readonly string[], countMax: number): readonly string[] {
  if (known.length >= countMax) return known;
  const fresh = names.filter((name) => !known.includes(name));
  return fresh.length === 0 ? known : [...known, ...fresh].slice(0, countMax);
}
