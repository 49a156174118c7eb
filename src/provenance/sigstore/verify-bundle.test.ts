import { expect, it } from 'vitest';

import {
  IDENTITY,
  type Loose,
  SIGNED_MS,
  SigstoreInstance,
  type SigstoreSigning,
} from '../../../test/sigstore-fixture.ts';
import { type Digest, digestOf, hexOf } from '../../artifact/index.ts';
import { STATEMENT_MEDIA_TYPE, STATEMENT_TYPE } from '../statement.ts';
import { parseSigstoreBundle } from './bundle.ts';
import { checkIdentity, type SigstoreCheck, verifySigstoreBundle } from './verify-bundle.ts';

const instance = new SigstoreInstance();
const artifact = Buffer.from('the artifact');
const digest = digestOf(artifact);
const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const statementOf = (subject: Digest): Buffer =>
  bytesOf({ _type: STATEMENT_TYPE, subject: [{ digest: { sha256: hexOf(subject) } }], predicateType: 'x:y' });

const policy = { identities: [{ issuer: IDENTITY.issuer, subjectPattern: 'https://forge.test/shop/**' }] };
const attest = (signing: SigstoreSigning = {}): Loose =>
  instance.attest(statementOf(digest), STATEMENT_MEDIA_TYPE, signing);

function verify(bundle: Loose, check: Partial<SigstoreCheck> & { root?: Loose } = {}) {
  const { root = instance.root(), ...rest } = check;
  const parsed = parseSigstoreBundle(bytesOf(bundle));
  return verifySigstoreBundle(parsed, { trustedRoot: bytesOf(root), policy, artifact: digest, ...rest });
}

const refused = (code: string) => expect.objectContaining({ code, exit: 4 });

/** The trusted root without what `change` takes from it. */
function rootWith(change: (root: Loose) => void): Loose {
  const root = instance.root();
  change(root);
  return root;
}

const base = { signer: IDENTITY, artifact: digest, integratedMs: SIGNED_MS, timestampMs: null, logIndex: 77 };

it.each([
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
])('verifies attestations and signatures of %s', (mediaType) => {
  const statement = { subjects: [{ name: null, digest }], sha512Subjects: [], predicateType: 'x:y', predicate: null };
  expect(verify(attest({ mediaType }))).toEqual({ ...base, statement });
  expect(verify(instance.sign(artifact, { mediaType }), { artifact })).toEqual({ ...base, statement: null });
});

it('takes the time from a timestamp authority when the log gives none', () => {
  const stamped = attest({ inclusion: 'proof', isTimestamped: true });
  expect(verify(stamped)).toMatchObject({ integratedMs: null, timestampMs: SIGNED_MS, logIndex: 0 });
  expect(() => verify(attest({ inclusion: 'proof' }))).toThrow(refused('PROVENANCE_SIGSTORE_TIME'));
});

it.each<[string, string, SigstoreSigning, (root: Loose) => Loose]>([
  ['log', 'PROVENANCE_SIGSTORE_LOG', {}, (root) => root.tlogs[0].publicKey],
  [
    'log that only proves',
    'PROVENANCE_SIGSTORE_LOG',
    { inclusion: 'proof', isTimestamped: true },
    (root) => root.tlogs[0].publicKey,
  ],
  ['certificate log', 'PROVENANCE_SIGSTORE_CERTIFICATE', {}, (root) => root.ctlogs[0].publicKey],
  ['certificate authority', 'PROVENANCE_SIGSTORE_CERTIFICATE', {}, (root) => root.certificateAuthorities[0]],
  ['timestamp authority', 'PROVENANCE_SIGSTORE_TIME', { isTimestamped: true }, (root) => root.timestampAuthorities[0]],
])('believes a %s only from the start of its validity to the end', (_, code, signing, authorityOf) => {
  const bundle = attest(signing);
  const at = (ms: number) => new Date(SIGNED_MS + ms).toISOString();
  const under = (validFor: object | undefined) => () =>
    verify(bundle, { root: rootWith((root) => Object.assign(authorityOf(root), { validFor })) });
  expect(under({ start: at(-1000), end: at(1000) })().artifact).toBe(digest);
  for (const validFor of [
    undefined,
    {},
    { end: at(1000) },
    { start: at(1000) },
    { start: at(-2000), end: at(-1000) },
  ]) {
    expect(under(validFor), JSON.stringify(validFor)).toThrow(refused(code));
  }
});

