// What a publisher's history says of the next thing that it publishes.
import { formatDuration, ProvostError } from '../base/index.ts';
import type { Evidence, Severity } from '../trust/index.ts';

export type ReputationErrorCode = 'REPUTATION_RECORD';

export class ReputationError extends ProvostError<ReputationErrorCode> {}

export type FaultKind = 'incident' | 'vulnerability' | 'violation';

/** Something that a publisher's artifact did, or was found to have. */
export interface Fault {
  readonly kind: FaultKind;
  readonly severity: Severity;
  readonly atMs: number;
}

/** What this host remembers of a publisher. */
export interface PublisherRecord {
  /** Key id, or the name behind it; for the evidence's source. */
  readonly publisher: string;
  /** The operator trusts it. */
  readonly trusted: boolean;
  /** Clean active running time of its artifacts on this host since its last fault. */
  readonly cleanMs: number;
  readonly faults: readonly Fault[];
}

/** Where histories are kept; the engine supplies it. */
export interface History {
  /** Null for a publisher that was never seen. */
  publisher(publisher: string): PublisherRecord | null;
}

/** The policy's numbers. Shares and scores 0..1, times above 0. */
export interface ReputationSettings {
  readonly trustedStart: number;
  readonly unknownStart: number;
  /** The most that a publisher can earn that the operator never trusted. */
  readonly unknownMax: number;
  /** Clean time after which half of what was missing is earned. */
  readonly cleanHalfMs: number;
  /** Age at which a fault weighs half. */
  readonly decayHalfMs: number;
  /** Share of what is left that a fresh fault takes. */
  readonly penalties: Readonly<Record<FaultKind, Readonly<Record<Severity, number>>>>;
}

/**
 * Scores a publisher's history as evidence for `reputation.publisher`: a start by the operator's trust, raised by clean time towards 1
 * (an unknown publisher towards `unknownMax`), times what each fault leaves. A fault's weight decays as half ÷ (half + age).
 *
 * One more fault never raises the score; more clean time, or an older fault, never lowers it. Only + − × ÷ and comparison, each monotone
 * also when rounded, in an order that does not depend on the record's.
 *
 * @throws ReputationError REPUTATION_RECORD when a time of the record is not a number
 */
export function publisherReputation(
  record: PublisherRecord | null,
  nowMs: number,
  settings: ReputationSettings,
): Evidence {
  if (record === null) return evidenceOf(settings.unknownStart, 'nothing is known of the publisher', 'no publisher');
  const { publisher, trusted, faults } = record;
  requireTimes(record, nowMs);
  let score = earnedScore(record, settings);
  for (const left of faults.map((fault) => remainder(fault, nowMs, settings)).sort((a, b) => a - b)) score *= left;
  const standing = trusted ? 'trusted by the operator' : 'not trusted by the operator';
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  return evidenceOf(score, `${standing}, ${formatDuration(record.cleanMs)} of clean running, ${count}`, publisher);
}

function evidenceOf(score: number, reason: string, source: string): Evidence {
  return { check: 'reputation.publisher', score, reason, source, expiresMs: null };
}

/** start + (max − start)·(1 − half ÷ (half + clean)). */
function earnedScore({ trusted, cleanMs }: PublisherRecord, settings: ReputationSettings): number {
  const start = trusted ? settings.trustedStart : settings.unknownStart;
  const max = trusted ? 1 : settings.unknownMax;
  const earned = 1 - settings.cleanHalfMs / (settings.cleanHalfMs + cleanMs);
  const score = start + (max - start) * earned;
  return score < max ? score : max;
}

/** What one fault leaves of a score. A fault from the future (a clock set back) weighs as a fresh one. */
function remainder(fault: Fault, nowMs: number, { penalties, decayHalfMs }: ReputationSettings): number {
  const ageMs = nowMs > fault.atMs ? nowMs - fault.atMs : 0;
  return 1 - penalties[fault.kind][fault.severity] * (decayHalfMs / (decayHalfMs + ageMs));
}

function requireTimes({ publisher, cleanMs, faults }: PublisherRecord, nowMs: number): void {
  const isSound = cleanMs >= 0 && Number.isFinite(cleanMs) && Number.isFinite(nowMs);
  if (isSound && faults.every(({ atMs }) => Number.isFinite(atMs))) return;
  throw new ReputationError(
    'REPUTATION_RECORD',
    `the history of ${publisher.slice(0, 80)} has a time that is no number`,
    {
      hint: 'The record is damaged; nothing is scored by it until it is repaired.',
    },
  );
}
