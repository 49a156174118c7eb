import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from './parse.ts';
import { matchResponses, type ResponseFacts } from './rules.ts';

const text = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'default.yaml');
const nothing: ResponseFacts = {
  kind: 'alarm',
  severity: '',
  from: '',
  to: '',
  score: 0,
  anomaly: 0,
  rule: '',
  keyId: '',
};

const idsOf = (facts: Partial<ResponseFacts>, by = policy) =>
  matchResponses(by, { ...nothing, ...facts }).map(({ id }) => id);

describe('matchResponses', () => {
  it.each([
    ['a fall to low', { kind: 'tier-change', from: 'high', to: 'low' }, ['fell-to-low']],
    ['a fall to medium', { kind: 'tier-change', from: 'high', to: 'medium' }, ['fell-to-medium']],
    ['a raise', { kind: 'tier-change', from: 'low', to: 'medium' }, []],
    ['a critical violation', { kind: 'violation', severity: 'critical' }, ['critical-violation']],
    ['a low violation', { kind: 'violation', severity: 'low' }, ['lesser-violation']],
    ['an alarm', { kind: 'alarm', anomaly: 1 }, ['alarm']],
    ['a revocation', { kind: 'revocation', keyId: 'k' }, ['revocation']],
  ] as const)('answers %s by the default policy', (_what, facts, ids) => {
    expect(idsOf(facts)).toEqual(ids);
  });

  it('acts when a condition cannot be evaluated', () => {
    const failing = parsePolicy(text.replace('when: \'severity == "critical"\'', "when: 'int(rule) == 1'"), 'p.yaml');
    expect(idsOf({ kind: 'violation', rule: 'no number' }, failing)).toContain('critical-violation');
    expect(idsOf({ kind: 'violation', rule: '2' }, failing)).not.toContain('critical-violation');
  });
});
