import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { type Cap, componentNames, type Evidence, type Findings, TrustError } from './evidence.ts';
import { explainRaises, explainScore, scoreTrust } from './score.ts';
import { prepareWeights } from './weights.ts';

const NOW_MS = 1_750_000_000_000;

const weights = prepareWeights({
  components: { base: 0.25, build: 0.3, runtime: 0.25, reputation: 0.2 },
  checks: [
    { check: 'base.user', weight: 0.7, how: 'run as a user' },
    { check: 'base.secrets', weight: 0.1, how: 'leave no secrets' },
    { check: 'base.path', weight: 0.2, how: 'close the path' },
    { check: 'build.attestation', weight: 1, how: 'attest it' },
    { check: 'runtime.behaviour', weight: 1, how: 'run it cleanly' },
    { check: 'reputation.publisher', weight: 1, how: 'trust the publisher' },
  ],
});

function evidenceOf(check: string, score: number, more: Partial<Evidence> = {}): Evidence {
  return { check, score, reason: 'seen', source: 'test', expiresMs: null, ...more };
}

const fine = ['base.user', 'base.secrets', 'base.path', 'build.attestation'].map((check) => evidenceOf(check, 1));
const capOf = (id: string, max: number): Cap => ({ id, max, reason: 'why', lift: `lift ${id}` });

const ratio = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 1, 0.5, 0.8, Number.MIN_VALUE, 1 - 2 ** -53),
);
const anyEvidence: fc.Arbitrary<Evidence> = fc.record({
  check: fc.constantFrom(...weights.checks.map(({ check }) => check), 'base.unlisted', 'nothing'),
  score: ratio,
  reason: fc.constantFrom('a', 'b', 'c'),
  source: fc.constantFrom('x', 'y'),
  expiresMs: fc.constantFrom(null, NOW_MS - 1, NOW_MS, NOW_MS + 1),
});
const anyCap: fc.Arbitrary<Cap> = fc.record({
  id: fc.constantFrom('unsigned', 'incident', 'provenance-only'),
  max: ratio,
  reason: fc.constantFrom('a', 'b'),
  lift: fc.constant('lift'),
});
const anyFindings: fc.Arbitrary<Findings> = fc.record({
  evidence: fc.array(anyEvidence, { maxLength: 14 }),
  caps: fc.array(anyCap, { maxLength: 4 }),
});

const scoreOf = (findings: Findings) => scoreTrust(weights, findings, NOW_MS).score;

describe('scoreTrust', () => {
  it('weighs the four components as the policy says', () => {
    const findings = {
      evidence: [...fine, evidenceOf('runtime.behaviour', 0.2), evidenceOf('reputation.publisher', 0.5)],
      caps: [],
    };
    const trust = scoreTrust(weights, findings, NOW_MS);
    expect(trust.components.build.contribution).toBe(0.3);
    expect(trust.components.runtime.contribution).toBe(0.05);
    expect(trust.components.reputation.contribution).toBe(0.1);
    expect(trust.score).toBeCloseTo(0.7, 12);
  });

  it('scores a check without evidence 0, keeps its weight and says so', () => {
    const { components } = scoreTrust(weights, { evidence: [], caps: [] }, NOW_MS);
    expect(components.build.evidence).toEqual([
      { check: 'build.attestation', score: 0, weight: 1, reason: 'no evidence', source: '' },
    ]);
    expect(scoreOf({ evidence: [], caps: [] })).toBe(0);
  });

  it('takes the worst of several pieces of evidence and shows that one', () => {
    const evidence = [evidenceOf('build.attestation', 1), evidenceOf('build.attestation', 0.4, { reason: 'old key' })];
    const { build } = scoreTrust(weights, { evidence, caps: [] }, NOW_MS).components;
    expect(build.score).toBe(0.4);
    expect(build.evidence[0]?.reason).toBe('old key');
  });

  it('counts evidence up to the millisecond in which it expires, and not after', () => {
    const evidence = [evidenceOf('build.attestation', 1, { expiresMs: NOW_MS })];
    expect(scoreTrust(weights, { evidence, caps: [] }, NOW_MS).score).toBe(0.3);
    expect(scoreTrust(weights, { evidence, caps: [] }, NOW_MS + 1).score).toBe(0);
  });

  it('never exceeds 1 when the weights do by rounding', () => {
    const over = prepareWeights({
      components: weights.components,
      checks: [
        ...weights.checks.filter(({ check }) => !check.startsWith('base.')),
        { check: 'base.a', weight: 1, how: '' },
        { check: 'base.b', weight: 1e-10, how: '' },
      ],
    });
    const evidence = over.checks.map(({ check }) => evidenceOf(check, 1));
    expect(scoreTrust(over, { evidence, caps: [] }, NOW_MS).score).toBe(1);
  });

  it.each([
    ['evidence above 1', { evidence: [evidenceOf('base.user', 1.01)], caps: [] }],
    ['evidence below 0', { evidence: [evidenceOf('base.user', -0.01)], caps: [] }],
    ['evidence that is not a number', { evidence: [evidenceOf('base.user', Number.NaN)], caps: [] }],
    ['such evidence for a check that is not listed', { evidence: [evidenceOf('base.other', 2)], caps: [] }],
    ['an expiry that is not a number', { evidence: [evidenceOf('base.user', 1, { expiresMs: Number.NaN })], caps: [] }],
    ['a cap above 1', { evidence: [], caps: [capOf('x', 1.5)] }],
    ['a cap that is not a number', { evidence: [], caps: [capOf('x', Number.NaN)] }],
  ])('refuses %s', (_name, findings) => {
    expect(() => scoreTrust(weights, findings, NOW_MS)).toThrow(expect.objectContaining({ code: 'TRUST_EVIDENCE' }));
  });

  it('refuses a time that is not a number', () => {
    expect(() => scoreTrust(weights, { evidence: [], caps: [] }, Number.NaN)).toThrow(TrustError);
  });
});

