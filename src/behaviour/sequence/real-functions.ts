// Logarithm and square root by + − × ÷ alone, so that a score is the same bits on every machine; the engine's own may differ by platform.

/** Nearest double to ln 2: a constant, given by the language. */
const LN_2 = Math.LN2;
/** Terms of the series; with |z| ≤ 1/5 the next one is below half a unit in the last place. */
const SERIES_TERMS = 12;
const ROOT_STEPS_MAX = 64;

/**
 * The natural logarithm of a positive finite number, to about 15 digits.
 *
 * @source ln m = 2 artanh((m − 1) ÷ (m + 1)), m reduced to 2/3 … 4/3 by halving and doubling, which are exact
 */
export function logarithm(x: number): number {
  if (!(x > 0) || x === Infinity) throw new RangeError('the logarithm is taken of positive finite numbers alone');
  let mantissa = x;
  let exponent = 0;
  for (; mantissa > 4 / 3; mantissa /= 2) exponent += 1;
  for (; mantissa < 2 / 3; mantissa *= 2) exponent -= 1;
  const z = (mantissa - 1) / (mantissa + 1);
  const square = z * z;
  let sum = 0;
  for (let term = SERIES_TERMS; term >= 0; term -= 1) sum = sum * square + 1 / (2 * term + 1);
  return exponent * LN_2 + 2 * z * sum;
}

/** The square root of a number of at least 1, by Newton's steps from above until they no longer fall. */
export function squareRoot(x: number): number {
  if (!(x >= 1) || x === Infinity) throw new RangeError('the root is taken of finite numbers from 1 on');
  let root = x;
  for (let step = 0; step < ROOT_STEPS_MAX; step += 1) {
    const next = (root + x / root) / 2;
    if (next >= root) return root;
    root = next;
  }
  return root;
}
