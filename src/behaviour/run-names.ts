// Names for buckets of runs: the sensor counts runs by hash, so which run it was is worked out from the calls that the window made.
import { gramBucket, gramHash } from './call-grams.ts';
import { type CallArchitecture, syscallName } from './syscall-names.ts';
import type { Window } from './telemetry.ts';

/** Calls of a window that are tried in each place: 48³ runs take about a thousandth of a second. */
const CALLS_TRIED_MAX = 48;

interface Candidate {
  readonly run: readonly [number, number, number];
  /** A run that could have gone before it in the same thread was counted as well, or it is a thread's first. */
  readonly isLed: boolean;
  /** How often the rarest of its calls was made. */
  readonly count: number;
}

/**
 * Names the runs behind buckets, such as `read → mprotect → execve`, in the given order. Of several runs that fall into one bucket the
 * most plausible is named, and that there are others is said.
 */
export function nameRuns(buckets: readonly number[], window: Window, architecture: CallArchitecture): string[] {
  const counts = triedCalls(window);
  const wanted = new Map(buckets.map((bucket): [number, Candidate[]] => [bucket, []]));
  const { startSymbol } = gramHash;
  const calls = [...counts.keys()];
  const starts = [startSymbol, ...calls];
  for (const first of starts) {
    for (const second of first === startSymbol ? starts : calls) {
      for (const third of calls) {
        const candidates = wanted.get(gramBucket(first, second, third));
        if (candidates === undefined) continue;
        const run = [first, second, third] as const;
        const least = run.reduce((low, call) => Math.min(low, counts.get(call) ?? Infinity), Infinity);
        candidates.push({ run, isLed: isLed(run, starts, window), count: least });
      }
    }
  }
  return buckets.map((bucket) => describe(wanted.get(bucket) ?? [], architecture));
}

/** The most frequent calls, ascending by number, so that the order of the map does not matter. */
function triedCalls({ syscalls }: Window): ReadonlyMap<number, number> {
  const frequent = [...syscalls].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, CALLS_TRIED_MAX);
  return new Map(frequent.sort((a, b) => a[0] - b[0]));
}

function isLed([first, second]: Candidate['run'], starts: readonly number[], { grams }: Window): boolean {
  if (first === gramHash.startSymbol) return true;
  return starts.some((before) => (grams?.get(gramBucket(before, first, second)) ?? 0) > 0);
}

function describe(candidates: readonly Candidate[], architecture: CallArchitecture): string {
  const [best] = candidates.toSorted((a, b) => Number(b.isLed) - Number(a.isLed) || b.count - a.count);
  if (best === undefined) return 'a run with a rare call';
  const names = best.run.flatMap((call) => (call === gramHash.startSymbol ? [] : [syscallName(call, architecture)]));
  const others = candidates.filter(({ isLed }) => isLed === best.isLed).length - 1;
  const start = names.length < best.run.length ? 'a thread that began with ' : '';
  return `${start}${names.join(' → ')}${others > 0 ? ` (or ${others} like it)` : ''}`;
}
