// How each table is laid out, and how durable its rows are.
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
import type { TableSpec } from './table.ts';

export const workloadsTable: TableSpec<WorkloadRow, 'name'> = {
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
};

export const revisionsTable: TableSpec<RevisionRow, 'workload' | 'number'> = {
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
};

export const instancesTable: TableSpec<InstanceRow, 'id'> = {
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
};

export const overridesTable: TableSpec<OverrideRow, 'workload'> = {
  name: 'overrides',
  columns: { workload: 'value', untilMs: 'value', document: 'document' },
  key: ['workload'],
  durability: 'durable',
};

export const incidentsTable: TableSpec<IncidentRow, 'id'> = {
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
};

export const trustStatesTable: TableSpec<TrustStateRow, 'artifactDigest'> = {
  name: 'trustStates',
  columns: { artifactDigest: 'value', document: 'document', updatedMs: 'value' },
  key: ['artifactDigest'],
  durability: 'relaxed',
};

export const publishersTable: TableSpec<PublisherRow, 'id'> = {
  name: 'publishers',
  columns: { id: 'value', document: 'document', updatedMs: 'value' },
  key: ['id'],
  durability: 'durable',
};

export const modelsTable: TableSpec<ModelRow, 'artifactDigest'> = {
  name: 'models',
  columns: { artifactDigest: 'value', document: 'document', updatedMs: 'value' },
  key: ['artifactDigest'],
  durability: 'relaxed',
};

export const artifactNamesTable: TableSpec<ArtifactNameRow, 'name'> = {
  name: 'artifactNames',
  columns: { name: 'value', artifactDigest: 'value', updatedMs: 'value' },
  key: ['name'],
  durability: 'relaxed',
};
