// The launch part of a decision: whether what runs is confined strongly enough, or must be started anew.
import type { Tier } from '../trust/index.ts';
import { allocateResources, grantOf, type LaunchProfile } from './allocate.ts';
import type { Grant, Isolation, LiveGrant, ResourceRequest } from './grant.ts';
import type { Policy } from './parse.ts';

/** What runs now was started with this; it cannot change while it runs. */
export interface RunningLaunch {
  readonly isolation: Isolation;
  readonly profile: LaunchProfile;
}

/** The grant of a tier, in the running sandbox or in a new one; refused when no isolation is strong enough. */
export type LaunchPlan =
  | {
      readonly kind: 'granted';
      readonly grant: Grant;
      readonly launchProfile: LaunchProfile;
      readonly relaunch: boolean;
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export interface LaunchInput {
  readonly policy: Policy;
  readonly request: ResourceRequest;
  readonly isolationAvailable: ReadonlySet<Isolation>;
  readonly bound: Pick<LiveGrant, 'cpuMillicores' | 'memoryBytes'> | null;
}

const isolationRank = { container: 0, gvisor: 1, microvm: 2 } as const;

/** Plans a tier's grant: what runs is kept where it is strong enough, else a stronger sandbox is asked for. */
export function planLaunch(running: RunningLaunch | null, tier: Tier, input: LaunchInput): LaunchPlan {
  const { policy, request, bound } = input;
  if (running !== null && isStrongEnough(running, tier, policy)) {
    const { grant } = grantOf(request, tier, { policy, isolation: running.isolation });
    return { kind: 'granted', grant: boundGrant(grant, bound), launchProfile: running.profile, relaunch: false };
  }
  const allocation = allocateResources(request, tier, input);
  if (allocation.kind === 'refused') return allocation;
  const { grant, launchProfile } = allocation;
  return { kind: 'granted', grant: boundGrant(grant, bound), launchProfile, relaunch: running !== null };
}

/** At least as strong as the weakest isolation that the policy accepts for the tier, and no weaker profile. */
function isStrongEnough(running: RunningLaunch, tier: Tier, policy: Policy): boolean {
  const accepted = policy.isolation[tier].some((one) => isolationRank[running.isolation] >= isolationRank[one]);
  return accepted && (running.profile === 'strict' || policy.grants[tier].launchProfile === 'standard');
}

function boundGrant(grant: Grant, bound: LaunchInput['bound']): Grant {
  if (bound === null) return grant;
  return {
    ...grant,
    cpu: { millicores: Math.min(grant.cpu.millicores, bound.cpuMillicores) },
    memory: { bytes: Math.min(grant.memory.bytes, bound.memoryBytes) },
  };
}
