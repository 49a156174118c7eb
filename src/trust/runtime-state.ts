// The state that the runtime component is folded over, window by window.

/** The runtime component's memory of one artifact digest. Plain data: it is stored and digested as canonical JSON. */
export interface RuntimeState {
  /** The runtime score r, 0..1. */
  readonly score: number;
  /** The sequential test's sum of surprise, 0 when calm. */
  readonly suspicion: number;
  /** Clean active time since the last alarm, in ms. */
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
