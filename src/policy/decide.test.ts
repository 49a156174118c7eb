import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import type { Cap } from '../trust/index.ts';
import { decide, type Decision, type DecisionInput, initialTierState, type TierState, withLaunch } from './decide.ts';
import type { Isolation } from './grant.ts';
import { parsePolicy } from './parse.ts';
import { tierOf, tierRank } from './tier.ts';

const text = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'default.yaml');
const withRules = (rules: string) => parsePolicy(text.replace('rules: []', `rules: ${rules}`), 'rules.yaml');

const NOW_MS = 1_750_000_000_000;
const DWELL_MS = 60_000;

const revoked: Cap = { id: 'revoked', max: 0, reason: 'the key that attested it is revoked', lift: '' };

function inputOf(score: number, more: Partial<DecisionInput> = {}): DecisionInput {
  return {
    trust: { score, caps: [] },
    nowMs: NOW_MS,
    policy,
    override: null,
    request: {
      cpuMillicores: 1000,
      memoryBytes: 536_870_912,
      diskBytes: 1_073_741_824,
      pids: 512,
      timeMs: null,
      ports: [{ hostAddress: '0.0.0.0', hostPort: 80, containerPort: 80, protocol: 'tcp' }],
      mounts: [{ source: '/srv', target: '/srv', readOnly: true }],
    },
    isolationAvailable: new Set<Isolation>(['container', 'gvisor']),
    subject: {
      workload: 'web',
      artifact: { name: 'shop/web', digest: 'sha256:0', kind: 'image', reference: 'x' },
      publishers: ['k1'],
    },
    bound: null,
    ...more,
  };
}

type Granted = Extract<Decision, { kind: 'granted' }>;

function granted(state: TierState, input: DecisionInput): Granted {
  const decision = decide(state, input);
  if (decision.kind === 'refused') throw new Error(decision.reasons.join());
  return decision;
}

/** Decides and starts what was decided, as the engine does. */
function started(score: number): TierState {
  const { state, grant, launchProfile } = granted(initialTierState, inputOf(score));
  return withLaunch(state, { isolation: grant.isolation, profile: launchProfile });
}

describe('the first decision', () => {
  it('takes the tier of the score, without margin or dwell', () => {
    expect(granted(initialTierState, inputOf(0.81))).toMatchObject({
      tier: 'high',
      grantedTier: 'high',
      change: 'none',
      liveChanged: true,
      relaunch: false,
    });
    expect(granted(initialTierState, inputOf(0.5))).toMatchObject({ tier: 'medium', grantedTier: 'medium' });
    expect(granted(initialTierState, inputOf(0.49))).toMatchObject({
      grantedTier: 'low',
      launchProfile: 'strict',
      grant: { isolation: 'gvisor' },
    });
  });

  it('is refused when the host cannot isolate the tier', () => {
    const decision = decide(initialTierState, inputOf(0.1, { isolationAvailable: new Set(['container']) }));
    expect(decision).toMatchObject({
      kind: 'refused',
      tier: 'low',
      reasons: [expect.stringContaining('tier low runs in microvm or gvisor only')],
    });
  });
});

describe('a fall', () => {
  it('acts at once, live, where the launch part stays', () => {
    const decision = granted(started(0.9), inputOf(0.8, { nowMs: NOW_MS + 1 }));
    expect(decision).toMatchObject({
      change: 'fall',
      grantedTier: 'medium',
      liveChanged: true,
      relaunch: false,
      reasons: ['the score 0.800 is medium'],
    });
    expect(decision.grant).toMatchObject({ cpu: { millicores: 500 }, network: 'rateLimited', isolation: 'container' });
  });

  it('to low asks for a relaunch in the stronger sandbox until that runs', () => {
    const first = granted(started(0.7), inputOf(0.2));
    expect(first).toMatchObject({
      change: 'fall',
      relaunch: true,
      launchProfile: 'strict',
      grant: { isolation: 'gvisor', network: 'isolated' },
    });
    const still = granted(first.state, inputOf(0.2));
    expect(still).toMatchObject({ change: 'none', relaunch: true, liveChanged: false });
    const relaunched = withLaunch(still.state, { isolation: 'gvisor', profile: 'strict' });
    expect(granted(relaunched, inputOf(0.2)).relaunch).toBe(false);
  });

  it('to low is refused where the host has no stronger sandbox', () => {
    expect(decide(started(0.7), inputOf(0.2, { isolationAvailable: new Set(['container']) })).kind).toBe('refused');
  });
});

