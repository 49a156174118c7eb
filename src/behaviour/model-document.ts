// The form of a model: plain data with a bound on every part, and the reading of one that was stored or came from elsewhere.
import { exitStatus } from '../base/index.ts';
import { measures } from './asked-measures.ts';
import { isZone } from './dns-zones.ts';
import { BehaviourError } from './errors.ts';
import { shareNames, volumes } from './features.ts';
import { emptyForest, type Forest, FOREST_LENGTH } from './half-space-forest.ts';
import { isRunBits, noRuns, type RunMemory } from './run-memory.ts';
import { type CallArchitecture, UNKNOWN_CALL } from './syscall-names.ts';

/** Windows that are learnt before any is called unusual. */
export const LEARNING_WINDOWS = 30;
/** Recent scores of normal windows that a new one is ranked among; the smallest p-value is 1 in one more than this. */
export const SCORES_MAX = 256;
export const DESTINATIONS_MAX = 128;
export const PROGRAMS_MAX = 64;
export const FILES_MAX = 48;
export const ZONES_MAX = 48;
const NAME_CHARACTERS_MAX = 80;

/** The two largest amounts that were seen. The second is what counts as normal: one window alone sets no measure. */
export type Peak = readonly [largest: number, second: number];
/** Lowest and highest share that was seen; [1, 0] when none was. */
export type Range = readonly [low: number, high: number];

/** A peak of a measure that not every window has, behind the count of windows that had it. */
export type MeasurePeak = readonly [windows: number, largest: number, second: number];

/** At most 96 KiB as canonical JSON, whatever was learnt: 64 KiB of names and ranges, 22 of runs, and the forest. */
export interface Model {
  readonly version: 3;
  readonly architecture: CallArchitecture;
  readonly windows: number;
  readonly peaks: readonly Peak[];
  readonly shares: readonly Range[];
  /** Sorted numbers of the system calls that were seen. */
  readonly calls: readonly number[];
  readonly destinations: readonly string[];
  readonly programs: readonly string[];
  readonly files: readonly string[];
  /** Zones of the DNS that names were asked of. */
  readonly zones: readonly string[];
  /** In the order of the measures; fewer, when some were never looked at. */
  readonly measures: readonly MeasurePeak[];
  readonly runs: RunMemory;
  readonly forest: Forest;
  /** Unusualness of recent normal windows, each judged before it was learnt; oldest first. */
  readonly scores: readonly number[];
}

/** The model of code that was never seen. */
export function createModel(architecture: CallArchitecture = 'x64'): Model {
  return {
    version: 3,
    architecture,
    windows: 0,
    peaks: [],
    shares: [],
    calls: [],
    destinations: [],
    programs: [],
    files: [],
    zones: [],
    measures: [],
    runs: noRuns,
    forest: emptyForest,
    scores: [],
  };
}

/** The version that is written. */
export const MODEL_VERSION = 3;

/**
 * Reads a model that was stored, or that somebody else learnt. One of version 1 or 2 is taken over: what it lacks (runs of
 * calls and the forest; what is asked of the network, and memory) is learnt before it is asked about.
 *
 * @throws BehaviourError BEHAVIOUR_MODEL for anything that is not a whole model within its bounds
 */
export function parseModel(document: unknown): Model {
  const parts = typeof document === 'object' && document !== null ? (document as Record<string, unknown>) : {};
  const { version, ...rest } = parts;
  if (version !== 1 && version !== 2 && version !== 3) throw refused('version');
  const whole: Record<string, unknown> = { ...rest, ...(version === 3 ? {} : { zones: [], measures: [] }) };
  if (version === 1) Object.assign(whole, { runs: noRuns, forest: emptyForest });
  for (const [part, isValid] of Object.entries(forms)) {
    if (!Object.hasOwn(whole, part) || !isValid(whole[part])) throw refused(part);
  }
  const extra = Object.keys(whole).find((part) => !Object.hasOwn(forms, part));
  if (extra !== undefined) throw refused('parts');
  return { version: 3, ...(whole as unknown as Omit<Model, 'version'>) };
}

function refused(part: string): BehaviourError {
  return new BehaviourError('BEHAVIOUR_MODEL', `not a model of behaviour: its ${part} cannot be read`, {
    exit: exitStatus.verificationFailed,
    hint: 'learn it anew, or export it again where it was learnt',
    details: { part },
  });
}

type Form = (value: unknown) => boolean;

const forms: Readonly<Record<Exclude<keyof Model, 'version'>, Form>> = {
  architecture: (value) => value === 'x64' || value === 'arm64',
  windows: isCount,
  peaks: listOf(pairOf(isAmount), volumes.length),
  shares: listOf(
    pairOf((value) => isAmount(value) && (value as number) <= 1),
    shareNames.length,
  ),
  calls: (value) => listOf(isCallNumber, UNKNOWN_CALL + 1)(value) && isAscending(value as number[]),
  destinations: listOf(isName, DESTINATIONS_MAX),
  programs: listOf(isName, PROGRAMS_MAX),
  files: listOf(isName, FILES_MAX),
  zones: listOf((value) => typeof value === 'string' && isZone(value), ZONES_MAX),
  measures: listOf(isMeasurePeak, measures.length),
  runs: partsOf({ windows: isCount, seen: isRunBits, again: isRunBits }),
  forest: partsOf({ before: isForestPart, now: isForestPart }),
  scores: listOf(isAmount, SCORES_MAX),
};

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCallNumber(value: unknown): boolean {
  return isCount(value) && (value as number) <= UNKNOWN_CALL;
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length <= NAME_CHARACTERS_MAX && value.isWellFormed();
}

function isMeasurePeak(value: unknown): boolean {
  return Array.isArray(value) && value.length === 3 && isCount(value[0]) && value.every(isAmount);
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0));
}

function isForestPart(value: unknown): boolean {
  return listOf(isCount, FOREST_LENGTH)(value) && [0, FOREST_LENGTH].includes((value as number[]).length);
}

function listOf(isItem: Form, countMax: number): Form {
  return (value) => Array.isArray(value) && value.length <= countMax && value.every(isItem);
}

function pairOf(isItem: Form): Form {
  return (value) => Array.isArray(value) && value.length === 2 && value.every(isItem);
}

function partsOf(parts: Readonly<Record<string, Form>>): Form {
  return (value) => {
    if (typeof value !== 'object' || value === null) return false;
    const given = value as Record<string, unknown>;
    const names = Object.keys(parts);
    return Object.keys(given).length === names.length && names.every((name) => parts[name]?.(given[name]) === true);
  };
}
