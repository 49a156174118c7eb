// What is normal for one artifact: learnt from its windows, bounded, plain data that canonical JSON can hold.
import { canonicalJson, sha256Hex } from '../base/index.ts';
import { featuresOf, volumes } from './features.ts';
import { namesOf } from './names.ts';
import { type CallArchitecture, UNKNOWN_CALL } from './syscall-names.ts';
import type { Window } from './telemetry.ts';
import { unusualnessOf } from './unusualness.ts';

/** Windows that are learnt before any is called unusual. */
export const LEARNING_WINDOWS = 30;
/** Recent scores of normal windows that a new one is ranked among; the smallest p-value is 1 in one more than this. */
const SCORES_MAX = 256;
/** A peak that does not return fades by this share a learnt window: to half in about 2,800. */
const PEAK_FADE = 1 / 4096;
const DESTINATIONS_MAX = 128;
const PROGRAMS_MAX = 64;
const FILES_MAX = 48;

/** The two largest amounts that were seen. The second is what counts as normal: one window alone sets no measure. */
export type Peak = readonly [largest: number, second: number];
/** Lowest and highest share that was seen; [1, 0] when none was. */
export type Range = readonly [low: number, high: number];

/** At most 64 KiB as canonical JSON, whatever was learnt. */
export interface Model {
  readonly version: 1;
  readonly architecture: CallArchitecture;
  readonly windows: number;
  readonly peaks: readonly Peak[];
  readonly shares: readonly Range[];
  /** Sorted numbers of the system calls that were seen. */
  readonly calls: readonly number[];
  readonly destinations: readonly string[];
  readonly programs: readonly string[];
  readonly files: readonly string[];
  /** Unusualness of recent normal windows, each judged before it was learnt; oldest first. */
  readonly scores: readonly number[];
}

/** The model of code that was never seen. */
export function createModel(architecture: CallArchitecture = 'x64'): Model {
  return {
    version: 1,
    architecture,
    windows: 0,
    peaks: [],
    shares: [],
    calls: [],
    destinations: [],
    programs: [],
    files: [],
    scores: [],
  };
}

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
