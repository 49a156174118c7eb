// The state that the runtime component is folded over, window by window.

/** The runtime component's memory of one artifact digest. Plain data: it is stored and digested as canonical JSON. */
export interface RuntimeState {
  /** The runtime score r, 0..1. */
  readonly score: number;
  /** What the sequential test holds against it: 1 when calm, at most the settings' `alarmAt`. */
  readonly suspicion: number;
  /** Clean active time since the last alarm or violation, in ms. */
  readonly cleanMs: number;
  readonly windows: number;
  readonly alarms: number;
}

/** What the behaviour room says of one window. */
export interface RuntimeVerdict {
  /** 0 (as always) to 1 (never seen). Calibrated: P(anomaly ≥ 1 − p) ≤ p on normal windows. */
  readonly anomaly: number;
  /** Share of the window and of its calls that was seen, 0..1. */
  readonly coverage: number;
  /** At least 1 % of a core used, or any packet or I/O. */
  readonly active: boolean;
  readonly durationMs: number;
  /** Unmistakable findings (rules), each with its severity. */
  readonly violations: readonly Violation[];
  /** What made it unusual, for people; at most five. */
  readonly reasons: readonly string[];
}

export type Severity = 'low' | 'medium' | 'high' | 'critical';

export interface Violation {
  readonly kind: string;
  readonly severity: Severity;
  readonly reason: string;
}

/** The policy's numbers for the fold. */
export interface RuntimeSettings {
  /** Where an unknown digest starts, 0..1. */
  readonly startScore: number;
  /** Time constant of earning: a clean window raises r by (1 − r)·Δt/τ. */
  readonly tauMs: number;
  /** Windows that were seen less than this raise nothing, 0..1. */
  readonly coverageMin: number;
  /** The suspicion that alarms; also the least mean number of normal windows between two false alarms. */
  readonly alarmAt: number;
  /** While suspicion is at or above this, nothing is earned. */
  readonly calmBelow: number;
  /** What r is multiplied by in each window that ends at the alarm, 0..1. */
  readonly alarmFactor: number;
  /** What r is multiplied by at once for the worst violation of a window, 0..1. */
  readonly violationFactors: Readonly<Record<Severity, number>>;
}
