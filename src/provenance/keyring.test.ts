import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { digestOf } from '../artifact/index.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { makeKeyPair } from './ed25519.ts';
import { openKeyring, parseLeaf, ProvenanceError, shortKeyId, type TrustRequest } from './index.ts';
import { EMPTY_KEYRING, saveKeyring } from './key-records.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
let dir: string;
let ring: LoggedKeyring;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-keys-'));
  ring = openLoggedKeyring(dir, 'home:3f9a01');
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const withCode = (code: string) => expect.objectContaining({ code });
const generate = (name: string) => ring.generateKey({ name, nowMs: NOW_MS }).key;

function trust(key: string, fields: Partial<TrustRequest> = {}) {
  const base = {
    publicPem: null,
    role: 'publisher',
    scope: '*',
    predicateTypes: [],
    expiresMs: null,
    nowMs: NOW_MS,
  } as const;
  return ring.trustKey({ key, ...base, ...fields });
}

function editFile(change: (file: { keys: Record<string, unknown>[] }) => void): void {
  const path = join(dir, 'keyring.json');
  const file = JSON.parse(readFileSync(path, 'utf8')) as { keys: Record<string, unknown>[] };
  change(file);
  writeFileSync(path, JSON.stringify(file));
}

it('makes a key whose private part only its owner can read, and signs with it', () => {
  const key = generate('alice');
  expect(statSync(join(dir, `${key.id}.key`)).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(dir, `${key.id}.pub`), 'utf8')).toContain('BEGIN PUBLIC KEY');
  expect(readdirSync(dir).toSorted()).toEqual([`${key.id}.key`, `${key.id}.pub`, 'keyring.json'].toSorted());
  expect(ring.openSigner('alice').keyId).toBe(key.id);
  expect([ring.hasPrivate(key.id), ring.hasPrivate('00')]).toEqual([true, false]);
  expect(key).toMatchObject({ name: 'alice', owner: 'alice', createdMs: NOW_MS, revoked: null });
});

it('finds a key by its name, its id and the beginning of its id', () => {
  const key = generate('alice');
  for (const text of ['alice', key.id, shortKeyId(key.id), key.id.slice(0, 8)])
    expect(ring.findKey(text).id).toBe(key.id);
  for (const text of ['bob', key.id.slice(0, 7), '', '0'.repeat(64), 'ALICE']) {
    expect(() => ring.findKey(text)).toThrow(withCode('PROVENANCE_KEY_UNKNOWN'));
  }
});

it('says how to make a key when there is none', () => {
  expect(() => ring.findKey('alice')).toThrow(
    expect.objectContaining({ hint: 'Make one with provost key generate NAME.', exit: 2 }),
  );
});

it('refuses a second key of one name, and names that a path or a shell could mistake', () => {
  generate('alice');
  expect(() => generate('alice')).toThrow(withCode('PROVENANCE_KEY_EXISTS'));
  for (const name of ['', '../x', 'a b', '-rf', 'x'.repeat(64)])
    expect(() => generate(name)).toThrow(withCode('PROVENANCE_KEY_FORM'));
});

it('gives each change as a leaf that names its document', () => {
  const events = [
    ring.generateKey({ name: 'alice', nowMs: NOW_MS }),
    trust('alice', { expiresMs: NOW_MS + 1000 }),
    ring.rotateKey({ key: 'alice', nowMs: NOW_MS }),
    ring.revokeKey({ key: 'alice', reason: 'laptop stolen', nowMs: NOW_MS }),
  ];
  const leaves = events.map(({ leaf }) => parseLeaf(leaf));
  expect(leaves.map(({ kind }) => kind)).toEqual(['key', 'key', 'key', 'revoke']);
  for (const [at, { document, key }] of events.entries()) {
    expect(leaves[at]).toMatchObject({
      document: { digest: digestOf(document), bytes: document.length },
      keys: [key.id],
      issuer: 'home:3f9a01',
    });
  }
  const said = events.map(({ document }) => (JSON.parse(document.toString()) as { event: string }).event);
  expect(said).toEqual(['generated', 'trusted', 'rotated', 'revoked']);
});