it('holds a statement that names packages as npm does to the SHA-512 of the bytes', () => {
  const sha512 = 'ab'.repeat(64);
  const subject = [{ name: 'pkg:npm/left-pad@1.3.0', digest: { sha512 } }];
  const statement = bytesOf({ _type: STATEMENT_TYPE, subject, predicateType: 'x:y' });
  const bundle = instance.attest(statement, STATEMENT_MEDIA_TYPE, {});
  expect(verify(bundle, { sha512: () => sha512 }).statement?.sha512Subjects).toEqual([sha512]);
  const other = refused('PROVENANCE_SIGSTORE_ARTIFACT');
  expect(() => verify(bundle, { sha512: () => 'ac'.repeat(64) })).toThrow(other);
  expect(() => verify(bundle)).toThrow(other);
});

it('refuses a certificate that no log has seen', () => {
  expect(() => verify(attest({ isUnlogged: true }))).toThrow(refused('PROVENANCE_SIGSTORE_CERTIFICATE'));
});

it.each([
  ['no identity', []],
  ['another issuer', [{ issuer: 'https://issuer.tes', subjectPattern: '**' }]],
  ['a pattern that fits a part', [{ issuer: IDENTITY.issuer, subjectPattern: 'https://forge.test/shop/web' }]],
  ['a pattern that stops at a slash', [{ issuer: IDENTITY.issuer, subjectPattern: 'https://forge.test/*' }]],
  [
    'issuer and subject of two identities',
    [
      { issuer: IDENTITY.issuer, subjectPattern: 'https://else.test/**' },
      { issuer: 'https://else.test', subjectPattern: '**' },
    ],
  ],
])('refuses a signer when the policy has %s', (_, identities) => {
  expect(() => verify(attest(), { policy: { identities } })).toThrow(refused('PROVENANCE_SIGSTORE_IDENTITY'));
});

it('refuses names that are spelled with other bytes than they are read with', () => {
  const high = (text: string) => Buffer.from(text).map((byte) => (byte === 0x74 ? 0xf4 : byte));
  expect(() => verify(attest({ issuer: Buffer.from(high(IDENTITY.issuer)) }))).toThrow(
    refused('PROVENANCE_SIGSTORE_IDENTITY'),
  );
  expect(() => verify(attest({ subject: Buffer.from(high(IDENTITY.subject)) }))).toThrow(
    refused('PROVENANCE_SIGSTORE_IDENTITY'),
  );
});

it('refuses a certificate without names', () => {
  const { key } = { key: undefined as never };
  expect(() => checkIdentity({ key }, policy.identities)).toThrow(refused('PROVENANCE_SIGSTORE_IDENTITY'));
});

it('holds a bundle to the artifact', () => {
  const other = Buffer.from('another artifact');
  expect(() => verify(attest(), { artifact: digestOf(other) })).toThrow(refused('PROVENANCE_SIGSTORE_ARTIFACT'));
  expect(verify(attest(), { artifact }).artifact).toBe(digest);
  expect(() => verify(instance.sign(artifact), { artifact: other })).toThrow(refused('PROVENANCE_SIGSTORE_ARTIFACT'));
  expect(() => verify(instance.sign(artifact), { artifact: digest })).toThrow(refused('PROVENANCE_SIGSTORE_ARTIFACT'));
});

it('refuses a payload that is no statement, though it was signed', () => {
  const signed = (payload: string, type: string) => instance.attest(Buffer.from(payload), type);
  expect(() => verify(instance.attest(statementOf(digest), 'text/plain'))).toThrow(refused('PROVENANCE_STATEMENT'));
  expect(() => verify(signed('{}', STATEMENT_MEDIA_TYPE))).toThrow(refused('PROVENANCE_STATEMENT'));
  expect(() => verify(signed('{"a":1,"a":2}', STATEMENT_MEDIA_TYPE))).toThrow(refused('PROVENANCE_JSON'));
});

