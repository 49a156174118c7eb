import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '../artifact/index.ts';
import { encodeEnvelope, type Envelope, ENVELOPE_MEDIA_TYPE, parseEnvelope, signEnvelope } from './dsse.ts';
import { makeKeyPair, type Signer, signerOf } from './ed25519.ts';
import {
  admitEnvelope,
  type AdmittedEnvelope,
  attest,
  DEPLOY_TYPE,
  openAttestationStore,
  parseLeaf,
  RELEASE_TYPE,
  REVIEW_TYPE,
  RUNTIME_TRACE_TYPE,
  SLSA_PROVENANCE_TYPE,
  SOURCE_PREDICATE_TYPE,
  STATEMENT_MEDIA_TYPE,
  type TrustRole,
} from './index.ts';
import { makeStatement } from './statement.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../../test/keyring-fixture.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const ISSUER = 'log:example.com/log';
const web = { name: 'web', digest: digestOf('web') };
let dir: string;
let ring: LoggedKeyring;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-admit-'));
  ring = openLoggedKeyring(join(dir, 'keys'), 'home:3f9a01');
  for (const name of ['alice', 'bob']) ring.generateKey({ name, nowMs: NOW_MS });
  trust('alice');
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function trust(
  key: string,
  fields: { role?: TrustRole; types?: string[]; sinceMs?: number; expiresMs?: number } = {},
): void {
  const { role = 'publisher', types = [], sinceMs = NOW_MS, expiresMs = null } = fields;
  ring.trustKey({ key, publicPem: null, role, scope: 'shop/*', predicateTypes: types, expiresMs, nowMs: sinceMs });
}

const signer = (name = 'alice'): Signer => ring.openSigner(name);
const stranger = (): Signer => signerOf(makeKeyPair().privatePem);
const payloadOf = (type: string = RELEASE_TYPE, subjects = [web]): Buffer => makeStatement(subjects, type, {});
const envelopeOf = (payload: Buffer, signers: readonly Signer[]): Envelope =>
  signEnvelope(STATEMENT_MEDIA_TYPE, payload, signers);
const admit = (envelope: Envelope | Uint8Array): Promise<AdmittedEnvelope> =>
  admitEnvelope(envelope instanceof Uint8Array ? envelope : encodeEnvelope(envelope), {
    keyring: ring.state(),
    nowMs: NOW_MS,
    issuer: ISSUER,
  });
const refused = (code: string, exit: number, message = ''): unknown =>
  expect.objectContaining({ code, exit, message: expect.stringContaining(message) as string });