it('keeps one trust record for a role and scope, the newest', () => {
  const { id } = generate('alice');
  trust('alice', { scope: 'shop/*' });
  trust('alice', { scope: 'bank/*' });
  trust(id, { scope: 'shop/*', predicateTypes: ['https://example.com/x'] });
  expect(ring.state().trust.map(({ scope, predicateTypes }) => [scope, predicateTypes])).toEqual([
    ['bank/*', []],
    ['shop/*', ['https://example.com/x']],
  ]);
});

it('imports a public key under a name, once', () => {
  const pem = makeKeyPair().publicKey.object.export({ type: 'spki', format: 'pem' }).toString();
  const first = trust('bob', { publicPem: pem, role: 'builder' });
  const again = trust('robert', { publicPem: pem, role: 'publisher' });
  expect([first.key.name, again.key.name, ring.state().keys.length]).toEqual(['bob', 'bob', 1]);
  expect(ring.hasPrivate(first.key.id)).toBe(false);
  expect(() => ring.openSigner('bob')).toThrow(withCode('PROVENANCE_KEY_PRIVATE'));
  expect(() =>
    trust('bad name', { publicPem: makeKeyPair().publicKey.object.export({ type: 'spki', format: 'pem' }).toString() }),
  ).toThrow(withCode('PROVENANCE_KEY_FORM'));
  expect(() => trust('carol', { publicPem: 'rubbish' })).toThrow(withCode('PROVENANCE_KEY_FORM'));
});

it('refuses trust without a scope or of a role that does not exist', () => {
  generate('alice');
  expect(() => trust('alice', { scope: '' })).toThrow(withCode('PROVENANCE_TRUST'));
  expect(() => trust('alice', { role: 'king' as never })).toThrow(withCode('PROVENANCE_TRUST'));
  expect(() => trust('nobody')).toThrow(withCode('PROVENANCE_KEY_UNKNOWN'));
  expect(ring.state().trust).toEqual([]);
});

it('rotates: the new key has name, owner and trust, the old one signs no more but stays known', () => {
  const old = generate('alice');
  trust('alice', { scope: 'shop/*' });
  const { key } = ring.rotateKey({ key: 'alice', nowMs: NOW_MS + 5 });
  expect(key).toMatchObject({ name: 'alice', owner: 'alice', previous: { id: old.id } });
  expect(ring.openSigner('alice').keyId).toBe(key.id);
  expect(() => ring.openSigner(old.id)).toThrow(withCode('PROVENANCE_KEY_RETIRED'));
  expect(() => trust(old.id)).toThrow(withCode('PROVENANCE_KEY_RETIRED'));
  expect(ring.state().trust.map(({ keyId, scope }) => [keyId, scope])).toEqual([
    [old.id, 'shop/*'],
    [key.id, 'shop/*'],
  ]);
  expect(ring.rotateKey({ key: 'alice', nowMs: NOW_MS + 6 }).key.previous?.id).toBe(key.id);
});

it('revokes with a reason, once, and then neither signs, trusts nor rotates', () => {
  generate('alice');
  expect(() => ring.revokeKey({ key: 'alice', reason: '  ', nowMs: NOW_MS })).toThrow(withCode('PROVENANCE_TRUST'));
  const { key } = ring.revokeKey({ key: 'alice', reason: 'laptop stolen', nowMs: NOW_MS });
  expect(key.revoked).toEqual({ reason: 'laptop stolen', atMs: NOW_MS, logIndex: 1, lastValidIndex: null });
  const retired = expect.objectContaining({
    code: 'PROVENANCE_KEY_RETIRED',
    exit: 3,
    message: expect.stringContaining('laptop stolen') as unknown,
  });
  expect(() => ring.openSigner('alice')).toThrow(retired);
  expect(() => trust('alice')).toThrow(retired);
  expect(() => ring.rotateKey({ key: 'alice', nowMs: NOW_MS })).toThrow(retired);
  expect(() => ring.revokeKey({ key: 'alice', reason: 'again', nowMs: NOW_MS })).toThrow(retired);
  expect(() => generate('alice')).toThrow(withCode('PROVENANCE_KEY_EXISTS'));
});