describe('a raise', () => {
  it('waits for the dwell at the threshold and margin', () => {
    let state = started(0.7);
    for (const elapsedMs of [0, 30_000, DWELL_MS - 1]) {
      const waiting = granted(state, inputOf(0.83, { nowMs: NOW_MS + elapsedMs }));
      expect(waiting).toMatchObject({ tier: 'high', grantedTier: 'medium', change: 'none', liveChanged: false });
      state = waiting.state;
    }
    expect(granted(state, inputOf(0.83, { nowMs: NOW_MS + DWELL_MS }))).toMatchObject({
      grantedTier: 'high',
      change: 'raise',
      liveChanged: true,
      relaunch: false,
    });
  });

  it('starts its dwell anew after one window below the margin', () => {
    let state = granted(started(0.7), inputOf(0.83)).state;
    state = granted(state, inputOf(0.815, { nowMs: NOW_MS + 50_000 })).state;
    state = granted(state, inputOf(0.83, { nowMs: NOW_MS + 50_001 })).state;
    expect(granted(state, inputOf(0.83, { nowMs: NOW_MS + DWELL_MS + 1 })).change).toBe('none');
    expect(granted(state, inputOf(0.83, { nowMs: NOW_MS + DWELL_MS + 50_001 })).change).toBe('raise');
  });

  it('does not come from a score above the threshold but within the margin', () => {
    const state = granted(started(0.7), inputOf(0.81)).state;
    expect(granted(state, inputOf(0.81, { nowMs: NOW_MS + 10 * DWELL_MS })).grantedTier).toBe('medium');
  });

  it('goes to medium on the way to high when only that dwell is over', () => {
    let state = granted(started(0.2), inputOf(0.6)).state;
    state = granted(state, inputOf(0.9, { nowMs: NOW_MS + 30_000 })).state;
    const medium = granted(state, inputOf(0.9, { nowMs: NOW_MS + DWELL_MS }));
    expect(medium.grantedTier).toBe('medium');
    expect(granted(medium.state, inputOf(0.9, { nowMs: NOW_MS + 30_000 + DWELL_MS })).grantedTier).toBe('high');
  });

  it('starts its dwell anew when the clock was set back', () => {
    const state = granted(started(0.7), inputOf(0.9)).state;
    const back = granted(state, inputOf(0.9, { nowMs: NOW_MS - 3_600_000 })).state;
    expect(back.aboveSinceMs.high).toBe(NOW_MS - 3_600_000);
  });

  it('of the launch part waits for the next start, while the live part follows at once', () => {
    const state = granted(started(0.2), inputOf(0.7)).state;
    const raised = granted(state, inputOf(0.7, { nowMs: NOW_MS + DWELL_MS }));
    expect(raised).toMatchObject({
      change: 'raise',
      relaunch: false,
      launchProfile: 'strict',
      grant: { isolation: 'gvisor', network: 'rateLimited', cpu: { millicores: 500 } },
    });
    const ended = withLaunch(raised.state, null);
    expect(granted(ended, inputOf(0.7, { nowMs: NOW_MS + DWELL_MS }))).toMatchObject({
      relaunch: false,
      launchProfile: 'standard',
      grant: { isolation: 'container' },
    });
  });
});

describe('an override', () => {
  const override = { tier: 'high', untilMs: NOW_MS + 1000, reason: 'load test' } as const;

  it('sets the tier at once, until it ends', () => {
    const decision = granted(started(0.7), inputOf(0.7, { override }));
    expect(decision).toMatchObject({ tier: 'medium', grantedTier: 'high', change: 'raise' });
    expect(decision.reasons[0]).toBe('override until 2025-06-15T15:06:41.000Z: load test');
    expect(granted(decision.state, inputOf(0.7, { override, nowMs: NOW_MS + 1000 }))).toMatchObject({
      grantedTier: 'medium',
      change: 'fall',
    });
  });

  it('can also lower', () => {
    expect(granted(started(0.9), inputOf(0.9, { override: { ...override, tier: 'low' } }))).toMatchObject({
      grantedTier: 'low',
      relaunch: true,
    });
  });

  it('is beaten by a cap of 0', () => {
    const decision = granted(started(0.7), inputOf(0, { override, trust: { score: 0, caps: [revoked] } }));
    expect(decision).toMatchObject({ grantedTier: 'low', change: 'fall' });
    expect(decision.reasons[0]).toBe('the override does not count: the key that attested it is revoked');
  });

  it('does not beat a rule of the policy', () => {
    const limited = withRules('[{ id: drafts, when: \'workload == "web"\', tierMax: medium, reason: drafts wait }]');
    const decision = granted(initialTierState, inputOf(0.9, { override, policy: limited }));
    expect(decision.grantedTier).toBe('medium');
    expect(decision.reasons).toContain('rule drafts allows at most medium: drafts wait');
  });
});