describe('an envelope for a log', () => {
  it('is admitted by a trusted key in whatever scope, with the leaf that its signer would have made', async () => {
    const made = attest({
      subjects: [web],
      predicateType: RELEASE_TYPE,
      predicate: {},
      signer: signer(),
      issuer: ISSUER,
    });
    const admitted = await admit(made.bytes);
    expect(admitted).toEqual({ ...made, predicateType: RELEASE_TYPE, subjects: [web.digest] });
    expect(parseLeaf(admitted.leaf)).toMatchObject({
      kind: 'package',
      document: { digest: digestOf(made.bytes), bytes: made.bytes.length, type: ENVELOPE_MEDIA_TYPE },
      subjects: [web.digest],
      keys: [signer().keyId],
      issuer: ISSUER,
    });
  });

  it('is one entry in whatever form, and with whatever signatures of strangers, it comes', async () => {
    const envelope = envelopeOf(payloadOf(), [signer(), signer('bob')]);
    const admitted = await admit(envelope);
    const wire = JSON.parse(encodeEnvelope(envelope).toString()) as { signatures: { sig: string }[]; payload: string };
    const [alice, bob] = wire.signatures;
    const [extra] = envelopeOf(payloadOf(), [stranger()]).signatures;
    const forms = [
      { ...wire, more: 'of it' },
      { ...wire, payload: wire.payload.replaceAll('+', '-').replaceAll('/', '_') },
      { ...wire, signatures: [alice, { ...alice }, bob] },
      { ...wire, signatures: [{ sig: alice?.sig }, bob] },
      { ...wire, signatures: [bob, alice] },
      { ...wire, signatures: [{ keyid: 'f'.repeat(64), sig: extra?.signature.toString('base64') }, alice, bob] },
    ];
    for (const form of forms) expect(await admit(Buffer.from(JSON.stringify(form, null, 2)))).toEqual(admitted);
    const ids = [signer().keyId, signer('bob').keyId].toSorted();
    expect(parseEnvelope(admitted.bytes).signatures.map(({ keyId }) => keyId)).toEqual(ids);
    expect(parseLeaf(admitted.leaf).keys).toEqual(ids);
  });

  it.each([
    ['publisher', RELEASE_TYPE, [], true],
    ['publisher', DEPLOY_TYPE, [], false],
    ['publisher', DEPLOY_TYPE, [DEPLOY_TYPE], true],
    ['publisher', RELEASE_TYPE, [DEPLOY_TYPE], false],
    ['builder', RELEASE_TYPE, [], false],
    ['reviewer', REVIEW_TYPE, [], true],
    ['reviewer', RELEASE_TYPE, [], false],
    ['operator', DEPLOY_TYPE, [], true],
    ['operator', RUNTIME_TRACE_TYPE, [], true],
    ['publisher', RUNTIME_TRACE_TYPE, [], false],
    ['publisher', RUNTIME_TRACE_TYPE, [RUNTIME_TRACE_TYPE], true],
    ['operator', 'https://example.com/other', [], false],
  ] as const)('of a %s about %s, trusted for %j, is admitted: %s', async (role, type, types, isAdmitted) => {
    trust('bob', { role, types: [...types] });
    const envelope = envelopeOf(payloadOf(type), [signer('bob')]);
    if (isAdmitted) expect((await admit(envelope)).predicateType).toBe(type);
    else await expect(admit(envelope)).rejects.toThrow(refused('PROVENANCE_UNTRUSTED', 3, 'is not trusted for'));
  });

  it.each([
    ['shop/web', true],
    ['bank/web', false],
    ['', false],
  ])('about %j counts by who is trusted for that name alone, where one is given: %s', async (name, isAdmitted) => {
    const bytes = encodeEnvelope(envelopeOf(payloadOf(), [signer()]));
    const named = admitEnvelope(bytes, { keyring: ring.state(), nowMs: NOW_MS, issuer: ISSUER, name });
    if (isAdmitted) expect(await named).toEqual(await admit(bytes));
    else await expect(named).rejects.toThrow(refused('PROVENANCE_UNTRUSTED', 3, `is not trusted for '${name}'`));
  });

  it('with a runtime trace becomes a leaf of its own kind', async () => {
    trust('bob', { role: 'operator' });
    const { leaf } = await admit(envelopeOf(payloadOf(RUNTIME_TRACE_TYPE), [signer('bob')]));
    expect(parseLeaf(leaf).kind).toBe('runtime');
  });

  it('is refused when nobody who is trusted signed it, whoever else did', async () => {
    await expect(admit(envelopeOf(payloadOf(), [stranger()]))).rejects.toThrow(
      refused('PROVENANCE_UNTRUSTED', 3, 'which this host does not know'),
    );
    await expect(admit(envelopeOf(payloadOf(), [stranger(), signer('bob')]))).rejects.toThrow(
      refused('PROVENANCE_UNTRUSTED', 3, "key 'bob' is not trusted here"),
    );
    trust('bob', { expiresMs: NOW_MS, sinceMs: NOW_MS - DAY_MS });
    await expect(admit(envelopeOf(payloadOf(), [signer('bob')]))).rejects.toThrow(
      refused('PROVENANCE_UNTRUSTED', 3, 'expired'),
    );
    // The predicate is part of what is trusted.
    await expect(admit(envelopeOf(payloadOf(SLSA_PROVENANCE_TYPE), [signer()]))).rejects.toThrow(
      refused('PROVENANCE_UNTRUSTED', 3),
    );
  });

  it('is refused when one of its signatures is forged, or by a revoked key, beside a trusted one', async () => {
    const trusted = envelopeOf(payloadOf(), [signer()]);
    const [forged] = envelopeOf(payloadOf(DEPLOY_TYPE), [signer('bob')]).signatures;
    const both = forged === undefined ? [] : [...trusted.signatures, forged];
    await expect(admit({ ...trusted, signatures: both })).rejects.toThrow(
      refused('PROVENANCE_SIGNATURE', 4, 'not that of key'),
    );
    const countersigned = envelopeOf(payloadOf(), [signer(), signer('bob')]);
    expect((await admit(countersigned)).subjects).toEqual([web.digest]);
    ring.revokeKey({ key: 'bob', reason: 'stolen', nowMs: NOW_MS });
    await expect(admit(countersigned)).rejects.toThrow(refused('PROVENANCE_UNTRUSTED', 3, 'was revoked'));
    ring.revokeKey({ key: 'alice', reason: 'lost', nowMs: NOW_MS });
    await expect(admit(trusted)).rejects.toThrow(refused('PROVENANCE_UNTRUSTED', 3, 'was revoked'));
  });

  it('is refused when it holds no statement about anything', async () => {
    const text = payloadOf();
    await expect(admit(signEnvelope('text/plain', text, [signer()]))).rejects.toThrow(
      refused('PROVENANCE_STATEMENT', 4, 'text/plain'),
    );
    await expect(admit(envelopeOf(Buffer.from('{}'), [signer()]))).rejects.toThrow(refused('PROVENANCE_STATEMENT', 4));
    const other = Buffer.from(text.toString().replace(/"sha256":"\w+"/, `"sha512":"${'0'.repeat(128)}"`));
    await expect(admit(envelopeOf(other, [signer()]))).rejects.toThrow(
      refused('PROVENANCE_STATEMENT', 4, 'no subject'),
    );
    const many = Array.from({ length: 33 }, (_, n) => ({ name: `${n}`, digest: digestOf(`${n}`) }));
    await expect(admit(envelopeOf(payloadOf(RELEASE_TYPE, many), [signer()]))).rejects.toThrow(
      refused('PROVENANCE_LEAF', 4),
    );
    await expect(admit(envelopeOf(Buffer.from('{'), [signer()]))).rejects.toThrow(refused('PROVENANCE_JSON', 4));
    for (const bytes of ['', '[]', '{}', '{"payloadType":'])
      await expect(admit(Buffer.from(bytes)), bytes).rejects.toThrow(
        expect.objectContaining({ exit: 4, code: expect.stringMatching(/^PROVENANCE_(?:JSON|ENVELOPE)$/) as string }),
      );
    // A leaf is made, never taken.
    await expect(admit((await admit(envelopeOf(text, [signer()]))).leaf)).rejects.toThrow(
      refused('PROVENANCE_ENVELOPE', 4),
    );
  });
});

