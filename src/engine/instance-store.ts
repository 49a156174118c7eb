// Instances in the store: what a supervisor that comes back needs to find, limit or clear away what an earlier one started.
import type { Grant } from '../policy/index.ts';
import type { DriverName, SandboxRecord } from '../sandbox/index.ts';
import type { InstanceRow } from '../store/index.ts';
import type { EngineContext } from './context.ts';
import type { Instance, Running } from './running.ts';

/** What an instance's row says beside its columns. */
export interface InstanceDocument {
  readonly driver: DriverName;
  readonly runDir: string;
  readonly scratchDir: string;
  /** The last logged grant. */
  readonly grant: Grant;
  readonly frozen: boolean;
  readonly address: string | null;
}

/** Notes a running instance with its grant: after a crash it never keeps more than this. */
export function keepRunning(context: EngineContext, running: Running, instance: Instance): void {
  const { record } = instance.sandbox;
  const document: InstanceDocument = {
    driver: record.driver,
    runDir: record.runDir,
    scratchDir: record.scratchDir,
    grant: running.standing.grant,
    frozen: running.state === 'frozen',
    address: instance.address,
  };
  context.store.instances.put({
    id: instance.id,
    workload: running.name,
    revision: running.revision.number,
    state: 'running',
    record,
    idRangeFirst: context.store.idRanges.allocate(running.name),
    startedMs: instance.startedMs,
    endedMs: null,
    exit: null,
    document,
  });
}

/** A row's document and record, as they were written. */
export function readInstanceRow(row: InstanceRow): {
  readonly document: InstanceDocument;
  readonly record: SandboxRecord | null;
} {
  return { document: row.document as InstanceDocument, record: row.record as SandboxRecord | null };
}
