import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { type LoggedKeyring, MemoryLog, openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { canonicalJson } from '../base/index.ts';
import { makeKeyPair } from './ed25519.ts';
import { type KeyEvent, type Keyring, type KeyringState, makeLeaf, openKeyring, type TrustRequest } from './index.ts';
import { EMPTY_KEYRING, loadKeyring } from './key-records.ts';
import { recomputeKeyring } from './key-log.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const ISSUER = 'home:3f9a01';
const withCode = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as unknown });
let dir: string;
let log: MemoryLog;
let ring: LoggedKeyring;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-key-log-'));
  log = new MemoryLog();
  ring = openLoggedKeyring(dir, ISSUER, log);
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const file = (): string => join(dir, 'keyring.json');
const trusting = (key: string, fields: Partial<TrustRequest> = {}): TrustRequest => ({
  key,
  publicPem: null,
  role: 'publisher',
  scope: '*',
  predicateTypes: [],
  sinceIndex: null,
  expiresMs: null,
  nowMs: NOW_MS,
  ...fields,
});
const publicPem = (): string => makeKeyPair().publicKey.object.export({ type: 'spki', format: 'pem' }).toString();
/** What counts, as text. */
const said = ({ keys, trust }: KeyringState): string =>
  canonicalJson({ keys: keys.map((key) => ({ ...key, public: undefined })), trust });

function fill(entries: number): void {
  const document = Buffer.from('{}');
  const leaf = makeLeaf({
    ...{ kind: 'decision', document, type: 'text/plain', subjects: [], keys: [], parents: [], issuer: ISSUER },
  });
  for (let n = 0; n < entries; n += 1) log.append({ leaf, document });
}

/** Opens the keyring as a supervisor does at its start, and logs what only the file had. */
async function restart(): Promise<Keyring> {
  const opened = openKeyring(dir, ISSUER);
  for (const event of await opened.reconcile(log, NOW_MS)) opened.commit(event, log.append(event));
  return opened;
}

interface EditableFile {
  keys: Record<string, unknown>[];
  trust: Record<string, unknown>[];
  events: number[];
  logSize: number;
}

function editFile(change: (edited: EditableFile) => void): void {
  const edited = JSON.parse(readFileSync(file(), 'utf8')) as EditableFile;
  change(edited);
  writeFileSync(file(), JSON.stringify(edited));
}

/** A change of each kind, in a keyring of alice, who is trusted, and bob. */
const changes: Readonly<Record<string, (on: Keyring) => KeyEvent>> = {
  generate: (on) => on.generateKey({ name: 'carol', nowMs: NOW_MS }),
  trust: (on) => on.trustKey(trusting('bob', { scope: 'shop/*', predicateTypes: ['x:1'], sinceIndex: 1 })),
  'trust again': (on) => on.trustKey(trusting('alice', { predicateTypes: ['x:1'], expiresMs: NOW_MS + 1000 })),
  import: (on) => on.trustKey(trusting('dave', { publicPem: publicPem(), role: 'builder' })),
  rotate: (on) => on.rotateKey({ key: 'alice', nowMs: NOW_MS }),
  revoke: (on) => on.revokeKey({ key: 'alice', reason: 'lost', lastValidIndex: null, logSize: 9, nowMs: NOW_MS }),
  'revoke from an index on': (on) =>
    on.revokeKey({ key: 'alice', reason: 'lost', lastValidIndex: 1, logSize: 9, nowMs: NOW_MS }),
};

function begin(): void {
  ring.generateKey({ name: 'alice', nowMs: NOW_MS });
  fill(3);
  ring.trustKey(trusting('alice'));
  ring.generateKey({ name: 'bob', nowMs: NOW_MS });
  fill(3);
}

it.each(Object.entries(changes))(
  'makes good a crash after the log took a leaf, before the file: %s',
  async (_, change) => {
    begin();
    const event = change(openKeyring(dir, ISSUER));
    const before = said(ring.state());
    const index = log.append(event);
    // The crash: nothing is committed.
    expect(said(openKeyring(dir, ISSUER).state())).toBe(before);
    const again = await restart();
    const file1 = loadKeyring(file());
    expect(said(again.state())).not.toBe(before);
    expect(said(file1)).toBe(said(again.state()));
    expect(file1).toMatchObject({ logSize: log.size });
    expect(file1.events.at(-1)).toBe(index);
  },
);

it.each(Object.entries(changes))(
  'changes nothing when a crash comes before the log took a leaf: %s',
  async (_, change) => {
    begin();
    const before = said(ring.state());
    change(openKeyring(dir, ISSUER));
    expect(said((await restart()).state())).toBe(before);
  },
);

