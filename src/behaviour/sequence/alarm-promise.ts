// Keeps a promise of so many false alarms while what is normal drifts: the level at which an alarm is raised follows the alarms that were.

/** How far the level moves, as a natural logarithm: an alarm takes it to about 60 %. Fast enough for a drift within some hundred traces. */
const STEP = 0.5;
/** The level never falls below this share of the promise, or rises above this many: a flood of attacks cannot switch alarms off. */
const LEVEL_SHARE_MIN = 1 / 16;
const LEVEL_TIMES_MAX = 16;

/**
 * Turns conformal p-values into alarms, of which a share `rate` is false as long as all is normal. Each alarm lowers the level by
 * a factor, each trace without one raises it, so that the two cancel when alarms are as many as promised, for any order of traces.
 *
 * @source Gibbs and Candès, "Adaptive conformal inference under distribution shift" (2021), equation 2, on the logarithm of the level
 *   and with bounds
 */
export class AlarmPromise {
  readonly #rate: number;
  readonly #rise: number;
  readonly #fall: number;
  #level: number;

  /** @param rate share of normal traces that may raise an alarm: one in a whole number, above 0 and below 1 */
  constructor(rate: number) {
    this.#rate = rate;
    this.#level = rate;
    this.#rise = 1 + STEP * rate;
    let fall = 1;
    for (let step = 1; step * rate <= 1 - rate / 2; step += 1) fall /= this.#rise;
    this.#fall = fall;
  }

  /** Says whether a trace of this p-value raises an alarm. A confirmed attack is no false alarm and moves nothing. */
  isAlarm(pValue: number, { isConfirmedAttack = false } = {}): boolean {
    const isAlarm = pValue <= this.#level;
    if (isConfirmedAttack) return isAlarm;
    const level = this.#level * (isAlarm ? this.#fall : this.#rise);
    const low = this.#rate * LEVEL_SHARE_MIN;
    const high = this.#rate * LEVEL_TIMES_MAX;
    this.#level = level < low ? low : level > high ? high : level;
    return isAlarm;
  }
}
