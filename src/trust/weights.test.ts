import { describe, expect, it } from 'vitest';
import { TrustError, type TrustWeights } from './evidence.ts';
import { prepareWeights } from './weights.ts';

const components = { base: 0.25, build: 0.3, runtime: 0.25, reputation: 0.2 };

function weightsOf(checks: readonly (readonly [string, number])[]): TrustWeights {
  return { components, checks: checks.map(([check, weight]) => ({ check, weight, how: 'do it' })) };
}

const whole = [
  ['base.user', 0.7],
  ['build.attestation', 1],
  ['base.path', 0.2],
  ['base.age', 0.1],
  ['runtime.behaviour', 1],
  ['reputation.publisher', 1],
] as const;

function codeOf(weights: TrustWeights): string {
  try {
    prepareWeights(weights);
  } catch (error) {
    if (error instanceof TrustError) return `${error.code} ${error.exit}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('prepareWeights', () => {
  it('keeps the order of the checks within each component', () => {
    expect(prepareWeights(weightsOf(whole)).members).toEqual([[0, 2, 3], [1], [4], [5]]);
  });

  it('accepts decimals that sum to 1 only within rounding', () => {
    expect(0.7 + 0.2 + 0.1).not.toBe(1);
    expect(codeOf(weightsOf(whole))).toBe('accepted');
  });

  it.each([
    [
      'a check that is listed twice',
      weightsOf([...whole, ['base.user', 0]]),
      /^TRUST_WEIGHTS 2: base.user is listed twice/,
    ],
    ['a check of no component', weightsOf([...whole, ['basis.user', 0]]), /'basis.user' is not a check id/],
    ['a weight below 0', weightsOf([...whole, ['base.new', -0.1]]), /the weight of base.new is -0.1, not in 0..1/],
    ['a weight that is not a number', weightsOf([...whole, ['base.new', Number.NaN]]), /is NaN, not in 0..1/],
    ['checks that sum to more than 1', weightsOf([...whole, ['base.new', 0.01]]), /the checks of base sum to 1.01/],
    ['a component without checks', weightsOf(whole.slice(0, 5)), /the checks of reputation sum to 0, not to 1/],
    [
      'components that sum to less than 1',
      { ...weightsOf(whole), components: { ...components, base: 0.2 } },
      /the components sum to/,
    ],
    [
      'more checks than any policy needs',
      weightsOf(Array.from({ length: 257 }, (_, n) => [`base.c${n}`, 0])),
      /257 checks are listed/,
    ],
  ])('refuses %s', (_name, weights, message) => {
    expect(codeOf(weights)).toMatch(message);
  });
});
