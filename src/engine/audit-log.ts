// The audit log of a workload: what the sensor saw with its arguments, in JSON Lines, bounded.
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { MIB, errnoOf, rfc3339 } from '../base/index.ts';
import type { AuditEvent } from '../behaviour/index.ts';
import type { EngineContext } from './context.ts';
import type { Running } from './running.ts';

/** One older file of the same size is kept. */
const AUDIT_BYTES_MAX = 8 * MIB;

/** Where a workload's audit log is. */
export function auditPath(context: Pick<EngineContext, 'home'>, name: string): string {
  return join(context.home.workloadDir(name), 'audit.jsonl');
}

/** Appends the events of one window; `standard` logging keeps none. */
export function writeAudit(context: EngineContext, running: Running, events: readonly AuditEvent[]): void {
  if (running.standing.grant.logging === 'standard') return;
  const path = auditPath(context, running.name);
  const lines = events.map(
    (event) =>
      `${JSON.stringify({ time: rfc3339(event.timeMs), kind: event.kind, comm: event.comm, pid: event.pid, target: event.target })}\n`,
  );
  if (sizeOf(path) > AUDIT_BYTES_MAX) renameSync(path, `${path}.1`);
  appendFileSync(path, lines.join(''), { mode: 0o640 });
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
