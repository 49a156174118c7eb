// When a window is learnt: once it is known to be none of an attack's.
import { learn, type Model, type Window } from '../behaviour/index.ts';
import type { RuntimeStep, RuntimeVerdict } from '../trust/index.ts';
import type { Baseline } from './code-memory.ts';

/** Windows that wait for suspicion to go; more than an alarm needs to come. */
const WAITING_MAX = 64;

/** A window with what was made of it. */
export interface Judgement {
  readonly window: Window;
  readonly verdict: RuntimeVerdict;
  readonly step: RuntimeStep;
  /** The suspicion that alarms. */
  readonly alarmAt: number;
}

/**
 * Learns active windows without violations, but only once suspicion has gone: a model that learns each window at once takes the second
 * of an attack for normal. Leaving out all that are somewhat unusual would make it forget what normal windows look like at their edge.
 * What led to an alarm is never learnt.
 */
export function learnWhenCalm(baseline: Baseline, { window, verdict, step, alarmAt }: Judgement): Baseline {
  const { model, waiting } = baseline;
  const { suspicion } = step.state;
  if (suspicion >= alarmAt || verdict.violations.length > 0)
    return waiting.length === 0 ? baseline : { ...baseline, waiting: [] };
  const isCalm = suspicion === 1;
  if (!verdict.active && (!isCalm || waiting.length === 0)) return baseline;
  const all = verdict.active ? [...waiting, window].slice(-WAITING_MAX) : waiting;
  if (!isCalm) return { ...baseline, waiting: all };
  return { ...baseline, model: all.reduce<Model>((learnt, one) => learn(learnt, one), model), waiting: [] };
}
