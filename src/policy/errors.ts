// What can be wrong with a policy, and where.
import { type ErrorOptionsOf, exitStatus, ProvostError } from '../base/index.ts';

export type PolicyErrorCode = 'POLICY_YAML' | 'POLICY_KEY' | 'POLICY_VALUE' | 'POLICY_CONDITION';

/** A policy, or a file of policy tests, that cannot be used. The command line exits with 2. */
export class PolicyError extends ProvostError<PolicyErrorCode> {
  constructor(code: PolicyErrorCode, message: string, options: ErrorOptionsOf = {}) {
    super(code, message, { exit: exitStatus.usage, ...options });
  }
}

/** One thing that is wrong, at its place; line and column start at 1. */
export interface PolicyProblem {
  readonly code: PolicyErrorCode;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}
