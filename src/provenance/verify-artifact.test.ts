import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { digestOf, hexOf } from '../artifact/index.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { encodeEnvelope, signEnvelope } from './dsse.ts';
import { makeKeyPair, signerOf } from './ed25519.ts';
import {
  attest,
  type AttestationStore,
  DEPLOY_TYPE,
  openAttestationStore,
  parseEnvelope,
  parseLeaf,
  parseStatement,
  RELEASE_TYPE,
  SLSA_PROVENANCE_TYPE,
  STATEMENT_MEDIA_TYPE,
  type TrustRequest,
  type Verification,
  verifyArtifact,
} from './index.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const artifact = { name: 'shop/web:1.2', digest: digestOf('the image') };
const caps = {
  unsigned: { max: 0.49 },
  provenanceOnly: { max: 0.8, liftedByCleanMs: 86_400_000, liftedByReview: false, liftedByReproduction: false },
  revoked: { max: 0 },
  failedVerification: { max: 0 },
};
let dir: string;
let ring: LoggedKeyring;
let store: AttestationStore;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-attest-'));
  ring = openLoggedKeyring(join(dir, 'keys'), 'home:3f9a01');
  store = openAttestationStore(join(dir, 'attestations'));
  ring.generateKey({ name: 'alice', nowMs: NOW_MS });
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function trust(key: string, fields: Partial<TrustRequest> = {}): void {
  const base = {
    publicPem: null,
    role: 'publisher',
    scope: '*',
    predicateTypes: [],
    expiresMs: null,
    nowMs: NOW_MS,
  } as const;
  ring.trustKey({ key, ...base, ...fields });
}

/** The least that is SLSA provenance. */
const built = {
  buildDefinition: { buildType: 'https://provost.test/build', externalParameters: {} },
  runDetails: { builder: { id: 'https://provost.test/builder' } },
};

function sign(key = 'alice', predicateType: string = RELEASE_TYPE, predicate: object = built) {
  return attest({
    subjects: [artifact],
    predicateType,
    predicate,
    signer: ring.openSigner(key),
    issuer: 'home:3f9a01',
  });
}

function verify(options: { nowMs?: number } = {}): Verification {
  return verifyArtifact({
    artifact,
    attestations: store.list(artifact.digest),
    keyring: ring.state(),
    caps,
    nowMs: options.nowMs ?? NOW_MS,
  });
}

/** verdict, the status of each signature, the evidence's score, the caps. */
function outcome(verification: Verification): unknown[] {
  const { evidence, caps: found } = verification.findings;
  expect(evidence).toHaveLength(1);
  return [
    verification.verdict,
    verification.signatures.map(({ status }) => status),
    evidence[0]?.score,
    found.map(({ id, max }) => [id, max]),
  ];
}

const UNSIGNED = [['unsigned', 0.49]];
const FAILED = [['verification-failed', 0]];

it('makes a statement about the artifact that anyone can check, and a leaf for it', () => {
  const { bytes, digest, leaf } = sign('alice', SLSA_PROVENANCE_TYPE);
  const envelope = parseEnvelope(bytes);
  expect(envelope.payloadType).toBe('application/vnd.in-toto+json');
  expect(JSON.parse(envelope.payload.toString())).toEqual({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: artifact.name, digest: { sha256: hexOf(artifact.digest) } }],
    predicateType: SLSA_PROVENANCE_TYPE,
    predicate: built,
  });
  expect(parseLeaf(leaf)).toMatchObject({
    kind: 'build',
    document: { digest, bytes: bytes.length },
    subjects: [artifact.digest],
  });
});

it.each([
  ['https://in-toto.io/attestation/test-result/v0.1', 'test'],
  ['https://in-toto.io/attestation/vulns/v0.2', 'vuln'],
  ['https://cyclonedx.org/bom', 'deps'],
  ['https://cyclonedx.org/bom/v1.6', 'deps'],
  ['https://spdx.dev/Document', 'deps'],
  ['https://spdx.dev/Document/v2.3', 'deps'],
  ['https://cyclonedx.org/bombast', 'package'],
  [RELEASE_TYPE, 'package'],
])('records %s as %s', (predicateType, kind) => {
  expect(parseLeaf(sign('alice', predicateType).leaf).kind).toBe(kind);
});

