// Score and request in, grant out: pure, no I/O, no clock.
export { type Allocation, type AllocationContext, allocateResources, type LaunchProfile } from './allocate.ts';
export {
  type Capacity,
  type CapacityInput,
  type CapacityPlan,
  type Holding,
  planCapacity,
  type Shrink,
} from './capacity.ts';
export { type CapFacts, planCaps } from './caps.ts';
export { parsePolicyCases, type PolicyCase, type PolicyCaseResult, runPolicyCases } from './cases.ts';
export {
  decide,
  type Decision,
  type DecisionInput,
  initialTierState,
  type Override,
  type TierState,
  withLaunch,
} from './decide.ts';
export { describePolicy } from './describe.ts';
export { type ResponseActionName, responseActions } from './document.ts';
export { PolicyError, type PolicyErrorCode, type PolicyProblem } from './errors.ts';
export {
  type BindMount,
  type Grant,
  type Isolation,
  isSameLive,
  type LiveGrant,
  liveGrantOf,
  type Logging,
  type Mode,
  type NetworkMode,
  type PortMapping,
  type ResourceRequest,
} from './grant.ts';
export type { RunningLaunch } from './launch.ts';
export { parsePolicy, type Policy, type PolicyResponse, type PolicyRule } from './parse.ts';
export { matchResponses, type ResponseFacts, type RuleSubject } from './rules.ts';
export { tierNames, tierOf, tierRank, type TierThresholds } from './tier.ts';
export type { Tier } from '../trust/index.ts';
