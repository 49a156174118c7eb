// Measures that not every window has: what was asked of the network, and what a look at memory found. Each is learnt by itself.
import { namesByZone } from './dns-zones.ts';
import type { Window } from './telemetry.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** How much of something a window did, where somebody looked. */
export interface Measure {
  /** For people, with its unit. */
  readonly name: string;
  /** Amounts up to this are never unusual: the noise of any program. */
  readonly floor: number;
  /** Null in a window in which nobody looked. */
  readonly amountIn: (window: Window) => number | null;
}

/** In the order of {@link Model.measures}; a new one goes to the end, and a model that lacks it learns it first. */
export const measures: readonly Measure[] = [
  { name: 'connections begun a second', floor: 10, amountIn: (window) => rate(window, window.begunFlows) },
  { name: 'connections refused to it a second', floor: 2, amountIn: (window) => rate(window, window.rebuffedFlows) },
  { name: 'questions to the DNS a second', floor: 10, amountIn: (window) => rate(window, window.dnsQuestions) },
  { name: 'names of one DNS zone', floor: 5, amountIn: largestZone },
  { name: 'bytes of code made at run time', floor: 64 * KIB, amountIn: codeBytes },
  { name: 'pages of program code changed in memory', floor: 1, amountIn: changedPages },
  { name: 'bytes of memory touched a second', floor: 16 * MIB, amountIn: touchedRate },
  {
    name: 'bytes of memory more a second',
    floor: 8 * MIB,
    amountIn: (window) => rate(window, window.memoryGrownBytes),
  },
];

/** Where {@link measures} has the names of zones. */
export const ZONE_MEASURE = 3;
/** Where {@link measures} has the code that a program made at run time. */
export const CODE_MEASURE = 4;
/** And the code that was changed. */
export const CHANGED_MEASURE = 5;

/** Amounts in a window, in the order of {@link measures}. */
export function amountsIn(window: Window): readonly (number | null)[] {
  return measures.map(({ amountIn }) => amountIn(window));
}

function rate({ durationMs }: Window, count: number | undefined): number | null {
  return count === undefined ? null : (count * 1000) / (durationMs > 0 ? durationMs : 1);
}

function largestZone({ dnsNames }: Window): number | null {
  if (dnsNames === undefined) return null;
  let largest = 0;
  for (const names of namesByZone(dnsNames).values()) if (names.length > largest) largest = names.length;
  return largest;
}

/** A look that could not see everything has seen at least this. */
function codeBytes({ memoryLook: look }: Window): number | null {
  return look === undefined ? null : look.anonymousExecutableBytes;
}

function changedPages({ memoryLook: look }: Window): number | null {
  return look === undefined ? null : look.changedCodePages;
}

function touchedRate({ memoryLook: look }: Window): number | null {
  if (look?.touchedBytes === undefined || look.touchedWithinMs === undefined) return null;
  return (look.touchedBytes * 1000) / (look.touchedWithinMs > 0 ? look.touchedWithinMs : 1);
}