it.each([
  ['a type that is no URI', 'not a uri', {}],
  ['no predicate', RELEASE_TYPE, undefined],
  ['a predicate that is no object', RELEASE_TYPE, [1]],
])('refuses to attest with %s', (_, predicateType, predicate) => {
  const signer = ring.openSigner('alice');
  expect(() => attest({ subjects: [artifact], predicateType, predicate, signer, issuer: 'home:3f9a01' })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_STATEMENT', exit: 2 }),
  );
});

it('finds nothing where nothing was attested: unsigned', () => {
  expect(outcome(verify())).toEqual(['unsigned', [], 0, UNSIGNED]);
});

it('verifies a trusted key in scope, caps that alone at medium, and names the publisher', () => {
  trust('alice');
  store.put(sign().bytes, 0);
  const verification = verify();
  expect(outcome(verification)).toEqual(['verified', ['trusted'], 1, [['provenance-only', 0.8]]]);
  expect(verification.publishers).toEqual(['alice']);
  expect(verification.signatures[0]).toMatchObject({
    keyName: 'alice',
    predicateType: RELEASE_TYPE,
    keyId: ring.findKey('alice').id,
  });
});

it.each([
  [86_400_000, false, false, '24h of clean active running of this artifact'],
  [null, false, false, 'the policy lifts it for nothing'],
  [
    86_400_000,
    true,
    true,
    'a review by somebody who neither wrote nor built it, or a rebuild by another builder that gives the same, or 24h of clean active running of this artifact',
  ],
])('says what lifts the cap on provenance alone: %s, %s, %s', (...row) => {
  const [liftedByCleanMs, liftedByReview, liftedByReproduction, lift] = row;
  trust('alice');
  store.put(sign().bytes, 0);
  const input = { artifact, attestations: store.list(artifact.digest), keyring: ring.state(), nowMs: NOW_MS };
  const provenanceOnly = { max: 0.7, liftedByCleanMs, liftedByReview, liftedByReproduction };
  const { findings } = verifyArtifact({ ...input, caps: { ...caps, provenanceOnly } });
  expect(findings.caps).toMatchObject([{ id: 'provenance-only', max: 0.7, lift }]);
});

it.each<[string, Partial<TrustRequest> | null]>([
  ['no trust at all', null],
  ['another scope', { scope: 'bank/*' }],
  ['other predicate types', { predicateTypes: ['https://example.com/x'] }],
  ['a role that does not speak for the origin', { role: 'reviewer' }],
  ['a role that does not publish', { role: 'operator', predicateTypes: [RELEASE_TYPE] }],
  ['a role that publishes no releases', { role: 'builder' }],
  ['trust that ended', { expiresMs: NOW_MS }],
  ['trust that has not begun', { nowMs: NOW_MS + 1 }],
])('gives a valid signature by a key with %s no worth', (_, fields) => {
  if (fields !== null) trust('alice', fields);
  store.put(sign().bytes, 0);
  const verification = verify();
  expect(outcome(verification)).toEqual(['untrusted', ['untrusted'], 0, UNSIGNED]);
  expect([verification.publishers, verification.signatures[0]?.owner]).toEqual([[], 'alice']);
});

it('lets evidence expire with the longest trust that it rests on', () => {
  trust('alice', { scope: 'shop/*', expiresMs: NOW_MS + 10 });
  trust('alice', { scope: '**', expiresMs: NOW_MS + 20 });
  store.put(sign().bytes, 0);
  expect(verify().findings.evidence[0]?.expiresMs).toBe(NOW_MS + 20);
  expect(verify({ nowMs: NOW_MS + 20 }).verdict).toBe('untrusted');
  trust('alice', { scope: 'shop/**' });
  expect(verify({ nowMs: NOW_MS + 20 }).findings.evidence[0]?.expiresMs).toBeNull();
});

