// The embedded store: what the supervisor must know again after a restart. Synchronous; one value, opened once.
import { type Durability, openConnection } from './connection.ts';
import { type EventRing, EVENTS_KEPT_MAX, openEventRing } from './events.ts';
import { type IdRanges, openIdRanges } from './id-ranges.ts';
import type {
  ArtifactNameRow,
  IncidentRow,
  InstanceRow,
  ModelRow,
  OverrideRow,
  PublisherRow,
  RevisionRow,
  TrustStateRow,
  WorkloadRow,
} from './rows.ts';
import { openTable, type Table } from './table.ts';
import {
  artifactNamesTable,
  incidentsTable,
  instancesTable,
  modelsTable,
  overridesTable,
  publishersTable,
  revisionsTable,
  trustStatesTable,
  workloadsTable,
} from './tables.ts';

/** All state of one home, as small repositories. */
export interface Store extends Disposable {
  readonly workloads: Table<WorkloadRow, { readonly name: string }>;
  readonly revisions: Table<RevisionRow, { readonly workload: string; readonly number: number }>;
  readonly instances: Table<InstanceRow, { readonly id: string }>;
  /** Relaxed: written every window. */
  readonly trustStates: Table<TrustStateRow, { readonly artifactDigest: string }>;
  readonly publishers: Table<PublisherRow, { readonly id: string }>;
  readonly incidents: Table<IncidentRow, { readonly id: string }>;
  readonly overrides: Table<OverrideRow, { readonly workload: string }>;
  /** Relaxed: can be learnt again. */
  readonly models: Table<ModelRow, { readonly artifactDigest: string }>;
  readonly artifactNames: Table<ArtifactNameRow, { readonly name: string }>;
  /** Relaxed. */
  readonly events: EventRing;
  readonly idRanges: IdRanges;
  /** Runs `act` as one transaction: all of it or nothing. `act` is synchronous; a transaction inside joins the outer one. */
  transaction<Result>(act: () => Result, durability?: Durability): Result;
}

/** How a store is opened. */
export interface StoreOptions {
  /** Six hex digits; where this home's user ids begin. */
  readonly homeId: string;
  readonly eventsKeptMax?: number;
}

/**
 * Opens the store in `file`, making or migrating it.
 *
 * Every operation may throw StoreError STORE_NO_SPACE, STORE_CORRUPT, STORE_BUSY or STORE_FAILED; nothing of it is kept then.
 *
 * @throws StoreError STORE_OPEN, STORE_CORRUPT, STORE_NEWER (written by a newer version), STORE_BUSY
 */
export function openStore(file: string, { homeId, eventsKeptMax = EVENTS_KEPT_MAX }: StoreOptions): Store {
  const connection = openConnection(file);
  return {
    workloads: openTable(connection, workloadsTable),
    revisions: openTable(connection, revisionsTable),
    instances: openTable(connection, instancesTable),
    overrides: openTable(connection, overridesTable),
    incidents: openTable(connection, incidentsTable),
    trustStates: openTable(connection, trustStatesTable),
    publishers: openTable(connection, publishersTable),
    models: openTable(connection, modelsTable),
    artifactNames: openTable(connection, artifactNamesTable),
    events: openEventRing(connection, eventsKeptMax),
    idRanges: openIdRanges(connection, homeId),
    transaction: (act, durability = 'durable') => connection.transaction(durability, act),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}
