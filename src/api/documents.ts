// What the supervisor answers: scores, workloads, incidents, errors. Fields are the contract of the interface page.
import { z } from 'zod';

const port = z.object({
  hostAddress: z.string(),
  hostPort: z.number(),
  containerPort: z.number(),
  protocol: z.enum(['tcp', 'udp']),
});

export const tier = z.enum(['high', 'medium', 'low']);

/** What is allowed now: CPU, memory, disk, processes, time, network, isolation, logging. */
export const grantDocument = z.object({
  cpu: z.object({ millicores: z.number() }),
  memory: z.object({ bytes: z.number() }),
  disk: z.object({ bytes: z.number() }),
  pids: z.number(),
  timeMs: z.number().nullable(),
  network: z.enum(['unrestricted', 'rateLimited', 'isolated']),
  rateBitsPerSecond: z.number().nullable(),
  ports: z.array(port),
  mounts: z.array(z.object({ source: z.string(), target: z.string(), readOnly: z.boolean() })),
  isolation: z.enum(['container', 'gvisor', 'microvm']),
  logging: z.enum(['standard', 'detailed', 'realtime']),
});

const evidence = z.object({
  check: z.string(),
  score: z.number(),
  weight: z.number(),
  reason: z.string(),
  source: z.string(),
});

const component = z.object({
  score: z.number(),
  weight: z.number(),
  contribution: z.number(),
  evidence: z.array(evidence),
});

/** A score with its reasons, the grant that it earns, and what would raise it. */
export const scoreDocument = z.object({
  artifact: z.object({ digest: z.string(), kind: z.string(), name: z.string() }),
  score: z.number(),
  tier,
  components: z.object({ base: component, build: component, runtime: component, reputation: component }),
  caps: z.array(z.object({ id: z.string(), max: z.number(), reason: z.string(), lift: z.string() })),
  grant: grantDocument.nullable(),
  refusal: z.array(z.string()).optional(),
  raise: z.array(z.object({ check: z.string(), gain: z.number(), how: z.string() })),
});
export type ScoreDocument = z.infer<typeof scoreDocument>;

export const effectiveDocument = z.object({
  cpuMillicores: z.number(),
  memoryBytes: z.number(),
  pids: z.number(),
  network: z.enum(['unrestricted', 'rateLimited', 'isolated']),
  rateBitsPerSecond: z.number().nullable(),
});

export const usageDocument = z.object({
  cpuMillicores: z.number(),
  memoryBytes: z.number(),
  pids: z.number(),
  rxBytesPerSecond: z.number(),
  txBytesPerSecond: z.number(),
  readBytesPerSecond: z.number(),
  writeBytesPerSecond: z.number(),
  syscallsPerSecond: z.number(),
  /** Connections begun and refused, and questions to the DNS; absent without a network. */
  connectionsPerSecond: z.number().optional(),
  refusedPerSecond: z.number().optional(),
  dnsQuestionsPerSecond: z.number().optional(),
});
export type UsageDocument = z.infer<typeof usageDocument>;

export const workloadState = z.enum(['starting', 'running', 'frozen', 'stopping', 'restarting', 'exited', 'contained']);
export type WorkloadState = z.infer<typeof workloadState>;

/** One workload, as `inspect` and `ps` show it. */
export const workloadDocument = z.object({
  name: z.string(),
  state: workloadState,
  pid: z.number().nullable(),
  revision: z.number(),
  instance: z.string().nullable(),
  driver: z.string().nullable(),
  mode: z.enum(['observe', 'enforce']),
  artifact: z.object({ digest: z.string(), kind: z.string(), name: z.string() }),
  score: z.number(),
  tier,
  grantedTier: tier,
  requested: z.object({ cpuMillicores: z.number(), memoryBytes: z.number(), diskBytes: z.number(), pids: z.number() }),
  grant: grantDocument,
  effective: effectiveDocument.nullable(),
  pending: z.record(z.string(), z.number()),
  usage: usageDocument.nullable(),
  anomaly: z.number().nullable(),
  address: z.string().nullable(),
  cgroup: z.string().nullable(),
  override: z.object({ tier, until: z.string(), reason: z.string() }).nullable(),
  openIncidents: z.array(z.string()),
  revisions: z.array(
    z.object({
      number: z.number(),
      artifact: z.string(),
      created: z.string(),
      good: z.boolean(),
      current: z.boolean(),
    }),
  ),
  exit: z.object({ code: z.number(), signal: z.number().nullable(), reason: z.string() }).nullable(),
  created: z.string(),
  started: z.string().nullable(),
});
export type WorkloadDocument = z.infer<typeof workloadDocument>;

/** What was done about an incident, with what the kernel said before and after. */
export const actionDocument = z.object({
  kind: z.enum(['restrict', 'isolate-network', 'freeze', 'relaunch', 'terminate', 'rollback', 'alert']),
  reason: z.string(),
  enforced: z.boolean(),
  ok: z.boolean(),
  error: z.string().nullable(),
  before: z.record(z.string(), z.unknown()),
  after: z.record(z.string(), z.unknown()),
  tookMs: z.number(),
  logIndex: z.number().nullable(),
});
export type ActionDocument = z.infer<typeof actionDocument>;

/** One incident, with its actions and its resolution. */
export const incidentDocument = z.object({
  id: z.string(),
  workload: z.string(),
  artifact: z.string(),
  revision: z.number(),
  kind: z.string(),
  severity: z.enum(['low', 'medium', 'high', 'critical']),
  state: z.enum(['open', 'acknowledged', 'resolved']),
  opened: z.string(),
  evidence: z.array(z.string()),
  actions: z.array(actionDocument),
  resolution: z.object({ reason: z.string(), at: z.string() }).nullable(),
});
export type IncidentDocument = z.infer<typeof incidentDocument>;

/** The one form of an error on the wire. */
export const errorDocument = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    exit: z.number(),
    details: z.record(z.string(), z.unknown()),
  }),
});
export type ErrorDocument = z.infer<typeof errorDocument>;

/** An envelope that is in a log. */
export const loggedEnvelope = z.object({
  logIndex: z.int().min(0),
  /** Of the form that is kept: canonical, with the signatures by keys that are known. */
  envelopeDigest: z.string(),
  predicateType: z.string(),
});
export type LoggedEnvelope = z.infer<typeof loggedEnvelope>;
