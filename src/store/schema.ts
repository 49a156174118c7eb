// The tables. A migration, once released, never changes; a new one is appended.

/** SQL that takes the schema from version i to i + 1. Columns have the names of the rows' fields; documents are JSON text. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE workloads (
    name TEXT PRIMARY KEY, request TEXT NOT NULL, desiredState TEXT NOT NULL, currentRevision INTEGER,
    createdMs INTEGER NOT NULL, document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE revisions (
    workload TEXT NOT NULL, number INTEGER NOT NULL, artifactDigest TEXT NOT NULL, requestDigest TEXT NOT NULL,
    request TEXT NOT NULL, launch TEXT NOT NULL, goodSinceMs INTEGER, createdMs INTEGER NOT NULL,
    PRIMARY KEY (workload, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE instances (
    id TEXT PRIMARY KEY, workload TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    idRangeFirst INTEGER NOT NULL, startedMs INTEGER, endedMs INTEGER, exit TEXT NOT NULL, document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX instancesOfWorkload ON instances (workload, revision);
  CREATE TABLE trustStates (
    artifactDigest TEXT PRIMARY KEY, document TEXT NOT NULL, updatedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE publishers (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, updatedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE incidents (
    id TEXT PRIMARY KEY, workload TEXT NOT NULL, artifactDigest TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
    openedMs INTEGER NOT NULL, document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX incidentsOfWorkload ON incidents (workload, state);
  CREATE INDEX incidentsOfArtifact ON incidents (artifactDigest, state);
  CREATE TABLE overrides (
    workload TEXT PRIMARY KEY, untilMs INTEGER NOT NULL, document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, workload TEXT NOT NULL, timeMs INTEGER NOT NULL, document TEXT NOT NULL
  ) STRICT;
  CREATE INDEX eventsOfWorkload ON events (workload, seq);
  CREATE TABLE models (
    artifactDigest TEXT PRIMARY KEY, document TEXT NOT NULL, updatedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE artifactNames (
    name TEXT PRIMARY KEY, artifactDigest TEXT NOT NULL, updatedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX namesOfArtifact ON artifactNames (artifactDigest);
  CREATE TABLE idRanges (
    owner TEXT PRIMARY KEY, first INTEGER NOT NULL UNIQUE
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
