// Time as an argument: domains never read a clock, the edges hand them one.

/** Where time comes from. `nowMs` is Unix time in milliseconds; `monotonicMs` never goes back and has sub-millisecond parts. */
export interface Clock {
  nowMs(): number;
  monotonicMs(): number;
}

/** The clocks of this host. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** RFC 3339 in UTC with milliseconds. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