describe('the laws of a score', () => {
  it('is the sum of the contributions in order, limited by the lowest cap', () => {
    fc.assert(
      fc.property(anyFindings, (findings) => {
        const { score, components, caps } = scoreTrust(weights, findings, NOW_MS);
        let sum = 0;
        for (const name of componentNames) sum += components[name].contribution;
        expect(score).toBe(Math.min(sum, 1, ...caps.map(({ max }) => max + 0)));
        for (const name of componentNames) {
          const { contribution, weight, score, evidence } = components[name];
          expect(contribution).toBe(weight * score);
          expect(score).toBe(
            Math.min(
              1,
              evidence.reduce((total, one) => total + one.weight * one.score, 0),
            ),
          );
        }
      }),
    );
  });

  it('does not rise when a check is dropped whole', () => {
    fc.assert(
      fc.property(anyFindings, fc.constantFrom(...weights.checks.map(({ check }) => check)), (findings, check) => {
        const dropped = { ...findings, evidence: findings.evidence.filter((one) => one.check !== check) };
        expect(scoreOf(dropped)).toBeLessThanOrEqual(scoreOf(findings));
      }),
    );
  });

  it('does not change when evidence is repeated', () => {
    fc.assert(
      fc.property(anyFindings, fc.nat(), (findings, at) => {
        const again = findings.evidence[at % Math.max(1, findings.evidence.length)];
        const evidence = again === undefined ? findings.evidence : [...findings.evidence, again];
        expect(canonicalJson(scoreTrust(weights, { ...findings, evidence }, NOW_MS))).toBe(
          canonicalJson(scoreTrust(weights, findings, NOW_MS)),
        );
      }),
    );
  });

  it('does not rise when worse evidence is added', () => {
    fc.assert(
      fc.property(anyFindings, anyEvidence, ratio, (findings, added, factor) => {
        const present = findings.evidence.filter(({ check }) => check === added.check);
        fc.pre(present.some(({ expiresMs }) => expiresMs === null || expiresMs >= NOW_MS));
        const worse = { ...added, score: factor * Math.min(...present.map(({ score }) => score)) };
        expect(scoreOf({ ...findings, evidence: [...findings.evidence, worse] })).toBeLessThanOrEqual(
          scoreOf(findings),
        );
      }),
    );
  });

  it('does not rise when a cap is added', () => {
    fc.assert(
      fc.property(anyFindings, anyCap, (findings, cap) => {
        const capped = scoreOf({ ...findings, caps: [...findings.caps, cap] });
        expect(capped).toBeLessThanOrEqual(scoreOf(findings));
        expect(capped).toBeLessThanOrEqual(cap.max);
      }),
    );
  });

  it('gives the same bits for the same findings in any order', () => {
    const shuffled = anyFindings.chain((findings) =>
      fc.record({
        findings: fc.constant(findings),
        evidence: fc.shuffledSubarray([...findings.evidence], { minLength: findings.evidence.length }),
        caps: fc.shuffledSubarray([...findings.caps], { minLength: findings.caps.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ findings, evidence, caps }) => {
        const one = scoreTrust(weights, findings, NOW_MS);
        const other = scoreTrust(weights, { evidence, caps }, NOW_MS);
        expect(canonicalJson(other)).toBe(canonicalJson(one));
        expect(Object.is(other.score, one.score)).toBe(true);
      }),
    );
  });
});

describe('explainRaises', () => {
  it('lists what each check would gain, largest first', () => {
    const findings = { evidence: [evidenceOf('base.user', 1), evidenceOf('reputation.publisher', 0.5)], caps: [] };
    expect(explainRaises(weights, findings, NOW_MS).map(({ check }) => check)).toEqual([
      'build.attestation',
      'runtime.behaviour',
      'reputation.publisher',
      'base.path',
      'base.secrets',
    ]);
  });

  it('limits a gain by the cap, and names the cap that binds with what lifts it', () => {
    const findings = {
      evidence: [...fine, evidenceOf('reputation.publisher', 1)],
      caps: [capOf('unsigned', 0.49), capOf('second', 0.6)],
    };
    const [only, ...rest] = explainRaises(weights, findings, NOW_MS);
    expect(rest).toEqual([]);
    expect(only).toMatchObject({ check: 'unsigned', how: 'lift unsigned' });
    expect(only?.gain).toBeCloseTo(0.11, 12);
  });

  it('says nothing of a perfect score, nor of a cap that does not bind', () => {
    const evidence = weights.checks.map(({ check }) => evidenceOf(check, 1));
    expect(explainRaises(weights, { evidence, caps: [capOf('loose', 1)] }, NOW_MS)).toEqual([]);
  });

  it('promises exactly what scoring then gives', () => {
    fc.assert(
      fc.property(anyFindings, (findings) => {
        const before = scoreTrust(weights, findings, NOW_MS);
        for (const { check, gain } of explainScore(weights, before)) {
          const others = findings.evidence.filter((one) => one.check !== check);
          const evidence = weights.indexOf.has(check) ? [...others, evidenceOf(check, 1)] : findings.evidence;
          const caps = findings.caps.filter(({ id }) => id !== check);
          expect(scoreOf({ evidence, caps }) - before.score).toBe(gain);
        }
      }),
    );
  });
});
