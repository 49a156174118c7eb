import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { type Artifact, digestOf } from '../artifact/index.ts';
import { parseEnvelope, parseStatement, parseVerificationSummary, verifyArtifact } from '../provenance/index.ts';
import { openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { homeAt } from './home.ts';
import { summarise } from './summarising.ts';

const dir = mkdtempSync(join(tmpdir(), 'provost-summary-'));
const keyring = openLoggedKeyring(dir, 'home:test');
keyring.generateKey({ name: 'alice', nowMs: 0 });
const digest = digestOf('an artifact');
const none = { max: 0, liftedByCleanMs: null };
const caps = { unsigned: none, provenanceOnly: none, revoked: none, failedVerification: none };

afterAll(() => rmSync(dir, { recursive: true }));

function summaryOf(kind: Artifact['kind'], reference: string) {
  const config = { user: '', env: [], entrypoint: [], cmd: [], workingDir: '', exposedPorts: [], volumes: [] };
  const artifact: Artifact = {
    ...{ digest, kind, reference, name: 'app', layers: [] },
    config: { ...config, stopSignal: null, createdMs: null, labels: {} },
  };
  const input = { artifact, attestations: [], keyring: keyring.state(), caps, nowMs: 1000 };
  const { envelope } = summarise({
    ...{ home: homeAt(join(dir, 'none')), artifact, input, verification: verifyArtifact(input) },
    ...{ policyDigest: digest, signer: keyring.openSigner('alice') },
  });
  return parseVerificationSummary(parseStatement(parseEnvelope(envelope).payload).predicate);
}

it.each<[Artifact['kind'], string, string]>([
  ['file', '/srv/app 1.tar', 'file:///srv/app%201.tar'],
  ['folder', '/srv/app', 'file:///srv/app'],
  ['file', '/srv/a\nb', 'file:///srv/a%0Ab'],
  ['rootfs', '/srv/root', 'file:///srv/root'],
  ['host', '/', 'file:///'],
  ['image', 'oci:/srv/web 1:2', 'oci:/srv/web%201:2'],
  ['image', 'docker-archive:/srv/w\u0007.tar', 'docker-archive:/srv/w%07.tar'],
  ['image', 'docker:shop/web:1', 'docker:shop/web:1'],
  ['image', 'ghcr.io/shop/web:1', 'docker://ghcr.io/shop/web:1'],
])('names a %s %j by the URI %s', (kind, reference, uri) => {
  expect(summaryOf(kind, reference)).toMatchObject({ resourceUri: uri, verifiedMs: 1000, isPassed: false });
});

it('refuses a name that a summary cannot hold', () => {
  const refused = expect.objectContaining({ code: 'PROVENANCE_VSA', exit: 2 }) as unknown;
  expect(() => summaryOf('file', `/${'a'.repeat(2048)}`)).toThrow(refused);
});
