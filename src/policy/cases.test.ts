import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parsePolicyCases, runPolicyCases } from './cases.ts';
import { parsePolicy } from './parse.ts';

const read = (name: string) => readFileSync(new URL(`../../policies/${name}`, import.meta.url), 'utf8');
const policy = parsePolicy(read('default.yaml'), 'default.yaml');

function failuresOf(given: string, expected: string): readonly string[] {
  const cases = parsePolicyCases(`tests: [{ name: one, given: ${given}, expect: ${expected} }]`, 't.yaml');
  return runPolicyCases(policy, cases)[0]?.failures ?? ['no case ran'];
}

describe('the tests of the default policy', () => {
  const results = runPolicyCases(policy, parsePolicyCases(read('default.test.yaml'), 'default.test.yaml'));

  it('are there', () => {
    expect(results.length).toBeGreaterThan(10);
  });

  it.each(results.map(({ name, failures }) => [name, failures] as const))('%s', (_name, failures) => {
    expect(failures).toEqual([]);
  });
});

describe('runPolicyCases', () => {
  it('says what came instead of what was expected', () => {
    expect(failuresOf('{}', '{ score: 0.3, tier: medium, network: isolated }')).toEqual([
      'score: expected 0.3, got 0',
      'tier: expected medium, got low',
    ]);
  });

  it('says that a grant was refused', () => {
    expect(failuresOf('{ isolation: [container] }', '{ grantedTier: low }')).toEqual([
      'grantedTier: expected low, got nothing: refused',
    ]);
  });

  it('does not let a mistyped check pass as missing evidence', () => {
    expect(failuresOf('{ evidence: { base.usr: 1 } }', '{ score: 0 }')).toEqual([
      'given.evidence: the policy lists no check base.usr',
    ]);
  });

  it('tells rules what the artifact is', () => {
    const rule = 'rules: [{ id: a, when: \'artifact.name == "x" && "k" in publishers\', refuse: true, reason: r }]';
    const refusing = parsePolicy(read('default.yaml').replace('rules: []', rule), 'p.yaml');
    const cases = parsePolicyCases(
      'tests: [{ name: n, given: { artifact: { name: x, kind: file }, publishers: [k] }, expect: { refused: true } }]',
      't.yaml',
    );
    expect(runPolicyCases(refusing, cases)[0]?.failures).toEqual([]);
  });

  it('refuses a file with an unknown key, with what was meant', () => {
    expect(() => parsePolicyCases('tests: [{ name: one, given: { evidnce: {} }, expect: {} }]', 't.yaml')).toThrow(
      "unknown key 'evidnce' in tests[0].given; did you mean 'evidence'?",
    );
  });

  it('refuses a check whose score is none, by its name', () => {
    expect(() =>
      parsePolicyCases('tests: [{ name: one, given: { evidence: { base.user: 2 } }, expect: {} }]', 't.yaml'),
    ).toThrow(/tests\[0\]\.given\.evidence\.base\.user: /);
  });
});