it('makes the file again from the log when it is gone, or older than the log', async () => {
  begin();
  const old = readFileSync(file());
  for (const name of ['trust', 'rotate', 'import']) {
    const event = changes[name]?.(openKeyring(dir, ISSUER));
    if (event !== undefined) openKeyring(dir, ISSUER).commit(event, log.append(event));
  }
  ring.revokeKey({ key: 'bob', reason: 'lost', nowMs: NOW_MS });
  const now = said(ring.state());
  writeFileSync(file(), old);
  expect(said((await restart()).state())).toBe(now);
  rmSync(file());
  expect(said((await restart()).state())).toBe(now);
  expect(said(loadKeyring(file()))).toBe(now);
});

it('law: the log says what the keyring says, whatever was done to it', async () => {
  const step = fc.record({
    do: fc.constantFrom('generate', 'trust', 'import', 'rotate', 'revoke'),
    name: fc.constantFrom('a', 'b', 'c'),
    scope: fc.constantFrom('*', 'shop/*'),
    last: fc.option(fc.nat(20)),
  });
  const take = (
    on: LoggedKeyring,
    { do: kind, name, scope, last }: typeof step extends fc.Arbitrary<infer T> ? T : never,
  ) => {
    if (kind === 'generate') on.generateKey({ name, nowMs: NOW_MS });
    if (kind === 'trust') on.trustKey(trusting(name, { scope }));
    if (kind === 'import') on.trustKey(trusting(name, { scope, publicPem: publicPem() }));
    if (kind === 'rotate') on.rotateKey({ key: name, nowMs: NOW_MS });
    if (kind === 'revoke') on.revokeKey({ key: name, reason: 'lost', lastValidIndex: last, nowMs: NOW_MS });
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      rmSync(dir, { recursive: true, force: true });
      log = new MemoryLog();
      const on = openLoggedKeyring(dir, ISSUER, log);
      for (const each of steps) {
        try {
          take(on, each);
        } catch (error) {
          // Refused: nothing is logged, so nothing changes.
          expect(error).toMatchObject({ code: expect.stringMatching(/^PROVENANCE_/) as unknown });
        }
        fill(1);
      }
      const { before, now } = await recomputeKeyring(EMPTY_KEYRING, log, ISSUER);
      expect(said(before)).toBe(said(EMPTY_KEYRING));
      expect(said(now)).toBe(said(on.state()));
      expect(said((await recomputeKeyring(loadKeyring(file()), log, ISSUER)).now)).toBe(said(now));
    }),
    { numRuns: 60 },
  );
});

it.each<[string, string, (edited: EditableFile) => void]>([
  [
    'trust that was never given',
    "key 'bob' as publisher",
    ({ trust, keys }) => void trust.push({ ...trust[0], keyId: keys[1]?.['id'] }),
  ],
  ['a wider scope', "for '**'", ({ trust }) => void Object.assign(trust[0] ?? {}, { scope: '**' })],
  ['another role', 'as operator', ({ trust }) => void Object.assign(trust[0] ?? {}, { role: 'operator' })],
  [
    'another predicate type',
    'as publisher',
    ({ trust }) => void Object.assign(trust[0] ?? {}, { predicateTypes: ['x:2'] }),
  ],
  ['trust that begins earlier', 'as publisher', ({ trust }) => void Object.assign(trust[0] ?? {}, { sinceMs: 0 })],
  ['another owner', "a key 'alice'", ({ keys }) => void Object.assign(keys[0] ?? {}, { owner: 'bob' })],
  ['a log that goes further', 'of a log that has', (edited) => void (edited.logSize = 99)],
])('refuses a file with %s, and says so', async (_, message, change) => {
  begin();
  editFile(change);
  await expect(restart()).rejects.toThrow(withCode('PROVENANCE_KEYRING', message));
  await expect(restart()).rejects.toMatchObject({
    exit: 4,
    hint: expect.stringContaining('Move that file away') as unknown,
  });
  rmSync(file());
  expect((await restart()).state().trust).toHaveLength(1);
});

it('refuses a file with a key that the log does not have', async () => {
  begin();
  const stranger = makeKeyPair().publicKey;
  const fields = { id: stranger.id, name: 'eve', owner: 'eve', publicKey: stranger.spki.toString('base64') };
  editFile(({ keys }) => void keys.push({ ...keys[0], ...fields }));
  await expect(restart()).rejects.toThrow(withCode('PROVENANCE_KEYRING', "a key 'eve' that the log does not have"));
});

it('keeps a revocation that the file was made to forget, its event with it', async () => {
  begin();
  ring.revokeKey({ key: 'alice', reason: 'lost', nowMs: NOW_MS });
  ring.generateKey({ name: 'carol', nowMs: NOW_MS });
  const [revocation] = loadKeyring(file()).events.slice(-2);
  editFile(({ keys }) => void Object.assign(keys[0] ?? {}, { revoked: null }));
  expect((await restart()).findKey('alice').revoked).toMatchObject({ reason: 'lost', logIndex: revocation });
  editFile((edited) => {
    Object.assign(edited.keys[0] ?? {}, { revoked: null });
    edited.events = edited.events.filter((index) => index !== revocation);
  });
  expect((await restart()).findKey('alice').revoked).toMatchObject({ reason: 'lost', logIndex: revocation });
});

