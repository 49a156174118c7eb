import { expect, it } from 'vitest';

import { canonicalJson } from '../../base/index.ts';
import { makeVerificationSummary, parseVerificationSummary, type VerificationSummary } from './verification-summary.ts';

const summary: VerificationSummary = {
  verifier: { id: 'https://provost.test/verifier', version: new Map([['provost', '1.2']]) },
  verifiedMs: Date.UTC(2026, 0, 2),
  resourceUri: 'pkg:oci/web@sha256:abc',
  policy: { uri: 'https://provost.test/policy', digests: new Map([['sha256', 'ab'.repeat(32)]]) },
  inputAttestations: [{ uri: null, digests: new Map([['sha256', 'cd'.repeat(32)]]) }],
  isPassed: true,
  verifiedLevels: ['SLSA_BUILD_LEVEL_3', 'SLSA_SOURCE_LEVEL_2', 'OWN_REVIEWED'],
  dependencyLevels: new Map([['SLSA_BUILD_LEVEL_UNEVALUATED', 7]]),
  slsaVersion: '1.1',
};
const least: VerificationSummary = {
  verifier: { id: 'x:y', version: new Map() },
  verifiedMs: null,
  resourceUri: 'web',
  policy: { uri: 'x:p', digests: new Map() },
  inputAttestations: [],
  isPassed: false,
  verifiedLevels: ['FAILED'],
  dependencyLevels: new Map(),
  slsaVersion: null,
};
const refused = expect.objectContaining({ code: 'PROVENANCE_VSA', exit: 4 });
const wire = (): Record<string, unknown> =>
  JSON.parse(canonicalJson(makeVerificationSummary(summary))) as Record<string, unknown>;

it('writes the predicate as the specification has it, and reads it back', () => {
  expect(wire()).toEqual({
    verifier: { id: 'https://provost.test/verifier', version: { provost: '1.2' } },
    timeVerified: '2026-01-02T00:00:00.000Z',
    resourceUri: 'pkg:oci/web@sha256:abc',
    policy: { uri: 'https://provost.test/policy', digest: { sha256: 'ab'.repeat(32) } },
    inputAttestations: [{ digest: { sha256: 'cd'.repeat(32) } }],
    verificationResult: 'PASSED',
    verifiedLevels: ['SLSA_BUILD_LEVEL_3', 'SLSA_SOURCE_LEVEL_2', 'OWN_REVIEWED'],
    dependencyLevels: { SLSA_BUILD_LEVEL_UNEVALUATED: 7 },
    slsaVersion: '1.1',
  });
  for (const one of [summary, least]) expect(parseVerificationSummary(makeVerificationSummary(one))).toEqual(one);
});

it('ignores what it does not know', () => {
  expect(parseVerificationSummary({ ...wire(), later: 1 })).toEqual(summary);
});

it.each<[string, object]>([
  ['no verifier', { verifier: undefined }],
  ['a verifier without an id', { verifier: {} }],
  ['no resource', { resourceUri: undefined }],
  ['an empty resource', { resourceUri: '' }],
  ['no policy', { policy: undefined }],
  ['another result', { verificationResult: 'passed' }],
  ['no result', { verificationResult: undefined }],
  ['no levels', { verifiedLevels: undefined }],
  ['a level of SLSA that is none', { verifiedLevels: ['SLSA_BUILD_LEVEL_30'] }],
  ['two levels of one track', { verifiedLevels: ['SLSA_BUILD_LEVEL_1', 'SLSA_BUILD_LEVEL_3'] }],
  ['a pass that failed', { verifiedLevels: ['SLSA_BUILD_LEVEL_1', 'FAILED'] }],
  ['a failure that reached a level', { verificationResult: 'FAILED' }],
  ['a time of another zone', { timeVerified: '2026-01-02T00:00:00+01:00' }],
  ['a count below zero', { dependencyLevels: { SLSA_BUILD_LEVEL_1: -1 } }],
  ['an input with a digest in upper case', { inputAttestations: [{ digest: { sha256: 'AB'.repeat(32) } }] }],
  ['a version that is none', { slsaVersion: 'v1' }],
])('refuses a summary with %s', (_, fields) => {
  expect(() => parseVerificationSummary({ ...wire(), ...fields })).toThrow(refused);
});

it('refuses to make what it would not read', () => {
  expect(() => makeVerificationSummary({ ...summary, verifiedLevels: ['FAILED'] })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_VSA', exit: 2 }),
  );
});
