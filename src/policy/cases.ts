// Tests of a policy, written as a file: what is known, and what must come out of it.
import { z } from 'zod';
import { type Evidence, scoreTrust, type Tier } from '../trust/index.ts';
import { planCaps } from './caps.ts';
import { decide, initialTierState } from './decide.ts';
import type { Grant, ResourceRequest } from './grant.ts';
import type { Policy } from './parse.ts';
import { YamlFile } from './yaml-file.ts';

/** More cases than this in one file are refused. */
const CASES_MAX = 1000;

/** Scores closer than this are the same for a case: people write two or three decimals. */
const SCORE_TOLERANCE = 0.0005;

const tier = z.enum(['high', 'medium', 'low']);
const isolation = z.enum(['container', 'gvisor', 'microvm']);
const ratio = z.number().min(0).max(1);

const caseSchema = z.strictObject({
  name: z.string().min(1).max(200),
  given: z.strictObject({
    /** Check id → score; a check that is left out has no evidence. */
    evidence: z.record(z.string(), ratio).optional(),
    attestation: z.enum(['trusted', 'unknown-key', 'none', 'failed', 'revoked']).optional(),
    openHighIncident: z.boolean().optional(),
    cleanActiveMs: z.number().min(0).optional(),
    reviewed: z.boolean().optional(),
    reproduced: z.boolean().optional(),
    artifact: z.strictObject({ name: z.string().optional(), kind: z.string().optional() }).optional(),
    publishers: z.array(z.string()).optional(),
    cpuMillicores: z.int().min(1).optional(),
    memoryBytes: z.int().min(1).optional(),
    isolation: z.array(isolation).optional(),
    override: tier.optional(),
  }),
  expect: z.strictObject({
    score: ratio.optional(),
    tier: tier.optional(),
    grantedTier: tier.optional(),
    refused: z.boolean().optional(),
    cpuMillicores: z.int().optional(),
    memoryBytes: z.int().optional(),
    network: z.enum(['unrestricted', 'rateLimited', 'isolated']).optional(),
    isolation: isolation.optional(),
    logging: z.enum(['standard', 'detailed', 'realtime']).optional(),
  }),
});

const casesSchema = z.strictObject({ tests: z.array(caseSchema).min(1).max(CASES_MAX) });

/** One test of a policy. */
export type PolicyCase = z.output<typeof caseSchema>;

/** What a case came to; `failures` is empty when all came out as expected. */
export interface PolicyCaseResult {
  readonly name: string;
  readonly failures: readonly string[];
}

/** A time for the cases: nothing in them expires, so that any does. */
const CASE_NOW_MS = 0;

const DEFAULT_REQUEST: ResourceRequest = {
  cpuMillicores: 1000,
  memoryBytes: 536_870_912,
  diskBytes: 1_073_741_824,
  pids: 512,
  timeMs: null,
  ports: [],
  mounts: [],
};

/**
 * Parses a file of policy tests (YAML): `tests:` with `name`, `given`, `expect`.
 *
 * @throws PolicyError as `parsePolicy` does
 */
export function parsePolicyCases(text: string, source: string): PolicyCase[] {
  return new YamlFile(text, source).read(casesSchema).tests;
}

/** Runs tests of a policy: each is the first decision about a workload. */
export function runPolicyCases(policy: Policy, cases: readonly PolicyCase[]): PolicyCaseResult[] {
  return cases.map((one) => ({ name: one.name, failures: failuresOf(policy, one) }));
}

function failuresOf(policy: Policy, { given, expect }: PolicyCase): string[] {
  const unlisted = Object.keys(given.evidence ?? {}).filter((check) => !policy.weights.indexOf.has(check));
  const { score, tier, outcome } = outcomeOf(policy, given);
  const failures = unlisted.map((check) => `given.evidence: the policy lists no check ${check}`);
  for (const [key, wanted] of Object.entries(expect)) {
    const got = key === 'score' ? score : key === 'tier' ? tier : outcome.get(key);
    const isSame =
      typeof wanted === 'number' && typeof got === 'number' && key === 'score'
        ? Math.abs(wanted - got) < SCORE_TOLERANCE
        : wanted === got;
    if (!isSame) failures.push(`${key}: expected ${String(wanted)}, got ${String(got ?? 'nothing: refused')}`);
  }
  return failures;
}

interface Outcome {
  readonly score: number;
  readonly tier: Tier;
  /** `refused`, `grantedTier` and the fields of the grant that a case can name. */
  readonly outcome: ReadonlyMap<string, string | number | boolean>;
}

function outcomeOf(policy: Policy, given: PolicyCase['given']): Outcome {
  const caps = planCaps(policy, {
    attestation: given.attestation ?? 'none',
    openHighIncident: given.openHighIncident === true ? 'incident' : null,
    cleanActiveMs: given.cleanActiveMs ?? 0,
    isReviewed: given.reviewed === true,
    isReproduced: given.reproduced === true,
  });
  const trust = scoreTrust(policy.weights, { evidence: evidenceOf(given.evidence ?? {}), caps }, CASE_NOW_MS);
  const decision = decide(initialTierState, {
    trust,
    nowMs: CASE_NOW_MS,
    policy,
    override:
      given.override === undefined ? null : { tier: given.override, untilMs: CASE_NOW_MS + 1, reason: 'a policy test' },
    request: {
      ...DEFAULT_REQUEST,
      cpuMillicores: given.cpuMillicores ?? DEFAULT_REQUEST.cpuMillicores,
      memoryBytes: given.memoryBytes ?? DEFAULT_REQUEST.memoryBytes,
    },
    isolationAvailable: new Set(given.isolation ?? isolation.options),
    subject: {
      workload: 'test',
      artifact: {
        name: given.artifact?.name ?? '',
        kind: given.artifact?.kind ?? 'image',
        digest: '',
        reference: given.artifact?.name ?? '',
      },
      publishers: given.publishers ?? [],
    },
    bound: null,
  });
  const outcome = new Map<string, string | number | boolean>([['refused', decision.kind === 'refused']]);
  if (decision.kind === 'granted') addGrant(outcome.set('grantedTier', decision.grantedTier), decision.grant);
  return { score: trust.score, tier: decision.tier, outcome };
}

function addGrant(outcome: Map<string, string | number | boolean>, grant: Grant): void {
  outcome.set('cpuMillicores', grant.cpu.millicores).set('memoryBytes', grant.memory.bytes);
  outcome.set('network', grant.network).set('isolation', grant.isolation).set('logging', grant.logging);
}

function evidenceOf(scores: Readonly<Record<string, number>>): Evidence[] {
  return Object.entries(scores).map(([check, score]) => ({
    check,
    score,
    reason: 'given',
    source: 'case',
    expiresMs: null,
  }));
}
