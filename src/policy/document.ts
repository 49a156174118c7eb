// The shape of a policy file: every key that may stand in it, with its unit and bounds.
import { z } from 'zod';
import { messageOf, parseCpu, parseDuration, parseSize } from '../base/index.ts';

/** Lists longer than this are refused; a policy is read by people. */
const ENTRIES_MAX = 256;

/** 1 Tbit/s: above any link, and far inside exact integers. */
const RATE_BITS_MAX = 1e12;

const RATE_STEPS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', 1e3],
  ['m', 1e6],
  ['g', 1e9],
]);

/** `10Mbit` → bits per second; decimal steps, as network rates have. */
function parseRate(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)\s*([kKmMgG]?)bit$/.exec(text.trim());
  const step = RATE_STEPS.get((match?.[2] ?? '').toLowerCase()) ?? 1;
  const bits = match === null ? Number.NaN : Math.round(Number(match[1]) * step);
  if (!(bits >= 1 && bits <= RATE_BITS_MAX)) throw new RangeError(`'${text.slice(0, 40)}' is not a rate like 10Mbit`);
  return bits;
}

/** A text with a unit, read by `parse`; a bare number is taken as its text. */
function unitOf(parse: (text: string) => number) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    try {
      return parse(String(value));
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });
}

const duration = unitOf(parseDuration);
const size = unitOf(parseSize);
const cpu = unitOf(parseCpu);
const rate = unitOf(parseRate);
const ratio = z.number().min(0).max(1);
const words = z.string().min(1).max(500);
const id = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and hyphens, starting with a letter');

const tier = z.enum(['high', 'medium', 'low']);
const isolation = z.enum(['container', 'gvisor', 'microvm']);
const ratioBySeverity = z.strictObject({ low: ratio, medium: ratio, high: ratio, critical: ratio });

const trust = z.strictObject({
  components: z.strictObject({ base: ratio, build: ratio, runtime: ratio, reputation: ratio }),
  checks: z.array(z.strictObject({ check: z.string().max(100), weight: ratio, how: words })).max(ENTRIES_MAX),
  caps: z.strictObject({
    provenanceOnly: z
      .strictObject({
        max: ratio,
        liftedByCleanRuntime: duration.nullable(),
        liftedByReview: z.boolean(),
        liftedByReproduction: z.boolean(),
      })
      .transform(({ liftedByCleanRuntime, ...rest }) => ({ ...rest, liftedByCleanMs: liftedByCleanRuntime })),
    unsigned: z.strictObject({ max: ratio }),
    openHighIncident: z.strictObject({ max: ratio }),
    // Fixed at 0: a revocation beats every override, and 0 is how it is known.
    revoked: z.strictObject({ max: z.literal(0) }),
    failedVerification: z.strictObject({ max: z.literal(0) }),
  }),
});

const tiers = z
  .strictObject({ highAbove: ratio, mediumFrom: ratio, raiseMargin: ratio, raiseDwell: duration, goodAfter: duration })
  .transform(({ raiseDwell, goodAfter, ...rest }) => ({ ...rest, raiseDwellMs: raiseDwell, goodAfterMs: goodAfter }));

const runtime = z
  .strictObject({
    startScore: ratio,
    tau: duration,
    coverageMin: ratio,
    alarmAt: z.number().min(100).max(1e12),
    calmBelow: z.number().min(1).max(1e12),
    alarmFactor: ratio,
    violationFactors: ratioBySeverity,
  })
  .transform(({ tau, ...rest }) => ({ ...rest, tauMs: tau }));

const reputation = z
  .strictObject({
    trustedStart: ratio,
    unknownStart: ratio,
    unknownMax: ratio,
    cleanHalf: duration,
    decayHalf: duration,
    penalties: z.strictObject({
      incident: ratioBySeverity,
      vulnerability: ratioBySeverity,
      violation: ratioBySeverity,
    }),
  })
  .transform(({ cleanHalf, decayHalf, ...rest }) => ({ ...rest, cleanHalfMs: cleanHalf, decayHalfMs: decayHalf }));

