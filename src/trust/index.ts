// Evidence in, score out: pure, and the same bits for the same input.
export {
  type Cap,
  type CheckWeight,
  componentNames,
  type ComponentName,
  type ComponentScore,
  type Evidence,
  type Findings,
  type Raise,
  type ScoredEvidence,
  type Tier,
  TrustError,
  type TrustErrorCode,
  type TrustScore,
  type TrustWeights,
} from './evidence.ts';
export type { RuntimeSettings, RuntimeState, RuntimeVerdict, Severity, Violation } from './runtime-state.ts';
export { initialRuntimeState, runtimeEvidence, type RuntimeStep, stepRuntime } from './runtime-fold.ts';
export { explainRaises, explainScore, scoreTrust } from './score.ts';
export { type PreparedWeights, prepareWeights } from './weights.ts';