it('counts a predicate type that the trust names, and a builder for provenance', () => {
  trust('alice', { predicateTypes: ['https://example.com/own'] });
  store.put(sign('alice', 'https://example.com/own').bytes, 0);
  expect(verify().verdict).toBe('verified');
  ring.generateKey({ name: 'ci', nowMs: NOW_MS });
  trust('ci', { role: 'builder' });
  store.put(sign('ci', SLSA_PROVENANCE_TYPE).bytes, 0);
  expect([...verify().publishers].toSorted()).toEqual(['alice', 'ci']);
});

it('gives provenance that cannot be read no worth, though a trusted key signed it', () => {
  trust('alice');
  store.put(sign('alice', SLSA_PROVENANCE_TYPE, { by: 'alice' }).bytes, 0);
  const verification = verify();
  expect(outcome(verification)).toEqual(['untrusted', ['untrusted'], 0, UNSIGNED]);
  expect(verification.signatures[0]?.reason).toContain('SLSA provenance is not valid');
});

it('gives a key that the host does not know no worth, and says so', () => {
  const signer = signerOf(makeKeyPair().privatePem);
  store.put(attest({ subjects: [artifact], predicateType: RELEASE_TYPE, predicate: {}, signer, issuer: 'x' }).bytes, 0);
  const verification = verify();
  expect(outcome(verification)).toEqual(['untrusted', ['unknown'], 0, UNSIGNED]);
  expect(verification.signatures[0]).toMatchObject({ keyId: signer.keyId, keyName: null, owner: null });
});

it('finds the key behind a signature without an id, and calls one of nobody unknown', () => {
  trust('alice');
  const envelope = parseEnvelope(sign().bytes);
  const nameless = (bytes: Buffer) =>
    store.put(encodeEnvelope({ ...envelope, signatures: [{ keyId: null, signature: bytes }] }), 0);
  nameless(envelope.signatures[0]?.signature ?? Buffer.alloc(0));
  expect(outcome(verify())).toEqual(['verified', ['trusted'], 1, [['provenance-only', 0.8]]]);
  nameless(Buffer.alloc(64));
  expect(
    verify()
      .signatures.map(({ status }) => status)
      .toSorted(),
  ).toEqual(['trusted', 'unknown']);
});

it('caps at nothing for a revoked key, whatever else speaks for the artifact', () => {
  trust('alice');
  store.put(sign().bytes, 0);
  ring.generateKey({ name: 'bob', nowMs: NOW_MS });
  trust('bob');
  store.put(sign('bob').bytes, 0);
  expect(verify().verdict).toBe('verified');
  ring.revokeKey({ key: 'bob', reason: 'laptop stolen', nowMs: NOW_MS });
  const verification = verify();
  expect(verification.verdict).toBe('revoked');
  expect(verification.publishers).toEqual([]);
  expect(verification.findings).toMatchObject({
    evidence: [{ check: 'build.attestation', score: 0 }],
    caps: [{ id: 'revoked-key', max: 0, reason: expect.stringContaining('laptop stolen') as unknown }],
  });
});

it('keeps what a rotated key signed, and takes what its successor signs', () => {
  trust('alice');
  store.put(sign().bytes, 0);
  ring.rotateKey({ key: 'alice', nowMs: NOW_MS });
  store.put(sign('alice', SLSA_PROVENANCE_TYPE).bytes, 0);
  expect(verify().signatures.map(({ status, owner }) => [status, owner])).toEqual([
    ['trusted', 'alice'],
    ['trusted', 'alice'],
  ]);
});

it('takes a signature that is not that of the key it names for tampering, beside good ones too', () => {
  trust('alice');
  store.put(sign().bytes, 0);
  const envelope = parseEnvelope(sign().bytes);
  const forged = envelope.signatures.map((one) => ({ ...one, signature: Buffer.alloc(64, 7) }));
  store.put(encodeEnvelope({ ...envelope, signatures: [...envelope.signatures, ...forged] }), 0);
  const verification = verify();
  expect([verification.verdict, verification.findings.evidence[0]?.score]).toEqual(['failed', 0]);
  expect(verification.findings.caps.map(({ id, max }) => [id, max])).toEqual(FAILED);
});