it('does not sign with a private part that others may read, or that is another key', () => {
  const key = generate('alice');
  const path = join(dir, `${key.id}.key`);
  chmodSync(path, 0o640);
  expect(() => ring.openSigner('alice')).toThrow(withCode('PROVENANCE_KEY_PRIVATE'));
  chmodSync(path, 0o600);
  writeFileSync(path, makeKeyPair().privatePem);
  expect(() => ring.openSigner('alice')).toThrow(withCode('PROVENANCE_KEY_PRIVATE'));
});

it.each<[string, (file: { keys: Record<string, unknown>[] }) => void]>([
  ['a key under another id', ({ keys }) => void Object.assign(keys[0] ?? {}, { id: '0'.repeat(64) })],
  ['a key twice', ({ keys }) => void keys.push(keys[0] ?? {})],
  ['a rotation whose old key is gone', ({ keys }) => void keys.shift()],
  ['a rotation to another owner', ({ keys }) => void Object.assign(keys[1] ?? {}, { owner: 'mallory' })],
  [
    'a rotation that nobody signed',
    ({ keys }) => void Object.assign(keys[1] ?? {}, { previous: { id: keys[0]?.['id'], envelope: '{}' } }),
  ],
  ['a field that is not known', ({ keys }) => void Object.assign(keys[0] ?? {}, { admin: true })],
])('refuses a keyring with %s', (_, change) => {
  generate('alice');
  ring.rotateKey({ key: 'alice', nowMs: NOW_MS });
  expect(ring.state().keys).toHaveLength(2);
  editFile(change);
  expect(() => ring.state()).toThrow(withCode('PROVENANCE_KEYRING'));
  expect(() => generate('bob')).toThrow(ProvenanceError);
});

it('refuses a rotation that was signed for another key', () => {
  generate('alice');
  const first = ring.rotateKey({ key: 'alice', nowMs: NOW_MS }).key;
  editFile(({ keys }) => {
    const stranger = makeKeyPair().publicKey;
    keys.push({ ...keys[1], id: stranger.id, publicKey: stranger.spki.toString('base64'), previous: first.previous });
  });
  expect(() => ring.state()).toThrow(withCode('PROVENANCE_KEYRING'));
});

it('says when the file cannot be read, and leaves no half-written file when it cannot be replaced', () => {
  const path = join(dir, 'keyring.json');
  mkdirSync(path);
  expect(() => ring.state()).toThrow(withCode('PROVENANCE_KEYRING'));
  expect(() => saveKeyring(path, EMPTY_KEYRING)).toThrow('EISDIR');
  expect(readdirSync(dir)).toEqual(['keyring.json']);
});

it('revokes from an index on, and later from an earlier one, never the other way round', () => {
  generate('alice');
  generate('bob');
  const revoke = (lastValidIndex: number | null) =>
    ring.revokeKey({ key: 'alice', reason: 'stolen', lastValidIndex, nowMs: NOW_MS }).key.revoked;
  for (const index of [2, -1, 0.5, Number.NaN]) expect(() => revoke(index)).toThrow(withCode('PROVENANCE_TRUST'));
  expect(revoke(1)).toMatchObject({ lastValidIndex: 1, logIndex: 2 });
  for (const index of [1, 2]) expect(() => revoke(index)).toThrow(withCode('PROVENANCE_KEY_RETIRED'));
  expect(revoke(0)).toMatchObject({ lastValidIndex: 0, logIndex: 3 });
  expect(revoke(null)).toMatchObject({ lastValidIndex: null, logIndex: 4 });
  expect(() => revoke(null)).toThrow(withCode('PROVENANCE_KEY_RETIRED'));
});

it('commits nothing that does not follow from what is known', () => {
  const raw = openKeyring(dir, 'home:3f9a01');
  const event = raw.generateKey({ name: 'alice', nowMs: NOW_MS });
  raw.commit(event, 0);
  expect(() => raw.commit(event, 1)).toThrow(withCode('PROVENANCE_KEY_EVENT'));
  const revocation = raw.revokeKey({ key: 'alice', reason: 'x', lastValidIndex: 5, logSize: 6, nowMs: NOW_MS });
  expect(() => raw.commit(revocation, 5)).toThrow(withCode('PROVENANCE_KEY_EVENT'));
  expect(raw.commit(revocation, 6).revoked).not.toBeNull();
});