describe('the attestations of a home', () => {
  it('are found by their index only where every subject has them', async () => {
    const store = openAttestationStore(join(dir, 'attestations'));
    const other = { name: 'api', digest: digestOf('api') };
    const both = await admit(envelopeOf(payloadOf(RELEASE_TYPE, [web, other]), [signer()]));
    const one = await admit(envelopeOf(payloadOf(), [signer()]));
    expect(store.indexOf(both.digest, both.subjects)).toBeNull();
    store.put(both.bytes, 7);
    expect(store.indexOf(both.digest, both.subjects)).toBe(7);
    expect(store.indexOf(one.digest, one.subjects)).toBeNull();
    rmSync(join(dir, 'attestations', other.digest.slice('sha256:'.length)), { recursive: true });
    expect(store.indexOf(both.digest, both.subjects)).toBeNull();
  });

  it('are found by the commit that they are about, by its id in git', () => {
    const folder = join(dir, 'attestations');
    const store = openAttestationStore(folder);
    const put = (commit: unknown, about = 'the commit', type = SOURCE_PREDICATE_TYPE): void => {
      const subjects = [{ name: 'commit', digest: digestOf(about) }];
      const made = attest({ subjects, predicateType: type, predicate: { commit }, signer: signer(), issuer: ISSUER });
      store.put(made.bytes, 0);
    };
    const [id, long] = ['c0'.repeat(20), 'c0'.repeat(32)];
    expect(store.commitDigest(id)).toBeNull();
    put(id);
    put(long, 'another');
    expect([store.commitDigest(id), store.commitDigest(long)]).toEqual([digestOf('the commit'), digestOf('another')]);
    // Recorded again, it is what was recorded last.
    put(id, 'a lie');
    put(id);
    expect(openAttestationStore(folder).commitDigest(id)).toBe(digestOf('the commit'));
    put('d0'.repeat(20), 'the commit', RELEASE_TYPE);
    for (const none of ['../../x', 'C0'.repeat(20), 7, null, '']) put(none);
    expect(readdirSync(join(folder, 'commits')).toSorted()).toEqual([id, long]);
    expect(store.commitDigest('../commits/x')).toBeNull();
    for (const damaged of ['', 'x'.repeat(65)]) {
      writeFileSync(join(folder, 'commits', id), damaged);
      expect(store.commitDigest(id)).toBeNull();
    }
    put(id);
    expect(store.commitDigest(id)).toBe(digestOf('the commit'));
  });
});
