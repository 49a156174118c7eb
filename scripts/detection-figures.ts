// The figures that a detector is judged by, and two simple detectors to compare it with.

/** False positive rates that detection is given at. */
const RATES = [0.01, 0.05] as const;
/** The window of the detector STIDE. */
const STIDE_CALLS = 6;

/** How well scores tell attacks from normal traces. */
export interface Figures {
  /** Chance that an attack scores higher than a normal trace, ties counted half. */
  readonly auc: number;
  /** Share of attacks that score higher than all but this share of the normal traces. */
  readonly detection: Readonly<Record<string, number>>;
}

/** Compares the scores of normal traces with those of attacks, more being more unusual. */
export function figuresOf(normals: readonly number[], attacks: readonly number[]): Figures {
  const detection = RATES.map((rate): [string, number] => [`${rate}`, detectionAt(rate, normals, attacks)]);
  return { auc: areaUnderCurve(normals, attacks), detection: Object.fromEntries(detection) };
}

/** @source Mann and Whitney (1947): the area under the ROC curve is the U statistic over the number of pairs */
function areaUnderCurve(normals: readonly number[], attacks: readonly number[]): number {
  const sorted = normals.toSorted((a, b) => a - b);
  let below = 0;
  for (const score of attacks)
    below += (firstAt(sorted, (one) => one >= score) + firstAt(sorted, (one) => one > score)) / 2;
  return below / (normals.length * attacks.length);
}

function detectionAt(rate: number, normals: readonly number[], attacks: readonly number[]): number {
  const falling = normals.toSorted((a, b) => b - a);
  const threshold = falling[Math.floor(rate * falling.length)] ?? -Infinity;
  return attacks.filter((score) => score > threshold).length / attacks.length;
}

function firstAt(sorted: readonly number[], isReached: (value: number) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isReached(sorted[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The fewer distinct calls, the more unusual. */
export function scoreFewCalls(calls: readonly number[]): number {
  return -new Set(calls).size;
}

/**
 * Returns STIDE's score: the share of the windows of six calls that training never had.
 *
 * @source Forrest, Hofmeyr, Somayaji and Longstaff, "A sense of self for Unix processes" (1996)
 */
export function trainStide(traces: readonly (readonly number[])[]): (calls: readonly number[]) => number {
  const known = new Set(traces.flatMap(windowsOf));
  return (calls) => {
    const windows = windowsOf(calls);
    return windows.length === 0 ? 0 : windows.filter((window) => !known.has(window)).length / windows.length;
  };
}

function windowsOf(calls: readonly number[]): string[] {
  const count = Math.max(0, calls.length - STIDE_CALLS + 1);
  return Array.from({ length: count }, (_, at) => calls.slice(at, at + STIDE_CALLS).join(' '));
}
