import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../../test/needs.ts';
import { digestOf, hexOf } from '../../artifact/index.ts';
import { SLSA_PROVENANCE_TYPE } from '../statement.ts';
import { parseSlsaProvenance } from '../slsa/provenance.ts';
import { parseSigstoreBundle } from './bundle.ts';
import { verifySigstoreBundle } from './verify-bundle.ts';

const ISSUER = 'https://token.actions.githubusercontent.com';
const FORGE = 'https://github.com';

/** The identity that the conformance suite signs with, as its README says. */
const BEACON =
  `${FORGE}/sigstore-conformance/extremely-dangerous-public-oidc-beacon` +
  '/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';

const read = (path: string): Buffer => readFileSync(resolve(VECTORS_FOLDER, 'sigstore', path));

/** Verifies a bundle of the suite against the public-good root. */
function verify(name: string, known: 'bytes' | 'digest', subjectPattern = BEACON) {
  const bytes = read('test/assets/bundle-verify/a.txt');
  const bundle = parseSigstoreBundle(read(`test/assets/bundle-verify/${name}/bundle.sigstore.json`));
  return verifySigstoreBundle(bundle, {
    trustedRoot: read('targets/trusted_root.json'),
    policy: { identities: [{ issuer: ISSUER, subjectPattern }] },
    artifact: known === 'bytes' ? bytes : digestOf(bytes),
  });
}

describe.skipIf(needs('vectors'))('bundles of the public-good instance', () => {
  it('are all those that the tests below give a verdict on', () => {
    const folder = resolve(VECTORS_FOLDER, 'sigstore/test/assets/bundle-verify');
    const names = readdirSync(folder).filter((name) => existsSync(resolve(folder, name, 'bundle.sigstore.json')));
    expect(names.toSorted()).toEqual([
      'happy-path-intoto-in-dsse-v3',
      'happy-path-v0.3',
      'message-digest-mismatch_fail',
      'signature-mismatch_fail',
    ]);
  });

  it('verify over the bytes of an artifact, by whom they say', () => {
    expect(verify('happy-path-v0.3', 'bytes')).toEqual({
      signer: { issuer: ISSUER, subject: BEACON },
      artifact: digestOf(read('test/assets/bundle-verify/a.txt')),
      statement: null,
      logIndex: 79_571_823,
      integratedMs: 1_710_869_186_000,
      timestampMs: null,
    });
  });

  it('verify a statement about the digest of an artifact, which names its commit and its builder', () => {
    const { statement, logIndex, artifact } = verify('happy-path-intoto-in-dsse-v3', 'digest');
    expect([statement?.predicateType, logIndex]).toEqual([SLSA_PROVENANCE_TYPE, 155_690_850]);
    expect(hexOf(artifact)).toMatch(/^a0cfc712/);
    const { builder, resolvedDependencies } = parseSlsaProvenance(statement?.predicate);
    expect(builder.id).toBe(`${FORGE}/loosebazooka/aa-test/.github/workflows/provenance.yaml@refs/heads/main`);
    expect(resolvedDependencies.map(({ digests }) => digests.get('gitCommit'))).toEqual([
      'ebff8dfbd609b7b22237c7719ce07f2dc7934f5f',
    ]);
  });

  it('are refused when the artifact, the signature, the identity or what is known of the artifact is not theirs', () => {
    const refused = (code: string) => expect.objectContaining({ code, exit: 4 }) as unknown;
    expect(() => verify('message-digest-mismatch_fail', 'bytes')).toThrow(refused('PROVENANCE_SIGSTORE_ARTIFACT'));
    expect(() => verify('signature-mismatch_fail', 'bytes')).toThrow(refused('PROVENANCE_SIGSTORE_LOG'));
    expect(() => verify('happy-path-v0.3', 'digest')).toThrow(refused('PROVENANCE_SIGSTORE_ARTIFACT'));
    expect(() => verify('happy-path-v0.3', 'bytes', `${FORGE}/*`)).toThrow(refused('PROVENANCE_SIGSTORE_IDENTITY'));
  });
});
