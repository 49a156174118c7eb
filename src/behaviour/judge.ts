// One window in, one verdict out: ranked among the normal windows of its artifact, and held to the rules.
import type { RuntimeVerdict } from '../trust/index.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import { type BehaviourSettings, behaviourSettings, type Limits, violationsOf } from './rules.ts';
import type { Window } from './telemetry.ts';
import { unusualnessOf } from './unusualness.ts';

const REASONS_MAX = 5;

/** What a window is judged by beside its model. */
export interface JudgeOptions {
  /** At least 1 % of a core used, or any packet or I/O: the collector says so. */
  readonly active: boolean;
  /** What the workload is held to; null when it is not known, and then no rule asks about limits. */
  readonly grant: Limits | null;
  /** Default: {@link behaviourSettings}. */
  readonly settings?: BehaviourSettings;
}

/**
 * Judges one window. The same model, window and options give the same verdict bit for bit.
 *
 * The anomaly is 1 − p, where p is the conformal p-value of the window's unusualness among those of recent normal windows,
 * ties counted against it: if the new window is exchangeable with them, P(anomaly ≥ 1 − p) ≤ p. Until the model has learnt
 * {@link LEARNING_WINDOWS} windows it is 0, and only the rules speak.
 *
 * @source Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), section 2.2
 */
export function judge(model: Model, window: Window, options: JudgeOptions): RuntimeVerdict {
  const { active, grant, settings = behaviourSettings } = options;
  const { coverage, durationMs } = window;
  const violations = violationsOf(model, window, { grant, settings });
  const frame = { coverage, active, durationMs, violations };
  if (!active && window.audit.length === 0) return { ...frame, anomaly: 0, reasons: [] };
  if (model.windows < LEARNING_WINDOWS) {
    return { ...frame, anomaly: 0, reasons: [`learning: ${model.windows} of ${LEARNING_WINDOWS} windows`] };
  }
  const { score, surprises } = unusualnessOf(model, window);
  return {
    ...frame,
    anomaly: rankOf(score, model.scores),
    reasons: surprises.slice(0, REASONS_MAX).map(({ reason }) => reason),
  };
}

/** 1 − p with p = (1 + scores not below this one) ÷ (1 + scores). */
function rankOf(score: number, scores: readonly number[]): number {
  let below = 0;
  for (const normal of scores) if (normal < score) below += 1;
  return below / (scores.length + 1);
}
