import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { expect, it } from 'vitest';

import { type Grant, parsePolicy, type PolicyResponse } from '../policy/index.ts';
import {
  type ActionKind,
  actionOrder,
  mergePlans,
  planResponse as planUnder,
  type ResponseContext,
  type Trigger,
} from './index.ts';

const grant: Grant = {
  cpu: { millicores: 100 },
  memory: { bytes: 268_435_456 },
  disk: { bytes: 1_073_741_824 },
  pids: 64,
  timeMs: null,
  network: 'isolated',
  rateBitsPerSecond: null,
  ports: [],
  mounts: [],
  isolation: 'gvisor',
  logging: 'realtime',
};
const context = { grant, hasGoodRevision: true };
const fall: Trigger = { kind: 'tier-change', from: 'high', to: 'low', score: 0.41 };
const violation: Trigger = { kind: 'violation', rule: 'fork-bomb', severity: 'critical', reason: '900 new processes' };
const alarm: Trigger = { kind: 'alarm', anomaly: 0.9995, severity: 'high', reasons: ['calls', 'packets'] };
const revocation: Trigger = { kind: 'revocation', keyId: 'ab'.repeat(32), severity: 'critical' };

const file = new URL('../../policies/default.yaml', import.meta.url);
const defaultPolicy = parsePolicy(readFileSync(file, 'utf8'), 'default.yaml');

function planResponse(trigger: Trigger, given: ResponseContext, responses: readonly PolicyResponse[]) {
  return planUnder(trigger, given, { ...defaultPolicy, responses });
}

type Predicate = (facts: Readonly<Record<string, unknown>>) => boolean;

function rule(on: Trigger['kind'], todo: readonly ActionKind[], holds: Predicate | null = null): PolicyResponse {
  return { id: `on-${on}`, on, do: [...todo], condition: holds === null ? null : { text: '', holds } };
}

const kindsOf = (actions: readonly { kind: ActionKind }[]): ActionKind[] => actions.map(({ kind }) => kind);

it('clamps and cuts off before it relaunches on a drop to low, with the grant of the new tier', () => {
  const rules = [rule('tier-change', ['relaunch', 'freeze', 'isolate-network', 'restrict'], ({ to }) => to === 'low')];
  const plan = planResponse(fall, context, rules);
  expect(kindsOf(plan)).toEqual(['restrict', 'isolate-network', 'freeze', 'relaunch']);
  expect(plan.map((action) => action.grant)).toEqual([grant, null, null, grant]);
  expect(plan[0]?.reason).toBe('the tier went from high to low at score 0.410 (rule on-tier-change)');
});

it('plans nothing for a change that no rule is about', () => {
  const rules = [rule('tier-change', ['restrict'], ({ to }) => to === 'low'), rule('alarm', ['restrict'])];
  expect(planResponse({ ...fall, to: 'medium' }, context, rules)).toEqual([]);
  expect(planResponse(violation, context, rules)).toEqual([]);
  expect(planResponse(fall, context, [])).toEqual([]);
});

it('freezes, ends, rolls back and alerts on a critical violation', () => {
  const rules = [
    rule('violation', ['alert', 'rollback', 'terminate', 'freeze'], ({ severity }) => severity === 'critical'),
  ];
  const plan = planResponse(violation, context, rules);
  expect(kindsOf(plan)).toEqual(['freeze', 'terminate', 'rollback', 'alert']);
  expect(plan[0]?.reason).toContain('fork-bomb: 900 new processes');
  expect(planResponse({ ...violation, severity: 'high' }, context, rules)).toEqual([]);
});

it('ends a workload that it cannot roll back', () => {
  const plan = planResponse(violation, { grant, hasGoodRevision: false }, [
    rule('violation', ['rollback', 'relaunch']),
  ]);
  expect(kindsOf(plan)).toEqual(['terminate']);
  expect(plan[0]?.reason).toContain('no good revision');
});

it('does not relaunch what it ends or rolls back', () => {
  expect(kindsOf(planResponse(alarm, context, [rule('alarm', ['relaunch', 'rollback'])]))).toEqual(['rollback']);
  expect(kindsOf(planResponse(alarm, context, [rule('alarm', ['relaunch', 'terminate'])]))).toEqual(['terminate']);
});

