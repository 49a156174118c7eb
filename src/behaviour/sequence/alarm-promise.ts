// Keeps a promise of so many false alarms while what is normal drifts: the level at which an alarm is raised follows the alarms that were.

/** How far one alarm moves the level, in levels that were promised. Fast enough for a drift within a hundred traces. */
const STEP = 0.5;
/** The level never falls below this share of the promise, or rises above this many: a flood of attacks cannot switch alarms off. */
const LEVEL_SHARE_MIN = 1 / 64;
const LEVEL_TIMES_MAX = 4;

/**
 * Turns conformal p-values into alarms, of which a share `rate` is false as long as all is normal. Each alarm lowers the level by
 * a step, each trace without one raises it by the matching part, so that the mean holds for any order of traces.
 *
 * @source Gibbs and Candès, "Adaptive conformal inference under distribution shift" (2021), equation 2, with bounds on the level
 */
export class AlarmPromise {
  readonly #rate: number;
  #level: number;

  /** @param rate share of normal traces that may raise an alarm, above 0 and below 1 */
  constructor(rate: number) {
    this.#rate = rate;
    this.#level = rate;
  }

  /** Whether a trace of this p-value raises an alarm. A `trusted` false alarm is one that nobody contests; a confirmed attack moves nothing. */
  isAlarm(pValue: number, { isConfirmedAttack = false } = {}): boolean {
    const isAlarm = pValue <= this.#level;
    if (isConfirmedAttack) return isAlarm;
    const level = this.#level + STEP * this.#rate * (this.#rate - (isAlarm ? 1 : 0));
    const low = this.#rate * LEVEL_SHARE_MIN;
    const high = this.#rate * LEVEL_TIMES_MAX;
    this.#level = level < low ? low : level > high ? high : level;
    return isAlarm;
  }
}
