// Event in, planned actions out: never acts.
export type { Action, ActionKind, Trigger } from './plan.ts';