it('refuses a signature that is not over the payload, and a log entry of another one', () => {
  const [one, other] = [attest(), attest()];
  const swapped = { ...one, dsseEnvelope: { ...one.dsseEnvelope, signatures: other.dsseEnvelope.signatures } };
  expect(() => verify(swapped)).toThrow(refused('PROVENANCE_SIGSTORE_LOG'));
  const bySomebody = structuredClone(one);
  bySomebody.verificationMaterial.certificate = other.verificationMaterial.certificate;
  expect(() => verify(bySomebody)).toThrow(refused('PROVENANCE_SIGSTORE_SIGNATURE'));
});

it.each<[string, (bundle: Loose) => void]>([
  ['another media type', (b) => (b.mediaType = 'application/vnd.dev.sigstore.bundle.v0.4+json')],
  ['a media type with more behind it', (b) => (b.mediaType += 'x')],
  ['no content', (b) => delete b.dsseEnvelope],
  ['two contents', (b) => (b.messageSignature = instance.sign(artifact).messageSignature)],
  ['two signatures', (b) => b.dsseEnvelope.signatures.push(b.dsseEnvelope.signatures[0])],
  [
    'a key in the place of a certificate',
    (b) => {
      b.verificationMaterial.publicKey = { hint: 'constructor' };
      delete b.verificationMaterial.certificate;
    },
  ],
  [
    'a certificate and a chain',
    (b) => {
      b.verificationMaterial.x509CertificateChain = { certificates: [b.verificationMaterial.certificate] };
    },
  ],
  ['no inclusion proof', (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof],
  ['an index that is no number', (b) => (b.verificationMaterial.tlogEntries[0].logIndex = '-1')],
  [
    'nine log entries',
    (b) => {
      b.verificationMaterial.tlogEntries = Array.from({ length: 9 }, () => b.verificationMaterial.tlogEntries[0]);
    },
  ],
  ['a certificate that is none', (b) => (b.verificationMaterial.certificate.rawBytes = 'AAAA')],
  [
    'a certificate cut short',
    (b) => {
      b.verificationMaterial.certificate.rawBytes = b.verificationMaterial.certificate.rawBytes.slice(0, 400);
    },
  ],
  [
    'a timestamp that is none',
    (b) => {
      b.verificationMaterial.timestampVerificationData.rfc3161Timestamps = [{ signedTimestamp: 'AAAA' }];
    },
  ],
  [
    'a timestamp of nothing',
    (b) => {
      b.verificationMaterial.timestampVerificationData.rfc3161Timestamps = [{ signedTimestamp: 'MAA=' }];
    },
  ],
])('refuses a bundle with %s', (_, change) => {
  const bundle = attest();
  expect(verify(bundle).artifact).toBe(digest);
  change(bundle);
  expect(() => verify(bundle)).toThrow(refused('PROVENANCE_SIGSTORE_BUNDLE'));
});

it('refuses a bundle of the first version whose proof has no checkpoint, which the library trips over', () => {
  const bundle = attest({ mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1' });
  expect(verify(bundle).artifact).toBe(digest);
  delete bundle.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint;
  expect(() => verify(bundle)).toThrow(refused('PROVENANCE_SIGSTORE_BUNDLE'));
});

it('refuses a bundle without a log entry, and with the same one twice', () => {
  const bundle = attest({ isTimestamped: true });
  const { tlogEntries } = bundle.verificationMaterial;
  bundle.verificationMaterial.tlogEntries = [];
  expect(() => verify(bundle)).toThrow(refused('PROVENANCE_SIGSTORE_LOG'));
  bundle.verificationMaterial.tlogEntries = [...tlogEntries, ...tlogEntries];
  expect(() => verify(bundle)).toThrow(refused('PROVENANCE_SIGSTORE_TIME'));
});

it.each<[string, (root: Loose) => void]>([
  ['another media type', (root) => (root.mediaType = 'application/json')],
  ['a start that is no time', (root) => (root.tlogs[0].publicKey.validFor.start = 'yesterday')],
  ['a key that is none', (root) => (root.tlogs[0].publicKey.rawBytes = 'AAAA')],
  ['an empty chain', (root) => (root.certificateAuthorities[0].certChain.certificates = [])],
])('refuses a trusted root with %s', (_, change) => {
  expect(() => verify(attest(), { root: rootWith(change) })).toThrow(refused('PROVENANCE_SIGSTORE_ROOT'));
});