it('finds every change of a stored attestation', () => {
  trust('alice');
  const { bytes, digest } = sign();
  store.put(bytes, 0);
  const path = join(dir, 'attestations', hexOf(artifact.digest), `${hexOf(digest)}-0.json`);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(path, changed);
    expect(outcome(verify()), `byte ${at}`).toEqual(['failed', ['failed'], 0, FAILED]);
  }
  truncateSync(path, 9 * 1024 * 1024);
  expect(verify().verdict).toBe('failed');
});

it.each<[string, (signer: ReturnType<LoggedKeyring['openSigner']>) => Buffer]>([
  ['no JSON', () => Buffer.from('rubbish')],
  ['no statement', (signer) => encodeEnvelope(signEnvelope('text/plain', Buffer.from('{}'), [signer]))],
  ['a broken statement', (signer) => encodeEnvelope(signEnvelope(STATEMENT_MEDIA_TYPE, Buffer.from('{}'), [signer]))],
  [
    'a statement about another artifact',
    (signer) =>
      attest({
        subjects: [{ name: 'x', digest: digestOf('other') }],
        predicateType: RELEASE_TYPE,
        predicate: {},
        signer,
        issuer: 'x',
      }).bytes,
  ],
])('takes an attestation of %s, where one about the artifact should be, for tampering', (_, make) => {
  trust('alice');
  const bytes = make(ring.openSigner('alice'));
  const attestations = [{ digest: digestOf(bytes), bytes, logIndex: 0 }];
  const verification = verifyArtifact({ artifact, attestations, keyring: ring.state(), caps, nowMs: NOW_MS });
  expect(outcome(verification)).toEqual(['failed', ['failed'], 0, FAILED]);
});

it('keeps an attestation once under each subject, and lists it for these alone', () => {
  const subject = (text: string) => ({ name: text, digest: { sha256: hexOf(digestOf(text)) } });
  const payload = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [subject('a'), subject('b'), subject('a')],
      predicateType: 'x:y',
    }),
  );
  const bytes = encodeEnvelope(signEnvelope(STATEMENT_MEDIA_TYPE, payload, [ring.openSigner('alice')]));
  expect(store.put(bytes, 3)).toBe(store.put(bytes, 7));
  expect(['a', 'b', 'c'].map((text) => store.list(digestOf(text)).length)).toEqual([1, 1, 0]);
  expect(store.list(digestOf('a'))[0]).toEqual({ digest: digestOf(bytes), bytes, logIndex: 3 });
});

it('keeps a bounded number of attestations about one artifact', () => {
  const put = (n: number) => {
    const { payload, payloadType } = parseEnvelope(sign().bytes);
    return store.put(
      encodeEnvelope({ payloadType, payload, signatures: [{ keyId: String(n), signature: Buffer.alloc(64) }] }),
      n,
    );
  };
  for (let n = 0; n < 128; n += 1) put(n);
  expect(() => put(128)).toThrow(expect.objectContaining({ code: 'PROVENANCE_ATTESTATIONS_FULL', exit: 9 }));
  expect(put(5)).toMatch(/^sha256:/);
  expect(store.list(artifact.digest)).toHaveLength(128);
});

