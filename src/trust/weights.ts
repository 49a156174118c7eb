// Checks the weights that a policy gives, and lays them out for the sum.
import { exitStatus } from '../base/index.ts';
import { type CheckWeight, type ComponentName, componentNames, TrustError, type TrustWeights } from './evidence.ts';

/** Weights written in decimals add up to 1 only within rounding; a real mistake is larger than this. */
const SUM_TOLERANCE = 1e-9;

/** Enough for every check that a policy can name, few enough that a score stays a matter of microseconds. */
const CHECKS_MAX = 256;

/** `component.name`, as in `build.attestation`. */
const CHECK_ID = /^(base|build|runtime|reputation)\.[a-z][a-z0-9-]{0,63}$/;

/** Weights that were checked, with what the sum needs at hand. Made only by {@link prepareWeights}. */
export interface PreparedWeights extends TrustWeights {
  /** Check id → its place in `checks`. */
  readonly indexOf: ReadonlyMap<string, number>;
  /** For each component, in the order of `componentNames`, the places of its checks in the order of the sum. */
  readonly members: readonly (readonly number[])[];
}

/**
 * Checks that every weight is in 0..1, that the components' weights sum to 1, and that each component's checks do.
 *
 * @returns the same weights, ready for `scoreTrust`; make them once a policy, not once a score
 * @throws TrustError TRUST_WEIGHTS
 */
export function prepareWeights(weights: TrustWeights): PreparedWeights {
  const { checks } = weights;
  if (checks.length > CHECKS_MAX) throw badWeights(`${checks.length} checks are listed; at most ${CHECKS_MAX} may be`);
  const indexOf = new Map<string, number>();
  const members = componentNames.map((): number[] => []);
  for (const [index, { check, weight }] of checks.entries()) {
    if (!CHECK_ID.test(check)) throw badWeights(`'${check}' is not a check id`);
    if (indexOf.has(check)) throw badWeights(`${check} is listed twice`);
    requireWeight(check, weight);
    indexOf.set(check, index);
    members[componentNames.indexOf(componentOf(check))]?.push(index);
  }
  requireSum(
    'the components',
    componentNames.map((name) => requireWeight(name, weights.components[name])),
  );
  for (const [place, name] of componentNames.entries()) {
    requireSum(
      `the checks of ${name}`,
      (members[place] ?? []).map((index) => weightAt(checks, index)),
    );
  }
  return { components: weights.components, checks, indexOf, members };
}

/** The component that a valid check id belongs to: its first part. */
function componentOf(check: string): ComponentName {
  return check.slice(0, check.indexOf('.')) as ComponentName;
}

function weightAt(checks: readonly CheckWeight[], index: number): number {
  return checks[index]?.weight ?? 0;
}

function requireWeight(name: string, weight: number): number {
  if (!(weight >= 0 && weight <= 1)) throw badWeights(`the weight of ${name} is ${weight}, not in 0..1`);
  return weight;
}

function requireSum(what: string, weights: readonly number[]): void {
  let sum = 0;
  for (const weight of weights) sum += weight;
  if (sum < 1 - SUM_TOLERANCE || sum > 1 + SUM_TOLERANCE) {
    throw badWeights(`the weights of ${what} sum to ${Number(sum.toPrecision(9))}, not to 1`);
  }
}

function badWeights(message: string): TrustError {
  return new TrustError('TRUST_WEIGHTS', message, {
    exit: exitStatus.usage,
    hint: 'Name each check component.name, once, and give weights of 0..1 that sum to 1 in each component.',
  });
}
