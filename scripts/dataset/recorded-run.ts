// What a recording leaves of a run and of each of its windows: one JSON object a line.
import type { Window } from '../../src/behaviour/index.ts';
import type { Manner } from './behaviours.ts';
import type { PlannedRun, Split } from './plan.ts';

/** A run as it went; times are the host's, in ms since 1970. */
export interface RecordedRun {
  readonly id: string;
  readonly workload: string;
  readonly split: Split;
  readonly label: 'normal' | 'attack';
  readonly behaviour: string | null;
  readonly technique: string | null;
  readonly manner: Manner | null;
  readonly keptOut: boolean;
  readonly seed: number;
  /** When the behaviour was told to begin, and by when it was done; null in a normal run. */
  readonly attack: { readonly fromMs: number; readonly toMs: number } | null;
  readonly grant: { readonly pids: number; readonly cpu: { readonly millicores: number } };
  readonly windows: number;
}

export type WindowLabel = 'normal' | 'attack';

/** What a window shows: an attack when the behaviour was under way in any part of it. */
export function labelOf(window: Window, attack: RecordedRun['attack']): WindowLabel {
  if (attack === null) return 'normal';
  const endMs = window.startMs + window.durationMs;
  return window.startMs < attack.toMs && endMs > attack.fromMs ? 'attack' : 'normal';
}

/** A window's line: maps as pairs in ascending order, so that the same window is the same bytes. */
export function windowLine(run: Pick<RecordedRun, 'id' | 'attack'>, window: Window): string {
  const { syscalls, grams, ...rest } = window;
  return JSON.stringify({
    run: run.id,
    label: labelOf(window, run.attack),
    window: { ...rest, syscalls: pairsOf(syscalls), ...(grams === undefined ? {} : { grams: pairsOf(grams) }) },
  });
}

/** The part of a run that was known before it was made. */
export function plannedPart(
  run: PlannedRun,
): Pick<
  RecordedRun,
  'id' | 'workload' | 'split' | 'label' | 'behaviour' | 'technique' | 'manner' | 'keptOut' | 'seed'
> {
  const { id, workload, split, behaviour, seed } = run;
  return {
    id,
    workload,
    split,
    label: behaviour === null ? 'normal' : 'attack',
    behaviour: behaviour?.id ?? null,
    technique: behaviour?.technique ?? null,
    manner: behaviour?.manner ?? null,
    keptOut: behaviour?.keptOut ?? false,
    seed,
  };
}

function pairsOf(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].sort(([a], [b]) => a - b);
}
