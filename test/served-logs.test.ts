// What served logs take and refuse over HTTP, by their formats: envelopes by the trusted keys of a home, records of Go modules.
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '../src/artifact/index.ts';
import { type LogFormat, makePublicLog, serveLog, verifyLog } from '../src/engine/index.ts';
import { openHostDisk, openJournal, openPublicLog, readDocument } from '../src/ledger/index.ts';
import { attest, makeLeaf, RELEASE_TYPE } from '../src/provenance/index.ts';
import { servedLogServer } from '../src/server/index.ts';
import { type LoggedKeyring, openLoggedKeyring } from './keyring-fixture.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-serve-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const logDir = (): string => join(dir, 'log');
const nowMs = Date.now();

/** Serves the log while `act` runs. */
async function withServer(act: (url: string) => Promise<void>): Promise<void> {
  const served = await serveLog({ dir: logDir(), witnesses: [], quorum: 0, homeDir: join(dir, 'home') });
  await using _log = served.log;
  const server = servedLogServer(served, logDir());
  try {
    await act(await server.listen({ host: '127.0.0.1', port: 0 }));
  } finally {
    await server.close();
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string | null;
}

async function ask(url: string, init?: RequestInit): Promise<Answer> {
  const answer = await fetch(url, init);
  return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
}

const post = (url: string, body: Uint8Array | string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(`${url}/add`, { method: 'POST', body: Buffer.from(body), headers });
const codeOf = ({ status, text }: Answer): [number, string] => [
  status,
  (JSON.parse(text) as { error: { code: string } }).error.code,
];

describe('a log of envelopes', () => {
  let ring: LoggedKeyring;

  beforeEach(() => {
    makePublicLog(logDir(), 'example.com/log', 'provost');
    ring = openLoggedKeyring(join(dir, 'home/keys'), 'home:000000');
    for (const name of ['alice', 'mallory']) ring.generateKey({ name, nowMs });
    const trust = { publicPem: null, role: 'publisher', predicateTypes: [], expiresMs: null, nowMs } as const;
    ring.trustKey({ key: 'alice', scope: '*', ...trust });
  });

  const envelope = (name: string, key = 'alice', type: string = RELEASE_TYPE): Buffer =>
    attest({
      subjects: [{ name, digest: digestOf(name) }],
      predicateType: type,
      predicate: {},
      signer: ring.openSigner(key),
      issuer: 'home:000000',
    }).bytes;
  const isKept = (bytes: Buffer): boolean =>
    readDocument(openHostDisk(), logDir(), createHash('sha256').update(bytes).digest()).equals(bytes);

  it('answers the index of a verified one once it is durable, the first for one that comes again', async () => {
    const [a, b] = [envelope('a'), envelope('b')];
    const many = Array.from({ length: 200 }, (_, n) => envelope(`many ${n}`));
    await withServer(async (url) => {
      const answers = [await post(url, a), ...(await Promise.all([b, a, b].map((bytes) => post(url, bytes))))];
      expect(answers).toEqual(
        ['0', '1', '0', '1'].map((text) => ({ status: 200, text, type: 'text/plain; charset=utf-8' })),
      );
      const inJson = await post(url, ` ${a.toString()}`, {
        accept: 'application/json',
        'content-type': 'application/json',
      });
      expect([inJson.status, JSON.parse(inJson.text)]).toEqual([
        200,
        { logIndex: 0, envelopeDigest: digestOf(a), predicateType: RELEASE_TYPE },
      ]);
      const indexes = (await Promise.all(many.map((bytes) => post(url, bytes)))).map(({ text }) => Number(text));
      expect(indexes.toSorted((one, other) => one - other)).toEqual(many.map((_, n) => n + 2));
    });
    // It is durable: another process finds it.
    await withServer(async (url) => expect((await post(url, b)).text).toBe('1'));
    expect([a, b, ...many].filter(isKept)).toHaveLength(202);
    const trust = { key: null, witnesses: [], quorum: 0 };
    expect(await verifyLog(logDir(), { trust, format: null }, () => undefined)).toMatchObject({ size: 202 });
  });

  it('refuses what is not verified, with nothing stored', async () => {
    const [good, revoked] = [envelope('a'), envelope('c', 'mallory')];
    await withServer(async (url) => {
      expect(codeOf(await post(url, envelope('a', 'mallory')))).toEqual([403, 'PROVENANCE_UNTRUSTED']);
      expect(codeOf(await post(url, envelope('a', 'alice', 'https://example.com/other')))).toEqual([
        403,
        'PROVENANCE_UNTRUSTED',
      ]);
      ring.revokeKey({ key: 'mallory', reason: 'stolen', nowMs });
      expect(codeOf(await post(url, revoked))).toEqual([403, 'PROVENANCE_UNTRUSTED']);
      const text = good.toString();
      const forged = text.replace(/"sig":"./, (sig) => `${sig.slice(0, -1)}${sig.endsWith('A') ? 'B' : 'A'}`);
      expect(codeOf(await post(url, forged))).toEqual([422, 'PROVENANCE_SIGNATURE']);
      expect(codeOf(await post(url, text.replace('in-toto', 'other')))).toEqual([422, 'PROVENANCE_STATEMENT']);
      for (const none of ['', '{}', 'x', '['.repeat(1000)]) expect((await post(url, none)).status, none).toBe(422);
      expect(codeOf(await post(url, Buffer.alloc(9 * 1024 * 1024)))).toEqual([400, 'SERVER_REQUEST']);
      expect(codeOf(await ask(`${url}/add`))).toEqual([400, 'SERVER_NO_ROUTE']);
      expect(existsSync(join(logDir(), 'documents'))).toBe(false);
      expect((await post(url, good)).text).toBe('0');
      // Whom the home trusts is asked each time.
      ring.revokeKey({ key: 'alice', reason: 'lost', nowMs });
      expect(codeOf(await post(url, ` ${text}`))).toEqual([403, 'PROVENANCE_UNTRUSTED']);
    });
    expect(isKept(good)).toBe(true);
  });

  it('takes a bounded amount at a time, and goes on when it was done or given up', async () => {
    await withServer(async (url) => {
      // One whose size is not said may be as large as any: it is let go all the same.
      for (let times = 0; times < 6; times += 1) {
        const body = new Blob([new Uint8Array(envelope('a'))]).stream();
        expect(await ask(`${url}/add`, { method: 'POST', body, duplex: 'half' })).toMatchObject({
          status: 200,
          text: '0',
        });
      }
      // Four that say how much will come, and do not send it.
      const open = Array.from({ length: 4 }, () => {
        const slow = request(`${url}/add`, { method: 'POST', headers: { 'content-length': String(8 * 1024 * 1024) } });
        slow.on('error', () => undefined);
        slow.write('{');
        return slow;
      });
      const status = async (): Promise<number> => (await post(url, envelope('a'))).status;
      await expect.poll(status).toBe(503);
      expect(codeOf(await post(url, envelope('a')))).toEqual([503, 'SERVER_OVERLOADED']);
      open[0]?.destroy();
      await expect.poll(status).toBe(200);
      for (const slow of open) slow.destroy();
    });
  });
});

describe('the check of a whole log', () => {
  const trust = { key: null, witnesses: [], quorum: 0 };
  const hash = `h1:${Buffer.alloc(32).toString('base64')}`;
  const record = `example.com/m v1.0.0 ${hash}\nexample.com/m v1.0.0/go.mod ${hash}\n`;
  const leaf = makeLeaf({
    kind: 'package',
    document: Buffer.from('document'),
    type: 'text/plain',
    ...{ subjects: [], keys: [], parents: [], issuer: 'log:example.com/log' },
  });

  it.each([
    ['provost', leaf.toString(), record, 'leaf'],
    ['gosum', record, leaf.toString(), 'record of a Go module'],
  ] as const)('finds the entry that is not of its format, %s', async (format, good, bad, what) => {
    // A writer that does not check: the tree is whole all the same.
    makePublicLog(logDir(), 'example.com/log', 'raw');
    {
      await using log = await openPublicLog({ dir: logDir(), witnesses: [], quorum: 0 });
      await log.add(Buffer.from(good));
      await log.receipt(0);
    }
    const check = (as: LogFormat | null): Promise<unknown> =>
      verifyLog(logDir(), { trust, format: as }, () => undefined);
    await expect(check(format)).resolves.toMatchObject({ size: 1 });
    {
      await using log = await openPublicLog({ dir: logDir(), witnesses: [], quorum: 0 });
      await log.receipt(await log.add(Buffer.from(bad)));
    }
    await expect(check(null)).resolves.toMatchObject({ size: 2 });
    const found = { code: 'ENGINE_LOG_ENTRY', exit: 4, message: expect.stringMatching(`^entry 1 .* is no ${what}`) };
    await expect(check(format)).rejects.toMatchObject(found);
    writeFileSync(join(logDir(), 'format'), `${format}\n`);
    await expect(check(null)).rejects.toMatchObject(found);
  });
});

describe('the log of a home', () => {
  it('is served by its supervisor alone, which keeps what it takes', async () => {
    await (await openJournal(logDir(), 'provost/home/3f9a01'))[Symbol.asyncDispose]();
    const serving = serveLog({ dir: logDir(), witnesses: [], quorum: 0, homeDir: dir });
    await expect(serving).rejects.toMatchObject({ code: 'ENGINE_LOG', exit: 2 });
  });
});

describe('a checksum database', () => {
  const hash = (fill: string): string => `h1:${Buffer.alloc(32, fill).toString('base64')}`;
  const record = (fill: string): string =>
    `example.com/Mod v1.0.0 ${hash(fill)}\nexample.com/Mod v1.0.0/go.mod ${hash('m')}\n`;

  it("answers Go's client in its paths and in plain text, and other clients as a log", async () => {
    makePublicLog(logDir(), 'sum.example.com', 'gosum');
    await withServer(async (url) => {
      expect(await post(url, record('a'))).toEqual({ status: 200, text: '0', type: 'text/plain; charset=utf-8' });
      expect(codeOf(await post(url, record('b')))).toEqual([409, 'LEDGER_RECORD_CONFLICT']);
      expect(codeOf(await post(url, 'a'))).toEqual([400, 'LEDGER_RECORD']);
      expect(codeOf(await post(url, 'a'.repeat(70_000)))).toEqual([400, 'SERVER_REQUEST']);
      const found = await ask(`${url}/lookup/example.com/!mod@v1.0.0`);
      expect([found.status, found.text.startsWith(`0\n${record('a')}\ngo.sum database tree\n1\n`)]).toEqual([
        200,
        true,
      ]);
      expect(found.text.endsWith((await ask(`${url}/latest`)).text)).toBe(true);
      const missing = await ask(`${url}/lookup/example.com/!mod@v1.0.1`);
      expect(missing).toEqual({
        status: 404,
        text: 'there is no record of example.com/Mod@v1.0.1 (LEDGER_NO_RECORD)\n',
        type: 'text/plain; charset=utf-8',
      });
      for (const path of ['lookup/', 'lookup/x', 'lookup/example.com/Mod@v1.0.0', 'lookup/..%2fkey@v1.0.0'])
        expect((await ask(`${url}/${path}`)).status, path).toBe(400);
      expect((await ask(`${url}/tile/8/data/000.p/1`)).text).toBe(`${record('a')}\n`);
      expect((await ask(`${url}/tile/8/0/000.p/1`)).text).toBe((await ask(`${url}/tile/0/000.p/1`)).text);
      for (const path of ['tile/8/data/001', 'tile/8/9/000', 'tile/8/..%2f..%2f..%2fkey', 'tile/8/0/000.p/2'])
        expect((await ask(`${url}/${path}`)).status, path).toBe(404);
      expect((await ask(`${url}/checkpoint`)).text).toContain('sum.example.com\n1\n');
    });
  });
});
