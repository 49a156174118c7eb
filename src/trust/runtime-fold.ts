// The fold over windows that earns and loses the runtime score: a pure function of state, verdict and settings.
import { exitStatus } from '../base/index.ts';
import { type Evidence, TrustError } from './evidence.ts';
import type { RuntimeSettings, RuntimeState, RuntimeVerdict, Violation } from './runtime-state.ts';

/**
 * The betting function e(p) = SCALE ÷ (p + FLOOR) over p = 1 − anomaly. It integrates to at most 1 over 0..1, as 1 ÷ SCALE is
 * ln((1 + FLOOR) ÷ FLOOR) rounded up, so that on calibrated normal windows its mean is at most 1 and the running product raised
 * to at least 1 is an e-detector: on average at least `alarmAt` normal windows lie between two false alarms. FLOOR is the smallest p that a
 * hundred learnt windows can give, and limits one window to a factor of 21.7: one odd window alone never alarms.
 *
 * @source Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021);
 * Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2022), CUSUM form
 */
const FLOOR = 0.01;
const SCALE = 1 / 4.6151206;

/** What the fold gives for one window. */
export interface RuntimeStep {
  readonly state: RuntimeState;
  /** The test crossed its threshold in this window; not repeated while it stays there. */
  readonly alarmed: boolean;
}

/** The state of a digest that was never seen running: little trust, no suspicion. */
export function initialRuntimeState(settings: RuntimeSettings): RuntimeState {
  return { score: settings.startScore, suspicion: 1, cleanMs: 0, windows: 0, alarms: 0 };
}

/**
 * Folds one window into the runtime score.
 *
 * Suspicion is a running product of bets against "this window is normal", held between 1 and `alarmAt`; each window that ends at `alarmAt`
 * multiplies r by `alarmFactor`, and the worst violation of a window multiplies it by its factor. Otherwise an active window that was
 * seen well enough, while suspicion is low, raises r by (1 − r)·Δt/τ, never above the share that was seen.
 *
 * A more anomalous window never gives a higher score, now or after any continuation. The proof is one line a step: order states by "score
 * and clean time no higher, suspicion no lower"; each operation below is a monotone function, rounded monotonically, of what it reads, and
 * suspicion is not reset by an alarm (a reset would let the worse history look calmer afterwards).
 *
 * @throws TrustError TRUST_EVIDENCE when anomaly or coverage is not in 0..1, or the duration is not a time
 */
export function stepRuntime(state: RuntimeState, verdict: RuntimeVerdict, settings: RuntimeSettings): RuntimeStep {
  requireVerdict(verdict);
  const suspicion = nextSuspicion(state.suspicion, verdict.anomaly, settings.alarmAt);
  const atAlarm = suspicion >= settings.alarmAt;
  const alarmed = atAlarm && state.suspicion < settings.alarmAt;
  const isClean = !atAlarm && verdict.violations.length === 0;
  const isEarning =
    isClean && suspicion < settings.calmBelow && verdict.active && verdict.coverage >= settings.coverageMin;
  const lowered = state.score * violationFactor(verdict.violations, settings) * (atAlarm ? settings.alarmFactor : 1);
  return {
    state: {
      score: isEarning ? earned(state.score, verdict, settings) : lowered,
      suspicion,
      cleanMs: isClean ? state.cleanMs + (isEarning ? verdict.durationMs : 0) : 0,
      windows: state.windows + 1,
      alarms: state.alarms + (alarmed ? 1 : 0),
    },
    alarmed,
  };
}

/** The runtime score as evidence for the check `runtime.behaviour`. */
export function runtimeEvidence(state: RuntimeState, source: string): Evidence {
  const cleanS = (state.cleanMs - (state.cleanMs % 1000)) / 1000;
  const reason =
    state.windows === 0
      ? 'never seen running here'
      : `${cleanS} s of clean activity since the last alarm, ${state.windows} windows, ${state.alarms} alarms`;
  return { check: 'runtime.behaviour', score: state.score, reason, source, expiresMs: null };
}

function nextSuspicion(suspicion: number, anomaly: number, alarmAt: number): number {
  const bet = suspicion * (SCALE / (1 - anomaly + FLOOR));
  if (bet < 1) return 1;
  return bet < alarmAt ? bet : alarmAt;
}

/** r·(1 − x) + x, not r + (1 − r)·x: each rounding then keeps the order of two scores. */
function earned(score: number, { coverage, durationMs }: RuntimeVerdict, { tauMs }: RuntimeSettings): number {
  const share = durationMs < tauMs ? durationMs / tauMs : 1;
  const raised = score * (1 - share) + share;
  const bounded = raised < coverage ? raised : coverage;
  return bounded > score ? bounded : score;
}

/** The factor of the worst violation; 1 without any. */
function violationFactor(violations: readonly Violation[], settings: RuntimeSettings): number {
  let factor = 1;
  for (const { severity } of violations) {
    const one = settings.violationFactors[severity];
    if (one < factor) factor = one;
  }
  return factor;
}

function requireVerdict({ anomaly, coverage, durationMs }: RuntimeVerdict): void {
  if (!(anomaly >= 0 && anomaly <= 1)) throw badVerdict('anomaly', anomaly, 'in 0..1');
  if (!(coverage >= 0 && coverage <= 1)) throw badVerdict('coverage', coverage, 'in 0..1');
  if (!(durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY)) throw badVerdict('duration', durationMs, 'a time');
}

function badVerdict(what: string, value: number, needed: string): TrustError {
  return new TrustError('TRUST_EVIDENCE', `the ${what} of a window is ${value}, not ${needed}`, {
    exit: exitStatus.internal,
    hint: 'The detector is at fault; treat the workload as unseen until it is repaired.',
  });
}
