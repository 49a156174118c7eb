// Policies that a schema accepts and that still make no sense: lower trust must never be given more.
import type { PolicyDocument } from './document.ts';

/** A window shorter than this costs more than it shows. */
const WINDOW_MS_MIN = 50;

/** A window longer than this leaves bad behaviour unwatched. */
const WINDOW_MS_MAX = 60_000;

const networkRank = { isolated: 0, rateLimited: 1, unrestricted: 2 } as const;

/** What makes no sense, and where it stands. */
export interface Nonsense {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Finds values that contradict each other or the order of the tiers. */
export function findNonsense(document: PolicyDocument): Nonsense[] {
  return [
    ...ofTiers(document),
    ...ofGrants(document),
    ...ofTimes(document),
    ...ofRuntime(document),
    ...ofRepeats('rules', document.rules),
    ...ofRepeats('responses', document.responses),
  ];
}

function ofTiers({ tiers }: PolicyDocument): Nonsense[] {
  if (tiers.mediumFrom <= tiers.highAbove) return [];
  const message = `mediumFrom ${tiers.mediumFrom} is above highAbove ${tiers.highAbove}: no score would be medium`;
  return [{ path: ['tiers', 'mediumFrom'], message }];
}

function ofGrants({ grants }: PolicyDocument): Nonsense[] {
  const found: Nonsense[] = [];
  for (const [lower, higher] of [['medium', 'high'] as const, ['low', 'medium'] as const]) {
    const [less, more] = [grants[lower], grants[higher]];
    const refuse = (key: string, isMore: boolean): void => {
      if (isMore) found.push({ path: ['grants', lower, key], message: `${lower} would be given more than ${higher}` });
    };
    refuse('cpuShare', less.cpuShare > more.cpuShare && less.cpuMillicoresMax === null);
    refuse('memoryShare', less.memoryShare > more.memoryShare && less.memoryBytesMax === null);
    refuse('cpuMax', isAbove(less.cpuMillicoresMax, more.cpuMillicoresMax));
    refuse('memoryMax', isAbove(less.memoryBytesMax, more.memoryBytesMax));
    refuse('network', networkRank[less.network] > networkRank[more.network]);
    refuse('launchProfile', less.launchProfile === 'standard' && more.launchProfile === 'strict');
  }
  for (const name of ['high', 'medium', 'low'] as const) {
    const { network, rateBitsPerSecond } = grants[name];
    if ((network === 'rateLimited') !== (rateBitsPerSecond !== null)) {
      found.push({ path: ['grants', name, 'rate'], message: 'rateLimited needs a rate, and only rateLimited has one' });
    }
  }
  return found;
}

/** A limit that a higher tier has is kept by the lower: null is no limit. */
function isAbove(lower: number | null, higher: number | null): boolean {
  return higher !== null && (lower === null || lower > higher);
}

function ofTimes({ windows }: PolicyDocument): Nonsense[] {
  return (['standard', 'detailed', 'realtime'] as const)
    .filter((name) => !(windows[`${name}Ms`] >= WINDOW_MS_MIN && windows[`${name}Ms`] <= WINDOW_MS_MAX))
    .map((name) => ({
      path: ['windows', name],
      message: `a window is ${WINDOW_MS_MIN} ms to ${WINDOW_MS_MAX / 1000} s`,
    }));
}

function ofRuntime({ runtime, reputation }: PolicyDocument): Nonsense[] {
  const found: Nonsense[] = [];
  if (runtime.tauMs < 1) found.push({ path: ['runtime', 'tau'], message: 'tau must be above 0' });
  if (runtime.calmBelow >= runtime.alarmAt) {
    found.push({ path: ['runtime', 'calmBelow'], message: 'calmBelow must be below alarmAt' });
  }
  if (runtime.calmBelow <= 1) {
    found.push({ path: ['runtime', 'calmBelow'], message: 'calmBelow must be above 1, or nothing is ever earned' });
  }
  for (const name of ['cleanHalf', 'decayHalf'] as const) {
    if (reputation[`${name}Ms`] < 1) found.push({ path: ['reputation', name], message: `${name} must be above 0` });
  }
  if (reputation.unknownStart > reputation.unknownMax) {
    found.push({ path: ['reputation', 'unknownStart'], message: 'unknownStart must not be above unknownMax' });
  }
  return found;
}

function ofRepeats(list: 'rules' | 'responses', entries: readonly { readonly id: string }[]): Nonsense[] {
  const seen = new Set<string>();
  return entries.flatMap(({ id }, index) => {
    if (seen.has(id)) return [{ path: [list, index, 'id'], message: `the id ${id} is used twice` }];
    seen.add(id);
    return [];
  });
}
