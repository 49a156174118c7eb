// What `run` asks of the supervisor, as it crosses the wire.
import { z } from 'zod';

/** Named limits of what a request may carry; beyond them it is refused before anything is done. */
export const requestLimits = {
  nameCharsMax: 63,
  argvMax: 1024,
  argCharsMax: 131_072,
  envMax: 1024,
  portsMax: 64,
  mountsMax: 64,
  secretsMax: 64,
  secretCharsMax: 700_000,
  policyCharsMax: 262_144,
} as const;

/** A workload's name: what a DNS label may be, so that it can be a host name too. */
export const workloadName = z
  .string()
  .max(requestLimits.nameCharsMax)
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens');

const portMapping = z.strictObject({
  hostAddress: z.ipv4(),
  hostPort: z.int().min(1).max(65_535),
  containerPort: z.int().min(1).max(65_535),
  protocol: z.enum(['tcp', 'udp']),
});

const absolutePath = z.string().max(4096).startsWith('/');

const bindMount = z.strictObject({ source: absolutePath, target: absolutePath, readOnly: z.boolean() });

const environmentEntry = z
  .string()
  .max(requestLimits.argCharsMax)
  .regex(/^[^=\0]+=[^\0]*$/, 'NAME=VALUE');

/** The request of `run`; sizes in bytes, times in milliseconds, CPU in millicores. */
export const runRequest = z.strictObject({
  name: workloadName.nullable(),
  artifact: z.strictObject({ reference: z.string().min(1).max(4096), rootfs: z.boolean() }),
  argv: z.array(z.string().max(requestLimits.argCharsMax)).max(requestLimits.argvMax),
  cpuMillicores: z.int().min(10).max(1_024_000),
  memoryBytes: z.int().min(4_194_304).max(Number.MAX_SAFE_INTEGER),
  diskBytes: z.int().min(1_048_576).max(Number.MAX_SAFE_INTEGER),
  pids: z.int().min(1).max(4_194_304),
  timeMs: z.int().min(1).nullable(),
  ports: z.array(portMapping).max(requestLimits.portsMax),
  env: z.array(environmentEntry).max(requestLimits.envMax),
  mounts: z.array(bindMount).max(requestLimits.mountsMax),
  secrets: z
    .record(z.string().regex(/^[A-Za-z0-9._-]{1,64}$/), z.base64().max(requestLimits.secretCharsMax))
    .refine((secrets) => Object.keys(secrets).length <= requestLimits.secretsMax, 'too many secrets'),
  user: z.string().max(128),
  workingDir: z.string().max(4096),
  restart: z.enum(['no', 'on-failure', 'always']),
  stopTimeoutMs: z.int().min(0).max(3_600_000),
  stdin: z.boolean(),
  terminal: z.boolean(),
  /** The first instruction waits until a client holds the workload's streams. */
  attach: z.boolean(),
  removeAtExit: z.boolean(),
  mode: z.enum(['observe', 'enforce']).nullable(),
  policy: z
    .strictObject({ source: z.string().max(4096), text: z.string().max(requestLimits.policyCharsMax) })
    .nullable(),
  replace: z.boolean(),
});

export type RunRequest = z.infer<typeof runRequest>;

/** The fields of a request that asks for nothing beside its artifact and its limits, as `run` without flags sends them. */
export const plainRequest = {
  name: null,
  argv: [],
  timeMs: null,
  ports: [],
  env: [],
  mounts: [],
  secrets: {},
  user: '',
  workingDir: '',
  restart: 'no',
  stdin: false,
  terminal: false,
  attach: false,
  removeAtExit: false,
  mode: null,
  policy: null,
  replace: false,
} satisfies Partial<RunRequest>;

/** Name or id of the key that signs the entry; null or left out: the home’s own. */
export const signingKey = z.string().min(1).max(128).nullable().optional();

/** Body of an override: a tier, for a time, with a reason. */
export const overrideRequest = z.strictObject({
  tier: z.enum(['high', 'medium', 'low']),
  forMs: z.int().min(1000).max(31_536_000_000),
  reason: z.string().min(3).max(1000),
  key: signingKey,
});

export type OverrideRequest = z.infer<typeof overrideRequest>;

/** Body of what people say of an incident. */
export const incidentNote = z.strictObject({ reason: z.string().max(1000), key: signingKey });

export type IncidentNote = z.infer<typeof incidentNote>;

/** Body of what people do for a reason that nobody signs. */
export const reasonNote = incidentNote.omit({ key: true });

/** Body of a stop. */
export const stopRequest = z.strictObject({ timeoutMs: z.int().min(0).max(3_600_000).nullable() });
