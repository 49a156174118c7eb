// What can trigger a response, and the actions that a plan is made of.

import type { Severity } from '../behaviour/index.ts';
import type { Grant, Tier } from '../policy/index.ts';

/** Something that asks for a response. */
export type Trigger =
  | { readonly kind: 'tier-change'; readonly from: Tier; readonly to: Tier; readonly score: number }
  | { readonly kind: 'violation'; readonly rule: string; readonly severity: Severity; readonly reason: string }
  | {
      readonly kind: 'alarm';
      readonly anomaly: number;
      readonly severity: Severity;
      readonly reasons: readonly string[];
    }
  | { readonly kind: 'revocation'; readonly keyId: string; readonly severity: Severity };

export type ActionKind = 'restrict' | 'isolate-network' | 'freeze' | 'relaunch' | 'terminate' | 'rollback' | 'alert';

/** One planned action, with the reason that the incident will carry. */
export interface Action {
  readonly kind: ActionKind;
  readonly reason: string;
  /** For `restrict` and `relaunch`. */
  readonly grant: Grant | null;
}
