// A baseline as the predicate of a runtime trace: written for others, and read from whoever may say it.
import { z } from 'zod';

import { type Model, modelDigest, parseTravellingModel } from '../behaviour/index.ts';
import { exitStatus, rfc3339 } from '../base/index.ts';
import type { DriverName } from '../sandbox/index.ts';
import { EngineError } from './errors.ts';

/** What watches workloads here, and what it watched. */
const MONITOR_TYPE = 'https://provost.dev/monitor/v1';
const PROCESS_TYPE = 'https://provost.dev/process/workload/v1';

/** What a baseline says. */
export interface TravellingBaseline {
  readonly driver: DriverName;
  readonly model: Model;
}

/**
 * Writes the predicate. The fields that the specification names tell other readers what was seen; the model itself is in the extension
 * field `provostBaseline`, as the specification lets producers add fields.
 *
 * @source https://github.com/in-toto/attestation, spec/predicates/runtime-trace.md, v0.1
 */
export function makeBaselinePredicate(
  { driver, model }: TravellingBaseline,
  { homeId, digest, nowMs }: { readonly homeId: string; readonly digest: string; readonly nowMs: number },
): Record<string, unknown> {
  return {
    monitor: { type: MONITOR_TYPE, tracePolicy: { driver, architecture: model.architecture } },
    monitoredProcess: {
      hostID: `https://provost.dev/home/${homeId}`,
      type: PROCESS_TYPE,
      event: `baseline of ${digest} over ${model.windows} windows`,
    },
    monitorLog: {
      process: model.programs.map((program) => ({ program })),
      network: model.destinations.map((destination) => ({ destination })),
      fileAccess: model.files.map((path) => ({ name: path, uri: `file:${encodeURI(path)}` })),
    },
    metadata: { buildFinishedOn: rfc3339(nowMs) },
    provostBaseline: { driver, modelDigest: modelDigest(model), model },
  };
}

// Other fields of the predicate are for people; the specification demands that unknown ones are ignored.
const wirePredicate = z.object({
  monitor: z.object({ type: z.literal(MONITOR_TYPE) }),
  provostBaseline: z.strictObject({
    driver: z.enum(['runc', 'gvisor']),
    modelDigest: z.string().regex(/^[0-9a-f]{64}$/),
    model: z.unknown(),
  }),
});

/**
 * Reads the baseline in a predicate.
 *
 * @throws EngineError ENGINE_BASELINE for a trace of another monitor, or a model that is not the one it names; BehaviourError BEHAVIOUR_MODEL
 */
export function parseBaselinePredicate(predicate: unknown): TravellingBaseline {
  const parsed = wirePredicate.safeParse(predicate);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') ?? '';
    throw noBaseline(
      `the runtime trace holds no baseline of Provost: its ${where === '' ? 'predicate' : where} is not one`,
    );
  }
  const { driver, modelDigest: named, model: document } = parsed.data.provostBaseline;
  const model = parseTravellingModel(document);
  if (modelDigest(model) !== named) throw noBaseline('the baseline is not the one whose digest it names');
  return { driver, model };
}

/** The error for what is no usable baseline. */
export function noBaseline(
  message: string,
  hint = 'Export it again where it was learnt: provost baseline export.',
): EngineError {
  return new EngineError('ENGINE_BASELINE', message, { exit: exitStatus.verificationFailed, hint });
}
