// Request and tier in, grant or refusal out: the specification's `allocateResources`.
import type { Tier } from '../trust/index.ts';
import type { Grant, Isolation, ResourceRequest } from './grant.ts';
import type { Policy } from './parse.ts';

/** How strongly a sandbox is confined when it starts; the names are the drivers' launch profiles. */
export type LaunchProfile = 'standard' | 'strict';

/** What a tier is given, or why nothing. */
export type Allocation =
  | { readonly kind: 'granted'; readonly grant: Grant; readonly launchProfile: LaunchProfile }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export interface AllocationContext {
  readonly policy: Policy;
  /** What the drivers of this host can give, as probed. */
  readonly isolationAvailable: ReadonlySet<Isolation>;
}

/**
 * Allocates what a tier is given of a request. By the default policy: high what was asked for; medium half the CPU and memory and a
 * limited rate; low at most 100 millicores and 256 MiB, no network, in a sandboxed VM. Never more than was asked for, never less than
 * one millicore and one byte. Refused when the host has none of the isolations that the policy lists for the tier.
 *
 * @source adaptive-resource-allocation, `allocateResources`
 */
export function allocateResources(request: ResourceRequest, tier: Tier, context: AllocationContext): Allocation {
  const { policy, isolationAvailable } = context;
  const isolation = policy.isolation[tier].find((one) => isolationAvailable.has(one));
  if (isolation === undefined) {
    const wanted = policy.isolation[tier].join(' or ');
    const reason = `tier ${tier} runs in ${wanted} only, and this host has no working driver for it (see provost doctor)`;
    return { kind: 'refused', reasons: [reason] };
  }
  return { kind: 'granted', ...grantOf(request, tier, { policy, isolation }) };
}

/** What a tier is given of a request in one isolation, with the launch profile that the tier starts in. */
export function grantOf(
  request: ResourceRequest,
  tier: Tier,
  { policy, isolation }: { readonly policy: Policy; readonly isolation: Isolation },
): { readonly grant: Grant; readonly launchProfile: LaunchProfile } {
  const given = policy.grants[tier];
  const grant: Grant = {
    cpu: { millicores: part(request.cpuMillicores, given.cpuShare, given.cpuMillicoresMax) },
    memory: { bytes: part(request.memoryBytes, given.memoryShare, given.memoryBytesMax) },
    disk: { bytes: request.diskBytes },
    pids: request.pids,
    timeMs: request.timeMs,
    network: given.network,
    rateBitsPerSecond: given.rateBitsPerSecond,
    ports: request.ports,
    mounts: request.mounts,
    isolation,
    logging: given.logging,
  };
  return { grant, launchProfile: given.launchProfile };
}

/** A share of what was asked for, whole, at least 1 and at most `max`. */
function part(requested: number, share: number, max: number | null): number {
  const whole = Math.max(1, Math.floor(requested * share));
  return max !== null && max < whole ? max : whole;
}
