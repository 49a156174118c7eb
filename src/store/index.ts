// The embedded store: rows by key and JSON documents; it knows no domain.
export type { Durability } from './connection.ts';
export { StoreError, type StoreErrorCode } from './errors.ts';
export type { EventRing } from './events.ts';
export { ID_RANGE_SIZE, type IdRanges } from './id-ranges.ts';
export type {
  ArtifactNameRow,
  EventRow,
  IncidentRow,
  InstanceRow,
  ModelRow,
  OverrideRow,
  PublisherRow,
  RevisionRow,
  TrustStateRow,
  WorkloadRow,
} from './rows.ts';
export { openStore, type Store, type StoreOptions } from './store.ts';
export type { Table } from './table.ts';
