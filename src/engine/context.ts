// What the parts of the engine share: ports to the rooms below, and the workloads in memory. Opened once, closed once.
import type { Logger } from 'pino';

import type { IncidentDocument } from '../api/index.ts';
import type { Window } from '../behaviour/index.ts';
import type { ContentStore } from '../artifact/index.ts';
import type { Clock, Lane } from '../base/index.ts';
import type { Journal } from '../ledger/index.ts';
import type { Capacity, Grant, Holding, Isolation, Override } from '../policy/index.ts';
import type { AttestationStore, ChainCache, Keyring } from '../provenance/index.ts';
import type { Driver, DriverName, Network, Sensor } from '../sandbox/index.ts';
import type { Store } from '../store/index.ts';
import type { RuntimeVerdict } from '../trust/index.ts';
import type { Attachments } from './attachments.ts';
import type { CodeMemory } from './code-memory.ts';
import type { EventBus } from './event-bus.ts';
import type { Home } from './home.ts';
import type { LearningPhase } from './learning-phase.ts';
import type { LogLeaves } from './log-leaves.ts';
import type { Policies } from './policies.ts';
import type { PublisherHistory } from './publisher-history.ts';
import type { Instance, Running } from './running.ts';

/** What judging an artifact needs: reads only, so that commands can do it without a supervisor. */
export interface AssessContext {
  readonly clock: Clock;
  readonly content: ContentStore;
  readonly keyring: Keyring;
  readonly attestations: AttestationStore;
  /** Entries of the journal, by which attestations are held to what was logged. */
  readonly leaves: LogLeaves;
  /** What was read of attestations, under the home's policy of origins. */
  readonly chains: ChainCache;
  readonly publishers: PublisherHistory;
  readonly incidents: ReadonlyMap<string, IncidentDocument>;
}

/** What deciding needs beside. */
export interface DecideContext extends AssessContext {
  readonly memory: CodeMemory;
  /** Isolations that this host gives, as the drivers' probes found. */
  readonly isolationAvailable: readonly Isolation[];
}

/** Takes each window as it was judged, whole: for recording. It must return at once. All that the window led to has been done by then. */
export type WindowObserver = (seen: {
  readonly workload: string;
  readonly window: Window;
  readonly verdict: RuntimeVerdict;
}) => void;

export interface EngineContext extends DecideContext {
  readonly home: Home;
  readonly log: Logger;
  readonly store: Store;
  readonly journal: Journal;
  readonly drivers: ReadonlyMap<DriverName, Driver>;
  readonly network: Network;
  readonly sensor: Sensor;
  readonly policies: Policies;
  readonly events: EventBus;
  readonly attachments: Attachments;
  /** Null where nobody records. */
  readonly observeWindow: WindowObserver | null;
  /** Changes of keys, one after another. */
  readonly keyLane: Lane;
  readonly workloads: Map<string, Running>;
  readonly incidents: Map<string, IncidentDocument>;
  /** Learning phases under way, by the digest of their artifact. */
  readonly phases: Map<string, LearningPhase>;
  /** Room that starts under way were promised: nobody else may have it. */
  readonly promised: Set<Holding>;
  /** Names whose first start is under way. */
  readonly starting: Set<string>;
  readonly hostCapacity: Capacity;
  /** A name for the driver that a grant's isolation asks for. */
  driverNameFor(grant: Grant): DriverName;
  loadOverride(workload: string): Override | null;
  /** Deals with an instance's end, once. */
  watchExit(running: Running, instance: Instance): void;
  /** Work that nobody waits for; a failure is logged, and closing waits for its end. */
  inBackground(work: Promise<unknown>): void;
  /** Runs a task later, unless the engine is closed first. */
  later(delayMs: number, task: () => Promise<unknown>): void;
}
