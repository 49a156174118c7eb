import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkPolicy } from '../../engine/index.ts';
import { DEMO_POLICY, demoPolicyDifferences } from './policy-differences.ts';

describe('the policy of the demo', () => {
  it('differs from the default one in what the demo shows, and in nothing else', () => {
    expect(demoPolicyDifferences()).toEqual([
      { key: 'trust.caps.provenanceOnly.liftedByCleanRuntime', from: '24h', to: '16s' },
      { key: 'tiers.raiseDwell', from: '60s', to: '3s' },
      { key: 'tiers.goodAfter', from: '10m', to: '8s' },
      { key: 'runtime.tau', from: '10m', to: '14s' },
      { key: 'responses.high-violation.do', from: '-', to: 'rollback' },
    ]);
  });

  it('is a policy', () => {
    expect(checkPolicy(readFileSync(DEMO_POLICY, 'utf8'), 'demo.yaml')).toMatchObject({ source: 'demo.yaml' });
  });
});
