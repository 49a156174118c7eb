// Promise: score + allocate + explain, at least 200,000 a second on one core.
import { readFileSync } from 'node:fs';
import {
  allocateResources,
  type Isolation,
  parsePolicy,
  planCaps,
  type ResourceRequest,
  tierOf,
} from '../src/policy/index.ts';
import { type Evidence, explainScore, scoreTrust } from '../src/trust/index.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const TARGET_PER_SECOND = 200_000;

/** Decisions a round; a round is some tens of milliseconds, long against the clock and short against the neighbours. */
const ROUND_DECISIONS = 20_000;
const ROUNDS = 31;
const WARM_UP_ROUNDS = 10;

const NOW_MS = 1_750_000_000_000;

const request: ResourceRequest = {
  cpuMillicores: 1000,
  memoryBytes: 536_870_912,
  diskBytes: 1_073_741_824,
  pids: 512,
  timeMs: null,
  ports: [],
  mounts: [],
};

/** Measures whole decisions by the default policy, each on other evidence, so that nothing can be kept from the one before. */
export async function run(): Promise<readonly BenchRow[]> {
  const file = new URL('../policies/default.yaml', import.meta.url);
  const policy = parsePolicy(readFileSync(file, 'utf8'), 'policies/default.yaml');
  const context = { policy, isolationAvailable: new Set<Isolation>(['container', 'gvisor']) };
  const caps = planCaps(policy, {
    attestation: 'trusted',
    openHighIncident: null,
    cleanActiveMs: 0,
    isReviewed: false,
    isReproduced: false,
  });
  const findings = Array.from({ length: 64 }, (_, n) => ({ evidence: evidenceOf(policy.trust.checks, n), caps }));

  let granted = 0;
  const round = (): number => {
    const startMs = performance.now();
    for (let n = 0; n < ROUND_DECISIONS; n += 1) {
      const trust = scoreTrust(policy.weights, findings[n % findings.length] ?? { evidence: [], caps }, NOW_MS);
      const allocation = allocateResources(request, tierOf(trust.score, policy.tiers), context);
      const raises = explainScore(policy.weights, trust);
      if (allocation.kind === 'granted') granted += allocation.grant.cpu.millicores + raises.length;
    }
    return (ROUND_DECISIONS * 1000) / (performance.now() - startMs);
  };

  for (let n = 0; n < WARM_UP_ROUNDS; n += 1) round();
  const rates = Array.from({ length: ROUNDS }, round);
  if (granted === 0) throw new Error('nothing was granted: the bench measured refusals');
  const perSecond = percentile(rates, 0.5);
  return [
    {
      what: 'score + allocate + explain, on one core',
      value: `${Math.round(perSecond).toLocaleString('en-US')} a second`,
      target: `≥ ${TARGET_PER_SECOND.toLocaleString('en-US')} a second`,
      ok: perSecond >= TARGET_PER_SECOND,
      detail: `median of ${ROUNDS} rounds of ${ROUND_DECISIONS}, slowest ${Math.round(percentile(rates, 0))}; ${policy.trust.checks.length} checks, ${policy.trust.checks.length + 2} pieces of evidence`,
    },
  ];
}

/** One piece of evidence a check and two more for the first, with scores that differ from one decision to the next. */
function evidenceOf(checks: readonly { readonly check: string }[], n: number): Evidence[] {
  const all = [...checks, ...checks.slice(0, 1), ...checks.slice(0, 1)];
  return all.map(({ check }, at) => ({
    check,
    score: ((n * 7 + at * 13) % 64) / 63,
    reason: 'measured',
    source: 'bench',
    expiresMs: null,
  }));
}

await runAlone(import.meta, run);