it('gives a condition the facts of what happened, and nothing for what does not apply', () => {
  const seen: unknown[] = [];
  const look = (facts: unknown): boolean => seen.push(facts) > 0;
  const rules = (['tier-change', 'violation', 'alarm', 'revocation'] as const).map((on) => rule(on, ['alert'], look));
  for (const trigger of [fall, violation, alarm, revocation]) planResponse(trigger, context, rules);
  const none = { severity: '', from: '', to: '', score: 0, anomaly: 0, rule: '', keyId: '' };
  expect(seen).toEqual([
    { ...none, kind: 'tier-change', from: 'high', to: 'low', score: 0.41 },
    { ...none, kind: 'violation', severity: 'critical', rule: 'fork-bomb' },
    { ...none, kind: 'alarm', severity: 'high', anomaly: 0.9995 },
    { ...none, kind: 'revocation', severity: 'critical', keyId: 'ab'.repeat(32) },
  ]);
});

it('acts when a condition cannot be evaluated', () => {
  const broken = rule('alarm', ['freeze'], () => {
    throw new Error('no such key');
  });
  expect(kindsOf(planResponse(alarm, context, [broken]))).toEqual(['freeze']);
});

it('joins plans so that the first reason of a kind stays', () => {
  const first = planResponse(violation, context, [rule('violation', ['freeze', 'alert'])]);
  const second = planResponse(alarm, context, [rule('alarm', ['alert', 'restrict'])]);
  const merged = mergePlans([first, second]);
  expect(kindsOf(merged)).toEqual(['restrict', 'freeze', 'alert']);
  expect(merged[2]?.reason).toContain('fork-bomb');
  expect(planResponse(revocation, context, [rule('revocation', ['alert'])])[0]?.reason).toContain(
    'key abababababab was revoked',
  );
});

it('bounds the reason, which an attacker can lengthen', () => {
  const long = { ...violation, reason: 'x'.repeat(10_000) };
  expect(planResponse(long, context, [rule('violation', ['alert'])])[0]?.reason.length).toBeLessThan(600);
});

it('plans each kind at most once, in the fixed order, whatever the rules say', () => {
  const anyRule = fc.record({
    id: fc.constant('r'),
    on: fc.constantFrom('alarm' as const, 'violation' as const),
    do: fc.array(fc.constantFrom(...actionOrder), { minLength: 1, maxLength: 7 }),
    condition: fc.constant(null),
  });
  fc.assert(
    fc.property(fc.array(anyRule, { maxLength: 8 }), fc.boolean(), (rules, hasGoodRevision) => {
      const kinds = kindsOf(planResponse(alarm, { grant, hasGoodRevision }, rules));
      expect(kinds).toEqual(actionOrder.filter((kind) => kinds.includes(kind)));
      expect(kinds.includes('relaunch') && (kinds.includes('terminate') || kinds.includes('rollback'))).toBe(false);
      const asked = new Set(rules.filter(({ on }) => on === 'alarm').flatMap((one) => one.do));
      for (const kind of ['restrict', 'isolate-network', 'freeze', 'terminate', 'alert'] as const) {
        if (asked.has(kind)) expect(kinds).toContain(kind);
      }
    }),
  );
});

it.each<[string, Trigger, readonly ActionKind[]]>([
  ['a drop to low', fall, ['restrict', 'isolate-network', 'freeze', 'relaunch', 'alert']],
  ['a drop to medium', { ...fall, to: 'medium' }, ['restrict', 'alert']],
  ['a rise', { ...fall, from: 'low', to: 'high' }, []],
  ['a critical violation', violation, ['isolate-network', 'freeze', 'terminate', 'rollback', 'alert']],
  ['a high violation', { ...violation, severity: 'high' }, ['restrict', 'isolate-network', 'alert']],
  ['an alarm', alarm, ['restrict', 'isolate-network', 'alert']],
  ['a revocation', revocation, ['isolate-network', 'freeze', 'terminate', 'alert']],
])('under the default policy, answers %s', (_, trigger, kinds) => {
  expect(kindsOf(planUnder(trigger, context, defaultPolicy))).toEqual(kinds);
});
