// Overrides: a person's word on a workload's tier, for a time, in the ledger.
import type { OverrideRequest } from '../api/index.ts';
import type { Override } from '../policy/index.ts';
import type { EngineContext } from './context.ts';
import { documentTypes } from './recording.ts';
import type { Running } from './running.ts';
import { recordPersonal } from './signing-entries.ts';

/** Sets an override; it is in the ledger before it counts. */
export async function setOverride(context: EngineContext, running: Running, request: OverrideRequest): Promise<void> {
  const override: Override = {
    tier: request.tier,
    untilMs: context.clock.nowMs() + request.forMs,
    reason: request.reason,
  };
  await log(context, running, { override, key: request.key ?? null });
  context.store.overrides.put({ workload: running.name, untilMs: override.untilMs, document: override });
  running.override = override;
}

/** Ends an override before its time. */
export async function clearOverride(context: EngineContext, running: Running, key: string | null): Promise<void> {
  if (running.override === null) return;
  await log(context, running, { override: null, key });
  forgetOverride(context, running);
}

/** An override whose time is over has ended by itself: its entry said when. */
export function endOverride(context: EngineContext, running: Running, nowMs: number): void {
  if (running.override !== null && nowMs >= running.override.untilMs) forgetOverride(context, running);
}

function forgetOverride(context: EngineContext, running: Running): void {
  context.store.overrides.delete({ workload: running.name });
  running.override = null;
}

function log(
  context: EngineContext,
  running: Running,
  { override, key }: { readonly override: Override | null; readonly key: string | null },
): Promise<number> {
  const { digest, name } = running.revision.artifact;
  const entry = {
    kind: 'override',
    type: documentTypes.override,
    document: { workload: running.name, override },
    subjects: [digest],
    parents: [running.standing.logIndex],
    flush: true,
  } as const;
  return recordPersonal(context, entry, { key, artifactName: name });
}