describe('the rules of a policy', () => {
  it.each([
    ['artifact.name.startsWith("shop/")', true],
    ['artifact.name.startsWith("shop/x")', false],
    ['artifact.kind == "image" && "k1" in publishers', true],
    ['request.hostPorts.exists(port, port < 1024)', true],
    ['request.mountSources.exists(source, source == "/")', false],
    ['request.cpuMillicores > 500 && request.memoryBytes > 1 && request.diskBytes > 1 && request.pids > 1', true],
    ['score < 0.95 && tier == "high"', true],
  ])('see %s as %s', (when, holds) => {
    const refusing = withRules(`[{ id: r, when: '${when}', refuse: true, reason: because }]`);
    const decision = decide(initialTierState, inputOf(0.9, { policy: refusing }));
    expect(decision.kind).toBe(holds ? 'refused' : 'granted');
    if (decision.kind === 'refused') expect(decision.reasons).toEqual(['rule r: because']);
  });

  it('refuse when one of them cannot be evaluated', () => {
    const failing = withRules('[{ id: r, when: \'publishers[3] == "x"\', tierMax: medium, reason: because }]');
    const decision = decide(initialTierState, inputOf(0.9, { policy: failing }));
    expect(decision).toMatchObject({
      kind: 'refused',
      reasons: [expect.stringContaining('rule r could not be evaluated')],
    });
  });

  it('lower what runs at once, and keep the lowest of several limits', () => {
    const limited = withRules(
      "[{ id: a, when: 'true', tierMax: medium, reason: a }, { id: b, when: 'true', tierMax: low, reason: b }, { id: c, when: 'true', tierMax: medium, reason: c }]",
    );
    expect(granted(started(0.9), inputOf(0.9, { policy: limited }))).toMatchObject({
      grantedTier: 'low',
      change: 'fall',
      relaunch: true,
    });
  });
});

describe("the scheduler's bound", () => {
  it('limits the grant and nothing else', () => {
    const bound = { cpuMillicores: 300, memoryBytes: 2 ** 40 };
    expect(granted(started(0.9), inputOf(0.9, { bound }))).toMatchObject({
      liveChanged: true,
      change: 'none',
      grant: { cpu: { millicores: 300 }, memory: { bytes: 536_870_912 } },
    });
  });
});

describe('the laws of a decision', () => {
  const anySteps = fc.array(
    fc.record({
      score: fc.oneof(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(0.49, 0.5, 0.52, 0.8, 0.81, 0.82, 0.9),
      ),
      afterMs: fc.constantFrom(100, 1000, 20_000, 61_000),
    }),
    { minLength: 1, maxLength: 40 },
  );

  it('never grants above the tier of the score, and raises only after a whole dwell above the margin', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        let state = initialTierState;
        let nowMs = NOW_MS;
        const seen: { score: number; nowMs: number }[] = [];
        for (const { score, afterMs } of steps) {
          nowMs += afterMs;
          seen.push({ score, nowMs });
          const decision = granted(state, inputOf(score, { nowMs }));
          expect(tierRank(decision.grantedTier)).toBeLessThanOrEqual(tierRank(tierOf(score, policy.tiers)));
          if (decision.change === 'raise') {
            const floor = decision.grantedTier === 'high' ? 0.8 + 0.02 : 0.5 + 0.02;
            const below = seen.findLastIndex((one) => one.score < floor);
            const since = seen[below + 1]?.nowMs ?? Number.POSITIVE_INFINITY;
            expect(nowMs - since).toBeGreaterThanOrEqual(DWELL_MS);
          }
          state = withLaunch(decision.state, { isolation: decision.grant.isolation, profile: decision.launchProfile });
        }
      }),
    );
  });

  it('gives the same bits for the same input, also from the stored state', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        let state = initialTierState;
        for (const { score } of steps) {
          const one = decide(state, inputOf(score));
          const stored = JSON.parse(canonicalJson(state)) as TierState;
          expect(canonicalJson(decide(stored, inputOf(score)))).toBe(canonicalJson(one));
          state = one.state;
        }
      }),
    );
  });
});
