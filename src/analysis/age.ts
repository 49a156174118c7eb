// base.age: how long an image has gone without being built again, and so without fixes.
import type { Judgement } from './hygiene.ts';

const DAY_MS = 86_400_000;

/** Distributions publish fixed images about monthly. */
const FRESH_DAYS = 30;

/** After two years no supported distribution's image is without known holes. */
const STALE_DAYS = 730;

/** A clock may be this far ahead of ours. */
const AHEAD_MS = DAY_MS;

/** Before Docker (2013) no image was made: such times are placeholders of reproducible builds. */
const EARLIEST_MS = Date.UTC(2013, 0, 1);

/**
 * Judges the time of creation that an image states. Whoever leaves it out, or states one that cannot be, gets what the oldest
 * image gets: else leaving it out would pay.
 */
export function judgeAge(createdMs: number | null, nowMs: number): Judgement {
  if (createdMs === null || createdMs < EARLIEST_MS) return { score: 0, reason: 'it does not say when it was made' };
  if (createdMs > nowMs + AHEAD_MS) return { score: 0, reason: 'it says that it was made in the future' };
  const days = Math.max(0, Math.floor((nowMs - createdMs) / DAY_MS));
  const score = (STALE_DAYS - days) / (STALE_DAYS - FRESH_DAYS);
  return { score: Math.min(1, Math.max(0, score)), reason: `it was made ${days} day${days === 1 ? '' : 's'} ago` };
}