const grantRule = z
  .strictObject({
    cpuShare: ratio,
    cpuMax: cpu.nullable(),
    memoryShare: ratio,
    memoryMax: size.nullable(),
    network: z.enum(['unrestricted', 'rateLimited', 'isolated']),
    rate: rate.nullable(),
    logging: z.enum(['standard', 'detailed', 'realtime']),
    launchProfile: z.enum(['standard', 'strict']),
  })
  .transform(({ cpuMax, memoryMax, rate: bits, ...rest }) => ({
    ...rest,
    cpuMillicoresMax: cpuMax,
    memoryBytesMax: memoryMax,
    rateBitsPerSecond: bits,
  }));

const isolations = z.array(isolation).min(1).max(3);

const rule = z
  .strictObject({ id, when: z.string(), tierMax: tier.optional(), refuse: z.literal(true).optional(), reason: words })
  .refine((one) => (one.tierMax === undefined) !== (one.refuse === undefined), 'needs either tierMax or refuse: true');

/** What a response can do, in the words of the policy file. */
export const responseActions = [
  'restrict',
  'isolate-network',
  'freeze',
  'relaunch',
  'terminate',
  'rollback',
  'alert',
] as const;

const response = z.strictObject({
  id,
  on: z.enum(['tier-change', 'violation', 'alarm', 'revocation']),
  when: z.string().optional(),
  do: z.array(z.enum(responseActions)).min(1).max(responseActions.length),
});

const ENDPOINT = /^(\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,2})?|\[[0-9a-fA-F:]+\]):(\d{1,5}|\*)\/(tcp|udp)$/;

/** The whole file. Unknown keys are errors at every level. */
export const policySchema = z.strictObject({
  version: z.literal(1),
  name: id,
  mode: z.enum(['observe', 'enforce']),
  trust,
  tiers,
  runtime,
  reputation,
  grants: z.strictObject({ high: grantRule, medium: grantRule, low: grantRule }),
  isolation: z.strictObject({ high: isolations, medium: isolations, low: isolations }),
  windows: z
    .strictObject({ standard: duration, detailed: duration, realtime: duration })
    .transform(({ standard, detailed, realtime }) => ({
      standardMs: standard,
      detailedMs: detailed,
      realtimeMs: realtime,
    })),
  network: z.strictObject({
    allow: z.array(z.string().regex(ENDPOINT, 'must be like 10.0.0.5:5432/tcp')).max(ENTRIES_MAX),
  }),
  scheduler: z
    .strictObject({
      reserve: z.strictObject({ cpu, memory: size }),
      cpuOvercommit: z.number().min(1).max(100),
      shrinkLower: z.boolean(),
    })
    .transform(({ reserve, ...rest }) => ({
      ...rest,
      reserve: { cpuMillicores: reserve.cpu, memoryBytes: reserve.memory },
    })),
  pendingMemory: z
    .strictObject({ grace: duration, next: z.enum(['relaunch', 'terminate']) })
    .transform(({ grace, next }) => ({ graceMs: grace, next })),
  rules: z.array(rule).max(ENTRIES_MAX),
  responses: z.array(response).max(ENTRIES_MAX),
  alerts: z.strictObject({
    stderr: z.boolean(),
    // A name, not a path, and of a kind that none of the home's own files has.
    file: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*\.jsonl$/, 'must be a file name that ends in .jsonl')
      .nullable(),
    webhook: z.url({ protocol: /^https?$/ }).nullable(),
  }),
});

/** A policy as data: units resolved (milliseconds, bytes, millicores, bits per second), conditions still text. */
export type PolicyDocument = z.output<typeof policySchema>;
export type ResponseActionName = (typeof responseActions)[number];
