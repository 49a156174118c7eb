// What the engine holds in memory of one workload.
import type { RunRequest, UsageDocument, WorkloadState } from '../api/index.ts';
import type { Artifact } from '../artifact/index.ts';
import { Lane } from '../base/index.ts';
import type { Grant, LaunchProfile, Mode, Override, Policy, ResourceRequest, TierState } from '../policy/index.ts';
import type { Effective, Exit, NetworkStats, Sandbox, SandboxStats, SensorReading } from '../sandbox/index.ts';
import type { Findings, Tier, TrustScore } from '../trust/index.ts';

/** One revision of a workload: an artifact and a request, under a policy. */
export interface Revision {
  readonly number: number;
  readonly artifact: Artifact;
  readonly request: RunRequest;
  readonly requestDigest: string;
  readonly policy: Policy;
  readonly mode: Mode;
  readonly createdMs: number;
}

/** What the last decision made of the revision. */
export interface Standing {
  readonly score: TrustScore;
  readonly tier: Tier;
  readonly grantedTier: Tier;
  readonly tierState: TierState;
  readonly grant: Grant;
  readonly launchProfile: LaunchProfile;
  /** Journal index of the decision that this grant rests on. */
  readonly logIndex: number;
}

/** The running sandbox of a workload, and the counters at the end of its last window. */
export interface Instance {
  readonly id: string;
  readonly sandbox: Sandbox;
  readonly startedMs: number;
  readonly address: string | null;
  readonly deadlineMs: number | null;
  effective: Effective;
  /** Network as the kernel has it. */
  network: { readonly network: Grant['network']; readonly rateBitsPerSecond: number | null };
  windowStartMs: number;
  stats: SandboxStats;
  netStats: NetworkStats | null;
  reading: SensorReading | null;
  /** Since when a limit could not be reached; null when none is pending. */
  pendingSinceMs: number | null;
}

/** A workload that the engine knows. */
export interface Running {
  readonly name: string;
  readonly createdMs: number;
  readonly lane: Lane;
  revision: Revision;
  standing: Standing;
  findings: Findings;
  /** Who signed it, by keys that are trusted. */
  publishers: readonly string[];
  state: WorkloadState;
  instance: Instance | null;
  override: Override | null;
  usage: UsageDocument | null;
  anomaly: number | null;
  exit: (Exit & { readonly reason: string }) | null;
  /** Clean time of this revision, for "a revision is good after …". */
  cleanSinceMs: number | null;
  restarts: number;
  /** What this instance was found to do, as `kind/severity`, with the incident that was opened for it. */
  readonly reported: Map<string, string>;
  /** Set while a fall is being enforced and logged, until it is; what follows from it is its own response's to do. Never rejects. */
  falling: Promise<void> | null;
  /** Set by whoever ends it on purpose, so that its exit is not taken for its own. */
  ending: EndReason | null;
}

export type EndReason =
  | 'stopped'
  | 'removed'
  | 'replaced'
  | 'relaunch'
  | 'rollback'
  | 'terminated'
  | 'time limit'
  | 'shutdown';

/** The part of a run request that a grant is made from. */
export function resourcesOf(request: RunRequest): ResourceRequest {
  const { cpuMillicores, memoryBytes, diskBytes, pids, timeMs, ports, mounts } = request;
  return { cpuMillicores, memoryBytes, diskBytes, pids, timeMs, ports, mounts };
}

/** A workload before its first instance. */
export function newRunning(
  seed: Pick<Running, 'name' | 'createdMs' | 'revision' | 'standing' | 'findings' | 'publishers'>,
): Running {
  return {
    ...seed,
    lane: new Lane(),
    state: 'starting',
    instance: null,
    override: null,
    reported: new Map(),
    falling: null,
    usage: null,
    anomaly: null,
    exit: null,
    cleanSinceMs: null,
    restarts: 0,
    ending: null,
  };
}