it.each([
  ['another type', { _type: 'https://in-toto.io/Statement/v0.1' }],
  ['no subject', { subject: [] }],
  ['a subject without a digest', { subject: [{ name: 'x' }] }],
  ['a subject with an empty digest', { subject: [{ digest: {} }] }],
  ['a SHA-256 that is too short', { subject: [{ digest: { sha256: 'aa' } }] }],
  ['a SHA-256 in upper case', { subject: [{ digest: { sha256: 'AA'.repeat(32) } }] }],
  ['no predicate type', { predicateType: undefined }],
  ['a predicate that is no object', { predicate: 'x' }],
])('refuses a statement with %s', (_, fields) => {
  const good = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { md5: 'aa' } }],
    predicateType: 'x:y',
  };
  const parse = (value: object) => parseStatement(Buffer.from(JSON.stringify(value)));
  expect(() => parse({ ...good, ...fields })).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_STATEMENT', exit: 4 }),
  );
  expect(parse(good)).toEqual({ subjects: [], sha512Subjects: [], predicateType: 'x:y', predicate: null });
});

it('reads the SHA-256 of a subject beside other algorithms, and its missing name', () => {
  const digest = { sha512: 'ff'.repeat(64), sha256: hexOf(artifact.digest) };
  const text = JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest }, { digest: { gitCommit: 'ab'.repeat(20) } }],
    predicateType: 'x:y',
  });
  const { subjects, sha512Subjects } = parseStatement(Buffer.from(text));
  expect([subjects, sha512Subjects]).toEqual([[{ name: null, digest: artifact.digest }], []]);
});

it('takes no word on where it was started for a word on where it comes from', () => {
  const deploy = (workload: string) => {
    const signer = ring.openSigner('alice');
    const subjects = [artifact];
    return attest({
      subjects,
      predicateType: DEPLOY_TYPE,
      predicate: { workload },
      signer,
      issuer: 'home:3f9a01',
      parents: [7],
    });
  };
  const first = deploy('one');
  expect(parseLeaf(first.leaf)).toMatchObject({ kind: 'deploy', parents: [7] });
  store.put(first.bytes, 1);
  const judge = (): Verification =>
    verifyArtifact({ artifact, attestations: store.list(artifact.digest), keyring: ring.state(), nowMs: NOW_MS, caps });
  expect(judge()).toMatchObject({ verdict: 'unsigned', signatures: [{ status: 'untrusted' }] });
  ring.revokeKey({ key: 'alice', reason: 'lost', nowMs: NOW_MS });
  expect(judge()).toMatchObject({ verdict: 'unsigned', signatures: [{ status: 'revoked' }] });
});

it('keeps an attestation in the place of others, and no other', async () => {
  const signer = ring.openSigner('alice');
  const make = (text: string): { bytes: Buffer; digest: ReturnType<typeof digestOf> } =>
    attest({ subjects: [artifact], predicateType: DEPLOY_TYPE, predicate: { text }, signer, issuer: 'home:3f9a01' });
  const [one, two, three] = ['one', 'two', 'three'].map(make) as [
    ReturnType<typeof make>,
    ReturnType<typeof make>,
    ReturnType<typeof make>,
  ];
  const kept = (): unknown[] => store.list(artifact.digest).map(({ digest, logIndex }) => [digest, logIndex]);
  store.put(one.bytes, 1);
  store.put(two.bytes, 2);
  expect(await store.replace(three.bytes, 3, new Set([one.digest]))).toBe(three.digest);
  expect(kept().length).toBe(2);
  expect(kept()).toEqual(
    expect.arrayContaining([
      [two.digest, 2],
      [three.digest, 3],
    ]),
  );
  // Logged again, it keeps its first index.
  await store.replace(three.bytes, 9, new Set([two.digest]));
  expect(kept()).toEqual([[three.digest, 3]]);
  for (let count = 1; count < 128; count += 1) store.put(make(String(count)).bytes, count);
  await expect(store.replace(one.bytes, 200, new Set())).rejects.toMatchObject({
    code: 'PROVENANCE_ATTESTATIONS_FULL',
  });
  await store.replace(one.bytes, 200, new Set([three.digest]));
  expect(kept().length).toBe(128);
});

it('does not take what it cannot read for what is not there', () => {
  mkdirSync(join(dir, 'attestations', hexOf(artifact.digest), `${hexOf(artifact.digest)}-1.json`), { recursive: true });
  expect(() => store.list(artifact.digest)).toThrow('EISDIR');
});
