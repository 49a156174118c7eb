// How far a window lies outside of what a model has learnt, as one number and in words. Only + − × ÷ and comparison.
import { amountsIn, measures, ZONE_MEASURE } from './asked-measures.ts';
import { featuresOf, type Features, shareNames, type Volume, volumes } from './features.ts';
import { mixtureOf } from './half-space-forest.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import { namesOf } from './names.ts';
import { compareRuns } from './run-memory.ts';
import { nameRuns } from './run-names.ts';
import { syscallName } from './syscall-names.ts';
import type { Window } from './telemetry.ts';

/** Amounts up to so many times the learnt one are its own ups and downs. */
const VOLUME_BAND = 3;
/** A share that lies outside of the learnt range by less than this is chance. */
const SHARE_SLACK = 0.15;
/** Names that a reason lists. */
const NAMES_LISTED = 5;
/** New runs of calls that are half a surprise: code on a path that it seldom takes makes some. */
const RUNS_HALF = 8;
/** Up to this share of rare runs is chance. */
const RARE_SLACK = 0.1;

/** One way in which a window was unusual. */
export interface Surprise {
  /** 0 (not at all) to 1. */
  readonly size: number;
  readonly reason: string;
}

export interface Unusualness {
  /** Sum of the surprises; 0 for a window within everything that was learnt. */
  readonly score: number;
  /** Largest first. */
  readonly surprises: readonly Surprise[];
}

/** Compares a window with a model. */
export function unusualnessOf(model: Model, window: Window): Unusualness {
  const features = featuresOf(window, model.architecture);
  const surprises = [
    ...volumeSurprises(model, features),
    ...shareSurprises(model, features),
    ...newCalls(model, window),
    ...newNames(model, window),
    ...runSurprises(model, window),
    ...measureSurprises(model, window),
    ...mixtureSurprises(model, features),
  ].filter(({ size }) => size > 0);
  let score = 0;
  for (const { size } of surprises) score += size;
  return { score, surprises: surprises.sort((a, b) => b.size - a.size) };
}

function volumeSurprises(model: Model, features: Features): Surprise[] {
  return volumes.map(({ name, floor }, index) => {
    const [amount, normal] = [features.volumes[index] ?? 0, model.peaks[index]?.[1] ?? 0];
    return volumeSurprise({ name, floor, amount, normal });
  });
}

interface Amount extends Volume {
  readonly amount: number;
  readonly normal: number;
}

function volumeSurprise({ name, floor, amount, normal }: Amount): Surprise {
  const limit = VOLUME_BAND * (normal > floor ? normal : floor);
  if (amount <= limit) return { size: 0, reason: '' };
  return { size: 1 - limit / amount, reason: `${rounded(amount)} ${name}, where ${rounded(normal)} was normal` };
}

function shareSurprises(model: Model, features: Features): Surprise[] {
  return (features.shares ?? []).map((share, index) => {
    const [low, high] = model.shares[index] ?? [0, 1];
    const outside = share > high ? share - high : low - share;
    const size = outside - SHARE_SLACK;
    const reason = `${shareNames[index] ?? ''} were ${percent(share)} of all, where ${percent(low)} to ${percent(high)} was normal`;
    return { size: size > 0 ? size : 0, reason };
  });
}

function newCalls(model: Model, window: Window): Surprise[] {
  const numbers = [...window.syscalls.keys()].filter((number) => !model.calls.includes(number)).sort((a, b) => a - b);
  const names = numbers.map((number) => syscallName(number, model.architecture));
  return [novelty('system calls', names, 1)];
}

function newNames(model: Model, window: Window): Surprise[] {
  const names = namesOf(window);
  const fresh = (seen: readonly string[], known: readonly string[]): string[] =>
    seen.filter((name) => !known.includes(name)).sort();
  return [
    novelty('programs', fresh(names.programs, model.programs), 0.5),
    novelty('watched files', fresh(names.files, model.files), 0.5),
    novelty('destinations', fresh(names.destinations, model.destinations), 2),
    // Only where names were read while the model learnt.
    novelty('DNS zones', areZonesKnown(model) ? fresh(names.zones, model.zones) : [], 2),
  ];
}

function areZonesKnown(model: Model): boolean {
  return (model.measures[ZONE_MEASURE]?.[0] ?? 0) >= LEARNING_WINDOWS;
}

/** A measure speaks once it was learnt in as many windows as it takes to know anything. */
function measureSurprises(model: Model, window: Window): Surprise[] {
  return amountsIn(window).map((amount, index) => {
    const [windows, , normal] = model.measures[index] ?? [0, 0, 0];
    if (amount === null || windows < LEARNING_WINDOWS) return { size: 0, reason: '' };
    const { name, floor } = measures[index] ?? { name: '', floor: 0 };
    return volumeSurprise({ name, floor, amount, normal });
  });
}

/** Only where runs were counted while the model learnt: what was never asked is not news. */
function runSurprises(model: Model, window: Window): Surprise[] {
  if (window.grams === undefined || model.runs.windows < LEARNING_WINDOWS) return [];
  const { fresh, rareShare } = compareRuns(model.runs, window.grams);
  const surprises: Surprise[] = [];
  if (fresh.length > 0) {
    const names = nameRuns(fresh.slice(0, NAMES_LISTED), window, model.architecture);
    const more = fresh.length > NAMES_LISTED ? ` and ${fresh.length - NAMES_LISTED} more` : '';
    const reason = `runs of calls never seen before: ${names.join(', ')}${more}`;
    surprises.push({ size: fresh.length / (fresh.length + RUNS_HALF), reason });
  }
  const reason = `${percent(rareShare)} of the calls came in runs that are rare for this code`;
  surprises.push({ size: rareShare > RARE_SLACK ? rareShare : 0, reason });
  return surprises;
}

function mixtureSurprises(model: Model, features: Features): Surprise[] {
  if (model.windows < LEARNING_WINDOWS) return [];
  const mixture = mixtureOf(model.forest, features);
  const names = mixture.features.length === 0 ? 'rates and shares' : mixture.features.join(', ');
  return [{ size: mixture.size, reason: `an unusual mixture of ${names}` }];
}

/** `half` is how many new names are half a surprise. */
function novelty(what: string, names: readonly string[], half: number): Surprise {
  const listed = names.slice(0, NAMES_LISTED).join(', ');
  const more = names.length > NAMES_LISTED ? ` and ${names.length - NAMES_LISTED} more` : '';
  return { size: names.length / (names.length + half), reason: `${what} never seen before: ${listed}${more}` };
}

function rounded(amount: number): string {
  return `${Math.round(amount)}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
