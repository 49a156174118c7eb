// The events of the interface page, one JSON object each.
import { z } from 'zod';
import { grantDocument, tier, usageDocument } from './documents.ts';

const common = { time: z.string(), workload: z.string() };

export const admittedEvent = z.object({
  ...common,
  event: z.literal('admitted'),
  artifact: z.object({ digest: z.string(), kind: z.string(), name: z.string() }),
  score: z.number(),
  tier,
  grantedTier: tier,
  grant: grantDocument,
  driver: z.string(),
  revision: z.number(),
  logIndex: z.number(),
});

export const startedEvent = z.object({
  ...common,
  event: z.literal('started'),
  pid: z.number(),
  /** From the request (or the decision to relaunch) to the workload's first instruction. */
  startMs: z.number(),
  driver: z.string(),
  revision: z.number(),
  instance: z.string(),
});

export const windowEvent = z.object({
  ...common,
  event: z.literal('window'),
  anomaly: z.number(),
  score: z.number(),
  usage: usageDocument,
  coverage: z.number(),
  reasons: z.array(z.string()),
});

export const refusedEvent = z.object({
  ...common,
  event: z.literal('refused'),
  code: z.string(),
  reasons: z.array(z.string()),
  exit: z.number(),
});

export const grantEvent = z.object({
  ...common,
  event: z.literal('grant'),
  from: grantDocument,
  to: grantDocument,
  fromTier: tier,
  toTier: tier,
  effective: z.record(z.string(), z.unknown()),
  pending: z.record(z.string(), z.number()),
  enforced: z.boolean(),
  reason: z.string(),
  score: z.number(),
  decideMs: z.number(),
  applyMs: z.number(),
  logIndex: z.number(),
});

export const incidentEvent = z.object({
  ...common,
  event: z.literal('incident'),
  id: z.string(),
  severity: z.enum(['low', 'medium', 'high', 'critical']),
  kind: z.string(),
  evidence: z.array(z.string()),
  actions: z.array(z.string()),
});

export const exitedEvent = z.object({
  ...common,
  event: z.literal('exited'),
  code: z.number(),
  signal: z.number().nullable(),
  reason: z.string(),
  /** False while the workload goes on: a relaunch, a restart, a rollback follows. */
  final: z.boolean(),
});

export const progressEvent = z.object({
  ...common,
  event: z.literal('progress'),
  step: z.string(),
  ratio: z.number().nullable(),
});

/** Every event that a stream can carry. */
export const workloadEvent = z.discriminatedUnion('event', [
  admittedEvent,
  startedEvent,
  windowEvent,
  refusedEvent,
  grantEvent,
  incidentEvent,
  exitedEvent,
  progressEvent,
]);

export type WorkloadEvent = z.infer<typeof workloadEvent>;
export type EventOf<Name extends WorkloadEvent['event']> = Extract<WorkloadEvent, { event: Name }>;
