// The embedded store: what the supervisor must know again after a restart. Synchronous; one value, opened once.
import { type Connection, type Durability, openConnection } from './connection.ts';
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
    ...openRunTables(connection),
    ...openHistoryTables(connection),
    events: openEventRing(connection, eventsKeptMax),
    idRanges: openIdRanges(connection, homeId),
    transaction: (act, durability = 'durable') => connection.transaction(durability, act),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

type RunTables = Pick<Store, 'workloads' | 'revisions' | 'instances' | 'overrides' | 'incidents'>;

function openRunTables(connection: Connection): RunTables {
  return {
    workloads: openTable<WorkloadRow, 'name'>(connection, {
      name: 'workloads',
      columns: {
        name: 'value',
        request: 'document',
        desiredState: 'value',
        currentRevision: 'value',
        createdMs: 'value',
        document: 'document',
      },
      key: ['name'],
      durability: 'durable',
    }),
    revisions: openTable<RevisionRow, 'workload' | 'number'>(connection, {
      name: 'revisions',
      columns: {
        workload: 'value',
        number: 'value',
        artifactDigest: 'value',
        requestDigest: 'value',
        request: 'document',
        launch: 'document',
        goodSinceMs: 'value',
        createdMs: 'value',
      },
      key: ['workload', 'number'],
      durability: 'durable',
    }),
    instances: openTable<InstanceRow, 'id'>(connection, {
      name: 'instances',
      columns: {
        id: 'value',
        workload: 'value',
        revision: 'value',
        state: 'value',
        record: 'document',
        idRangeFirst: 'value',
        startedMs: 'value',
        endedMs: 'value',
        exit: 'document',
        document: 'document',
      },
      key: ['id'],
      durability: 'durable',
    }),
    overrides: openTable<OverrideRow, 'workload'>(connection, {
      name: 'overrides',
      columns: { workload: 'value', untilMs: 'value', document: 'document' },
      key: ['workload'],
      durability: 'durable',
    }),
    incidents: openTable<IncidentRow, 'id'>(connection, {
      name: 'incidents',
      columns: {
        id: 'value',
        workload: 'value',
        artifactDigest: 'value',
        severity: 'value',
        state: 'value',
        openedMs: 'value',
        document: 'document',
      },
      key: ['id'],
      durability: 'durable',
    }),
  };
}

type HistoryTables = Pick<Store, 'trustStates' | 'publishers' | 'models' | 'artifactNames'>;

function openHistoryTables(connection: Connection): HistoryTables {
  return {
    trustStates: openTable<TrustStateRow, 'artifactDigest'>(connection, {
      name: 'trustStates',
      columns: { artifactDigest: 'value', document: 'document', updatedMs: 'value' },
      key: ['artifactDigest'],
      durability: 'relaxed',
    }),
    publishers: openTable<PublisherRow, 'id'>(connection, {
      name: 'publishers',
      columns: { id: 'value', document: 'document', updatedMs: 'value' },
      key: ['id'],
      durability: 'durable',
    }),
    models: openTable<ModelRow, 'artifactDigest'>(connection, {
      name: 'models',
      columns: { artifactDigest: 'value', document: 'document', updatedMs: 'value' },
      key: ['artifactDigest'],
      durability: 'relaxed',
    }),
    artifactNames: openTable<ArtifactNameRow, 'name'>(connection, {
      name: 'artifactNames',
      columns: { name: 'value', artifactDigest: 'value', updatedMs: 'value' },
      key: ['name'],
      durability: 'relaxed',
    }),
  };
}
