// The rows of the store. Documents are plain JSON values; what they mean is known to the room that wrote them.

/** A workload: a name, what was asked for it last, and whether it should run. */
export interface WorkloadRow {
  readonly name: string;
  /** The run request; a JSON document, as every field of type `unknown` here. */
  readonly request: unknown;
  readonly desiredState: 'running' | 'stopped';
  readonly currentRevision: number | null;
  readonly createdMs: number;
  readonly document: unknown;
}

/** A revision: an artifact and a request, by digest, and how it is launched. */
export interface RevisionRow {
  readonly workload: string;
  readonly number: number;
  readonly artifactDigest: string;
  readonly requestDigest: string;
  readonly request: unknown;
  readonly launch: unknown;
  /** Since when it counts as good; null: not yet, or no longer. */
  readonly goodSinceMs: number | null;
  readonly createdMs: number;
}

/** One start of a revision. `state` is the engine's word. */
export interface InstanceRow {
  readonly id: string;
  readonly workload: string;
  readonly revision: number;
  readonly state: string;
  /** What is needed to find the sandbox again; null before there is one. */
  readonly record: unknown;
  readonly idRangeFirst: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** How it ended; null while it runs. */
  readonly exit: unknown;
  readonly document: unknown;
}

/** The runtime component's state of one artifact. */
export interface TrustStateRow {
  readonly artifactDigest: string;
  readonly document: unknown;
  readonly updatedMs: number;
}

/** A publisher's history. */
export interface PublisherRow {
  readonly id: string;
  readonly document: unknown;
  readonly updatedMs: number;
}

export interface IncidentRow {
  readonly id: string;
  readonly workload: string;
  readonly artifactDigest: string;
  readonly severity: string;
  readonly state: 'open' | 'acknowledged' | 'resolved';
  readonly openedMs: number;
  readonly document: unknown;
}

/** A person's override of one workload's tier, until a time. */
export interface OverrideRow {
  readonly workload: string;
  readonly untilMs: number;
  readonly document: unknown;
}

/** What one artifact's windows have taught the detector. */
export interface ModelRow {
  readonly artifactDigest: string;
  readonly document: unknown;
  readonly updatedMs: number;
}

/** The digest that a reference stood for when it was last read. */
export interface ArtifactNameRow {
  readonly name: string;
  readonly artifactDigest: string;
  readonly updatedMs: number;
}

/** A kept event; `seq` grows by one or more from event to event and is never used twice. */
export interface EventRow {
  readonly seq: number;
  readonly workload: string;
  readonly timeMs: number;
  readonly document: unknown;
}