it('keeps a revocation that only the file has, and gives it to the log', async () => {
  begin();
  const revoked = { reason: 'lost', atMs: NOW_MS, logIndex: null, lastValidIndex: 2 };
  editFile(({ keys }) => void Object.assign(keys[0] ?? {}, { revoked }));
  const opened = openKeyring(dir, ISSUER);
  const events = await opened.reconcile(log, NOW_MS);
  // It holds before the log has it.
  expect(opened.findKey('alice').revoked).toEqual(revoked);
  expect(events.map(({ event }) => event)).toEqual([
    expect.objectContaining({ event: 'revoked', reason: 'lost', lastValidIndex: 2 }),
  ]);
  // A crash here, and the next start logs it.
  const size = log.size;
  expect((await restart()).findKey('alice').revoked).toEqual({ ...revoked, logIndex: size });
  rmSync(file());
  expect((await restart()).findKey('alice').revoked).toEqual({ ...revoked, logIndex: size });
  expect(log.size).toBe(size + 1);
});

it('revokes wholly where the document of a revocation is lost, and trusts nobody whose trust is lost', async () => {
  begin();
  const { document } = ring.revokeKey({ key: 'alice', reason: 'lost', lastValidIndex: 2, nowMs: NOW_MS });
  for (const [digest, bytes] of log.documents) if (bytes === document) log.documents.delete(digest);
  expect((await restart()).findKey('alice').revoked).toMatchObject({ lastValidIndex: null });
  log.documents.clear();
  await expect(restart()).rejects.toThrow(withCode('PROVENANCE_KEYRING', 'that the log does not have'));
  rmSync(file());
  expect((await restart()).state()).toMatchObject({ keys: [], trust: [] });
});

it('counts no leaf of another issuer, of another form, or that does not follow from those before it', async () => {
  begin();
  const before = said(ring.state());
  const revoke = changes['revoke']?.(openKeyring(dir, ISSUER));
  const generate = openKeyring(dir, ISSUER).generateKey({ name: 'alice2', nowMs: NOW_MS });
  if (revoke === undefined) throw new Error('no such change');
  const leafOf = (fields: object): Buffer =>
    Buffer.from(canonicalJson({ ...JSON.parse(revoke.leaf.toString()), ...fields }));
  log.append({ ...revoke, leaf: leafOf({ issuer: 'home:000000' }) });
  log.append({ ...revoke, leaf: Buffer.from('"kind":"revoke"') });
  log.append({ ...revoke, leaf: leafOf({ keys: ['0'.repeat(64)] }) });
  const again = { ...generate.event, key: { ...generate.event.key, name: 'alice' } };
  const document = Buffer.from(canonicalJson(again));
  const type = 'application/vnd.provost.key-event.v1+json';
  const keys = [generate.event.key.id];
  log.append({
    document,
    leaf: makeLeaf({ kind: 'key', document, type, subjects: [], keys, parents: [], issuer: ISSUER }),
  });
  expect(said((await restart()).state())).toBe(before);
  log.append(generate);
  expect((await restart()).state().keys.map(({ name }) => name)).toEqual(['alice', 'bob', 'alice2']);
});

it('reads of a long log only what is new, and its own events', async () => {
  begin();
  fill(20_000);
  await restart();
  log.readCount = 0;
  fill(10);
  expect((await restart()).state().trust).toHaveLength(1);
  expect(log.readCount).toBe(3 + 10);
});

it('holds what the log says while it is open: the file is written, and never read again', async () => {
  begin();
  const opened = await restart();
  editFile(({ trust }) => void Object.assign(trust[0] ?? {}, { scope: '**' }));
  expect(opened.state().trust[0]?.scope).toBe('*');
  const event = opened.generateKey({ name: 'carol', nowMs: NOW_MS });
  opened.commit(event, log.append(event));
  expect(said(loadKeyring(file()))).toBe(said(opened.state()));
});

it('counts in memory what the log has, also where the file cannot be written', async () => {
  begin();
  const opened = await restart();
  const event = opened.revokeKey({ key: 'alice', reason: 'lost', lastValidIndex: null, logSize: 9, nowMs: NOW_MS });
  rmSync(dir, { recursive: true });
  writeFileSync(dir, 'no folder');
  expect(() => opened.commit(event, log.append(event))).toThrow('EEXIST');
  expect(opened.findKey('alice').revoked).not.toBeNull();
});
