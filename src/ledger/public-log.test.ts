import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { checkpointText, verifyCheckpoint } from './checkpoint.ts';
import { openDuplicateIndex } from './duplicate-index.ts';
import { encodeBundle } from './entry-bundle.ts';
import { openHostDisk } from './log-disk.ts';
import { logFiles } from './log-files.ts';
import { type LogSource, openLogSource } from './log-source.ts';
import { updateMirror } from './mirror.ts';
import { makeSignerKey, parseSignerKey, parseVerifierKey } from './note-key.ts';
import { makePublicLog, openPublicLog, type PublicLog, publicKeyOf } from './public-log.ts';
import { readServedFile } from './served-file.ts';
import { signNote } from './signed-note.ts';
import { tilePath } from './tile-name.ts';
import { TreeEdge } from './tree-edge.ts';
import { hashLeaf } from './tree-hash.ts';
import { verifyReceipt } from './receipt.ts';

let dir: string;
const disk = openHostDisk();
const ORIGIN = 'public.example/log';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-public-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const at = (name: string): string => join(dir, name);
const open = (name: string): Promise<PublicLog> => openPublicLog({ dir: at(name), witnesses: [], quorum: 0 });
const policyOf = (name: string) => ({ log: [parseVerifierKey(publicKeyOf(at(name)) ?? '')], witnesses: [], quorum: 0 });

describe('a log for others', () => {
  it('takes any bytes, each entry once, now and after it was opened again', async () => {
    const key = makePublicLog(at('log'), ORIGIN);
    expect(key).toBe(publicKeyOf(at('log')));
    const entries = ['a', '\0\n', 'a', 'x'.repeat(65_535), 'b', 'a'].map((text) => Buffer.from(text));
    {
      await using log = await open('log');
      expect(await Promise.all(entries.map((entry) => log.add(entry)))).toEqual([0, 1, 0, 2, 3, 0]);
      expect([log.origin, log.size, await log.add(Buffer.from('b'))]).toEqual([ORIGIN, 4, 3]);
    }
    await using log = await open('log');
    expect(await Promise.all(['b', 'a', 'c'].map((text) => log.add(Buffer.from(text))))).toEqual([3, 0, 4]);
    expect(verifyReceipt(await log.receipt(4), hashLeaf(Buffer.from('c')), policyOf('log'))).toMatchObject({
      index: 4,
    });
  });

  it.each([0, 65_536])('refuses an entry of %d bytes', async (bytes) => {
    makePublicLog(at('log'), ORIGIN);
    await using log = await open('log');
    await expect(log.add(Buffer.alloc(bytes))).rejects.toMatchObject({ exit: 2 });
    // The refused one does not stay on its way.
    await expect(log.add(Buffer.alloc(bytes))).rejects.toMatchObject({ exit: 2 });
  });

  it('takes only what is admitted, asks once for what is sent twice, and not for what is there', async () => {
    makePublicLog(at('log'), ORIGIN);
    const asked: string[] = [];
    const refusal = new Error('unsigned');
    const admit = async (entry: Buffer): Promise<void> => {
      asked.push(entry.toString());
      await new Promise((resolve) => setImmediate(resolve));
      if (entry.toString() === 'bad') throw refusal;
    };
    await using log = await openPublicLog({ dir: at('log'), witnesses: [], quorum: 0, admit });
    const reused = Buffer.from('one');
    const added = [log.add(reused), log.add(reused), log.add(Buffer.from('bad')), log.add(Buffer.from('two'))];
    reused.fill('x');
    const settled = await Promise.allSettled(added);
    expect(settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason))).toEqual([0, 0, refusal, 1]);
    const receipt = verifyReceipt(await log.receipt(0), hashLeaf(Buffer.from('one')), policyOf('log'));
    expect(receipt).toMatchObject({ index: 0 });
    expect(await log.add(Buffer.from('one'))).toBe(0);
    expect(asked).toEqual(['one', 'bad', 'two']);
    await expect(log.add(Buffer.alloc(65_536))).rejects.toMatchObject({ code: 'LEDGER_ENTRY_TOO_LARGE' });
    await expect(log.add(Buffer.from('bad'))).rejects.toBe(refusal);
    expect(asked).toEqual(['one', 'bad', 'two', 'bad']);
    expect(log.size).toBe(2);
  });

  it('is made once, and not opened where there is none', async () => {
    makePublicLog(at('log'), ORIGIN);
    expect(() => makePublicLog(at('log'), ORIGIN)).toThrow(expect.objectContaining({ code: 'LEDGER_EXISTS', exit: 2 }));
    expect(() => makePublicLog(at('other'), 'a b')).toThrow(expect.objectContaining({ code: 'LEDGER_KEY' }));
    await expect(open('none')).rejects.toMatchObject({ code: 'LEDGER_KEY', exit: 6 });
    expect(publicKeyOf(at('none'))).toBeNull();
  });

  it('finds its duplicates again when the index beside it is lost or behind', async () => {
    makePublicLog(at('log'), ORIGIN);
    {
      await using log = await open('log');
      await Promise.all(Array.from({ length: 2000 }, (_, n) => log.add(Buffer.from(`entry ${n}`))));
    }
    await rm(at('log/duplicates.sqlite'));
    await using log = await open('log');
    expect(await log.add(Buffer.from('entry 1999'))).toBe(1999);
    expect(log.size).toBe(2000);
  });

  it('serves its files by their paths, partial tiles also after they are full', async () => {
    makePublicLog(at('log'), ORIGIN);
    const edge = new TreeEdge();
    {
      await using log = await open('log');
      for (let n = 0; n < 300; n += 100)
        await Promise.all(Array.from({ length: 100 }, (_, m) => log.add(Buffer.from(`entry ${n + m}`))));
    }
    for (let n = 0; n < 7; n += 1) edge.add(Buffer.from(`entry ${n}`));
    for (const { name, bytes } of edge.partial())
      expect(readServedFile(at('log'), tilePath(name))).toMatchObject({ bytes, isImmutable: true });
    expect(readServedFile(at('log'), 'checkpoint')).toMatchObject({ isImmutable: false });
    for (const path of ['key', '../key', 'tile/0/000.p/0', 'tile/0/002', 'tile/3/000', ''])
      expect(readServedFile(at('log'), path), path).toBeNull();
    expect(readServedFile(at('none'), 'checkpoint')).toBeNull();
  });
});

describe('the index of duplicates', () => {
  it('takes the log out of service when it cannot be written, and is made up for later', async () => {
    makePublicLog(at('log'), ORIGIN);
    const limit = (bytes: string): unknown =>
      execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
    {
      await using log = await open('log');
      const { size } = statSync(at('log/duplicates.sqlite-wal'));
      limit(String(size));
      try {
        expect(await log.add(Buffer.from('a'))).toBe(0);
        const codeOfAdd = (): Promise<unknown> =>
          log.add(Buffer.from('a')).catch(({ code }: { code: unknown }) => code);
        await expect.poll(codeOfAdd, { timeout: 10_000 }).toBe('LEDGER_STOPPED');
      } finally {
        limit('unlimited');
      }
    }
    await using log = await open('log');
    expect(await log.add(Buffer.from('b'))).toBe(1);
    expect(await log.add(Buffer.from('a'))).toBe(0);
  });

  it('begins anew when the host went down while it was open', () => {
    {
      using index = openDuplicateIndex(at('index'));
      index.add(hashLeaf(Buffer.from('a')));
      expect([index.size, index.find(hashLeaf(Buffer.from('a'))), index.find(hashLeaf(Buffer.from('b')))]).toEqual([
        1,
        0,
        null,
      ]);
    }
    {
      using index = openDuplicateIndex(at('index'));
      expect(index.size).toBe(1);
    }
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    const database = new DatabaseSync(at('index'));
    database.exec("UPDATE fact SET value = 'another boot' WHERE name = 'boot'");
    database.close();
    using index = openDuplicateIndex(at('index'));
    expect([index.size, index.find(hashLeaf(Buffer.from('a')))]).toEqual([0, null]);
  });
});

describe('a mirror', () => {
  const mirror = (source: LogSource, policy = policyOf('log')): ReturnType<typeof updateMirror> =>
    updateMirror({ disk, files: logFiles(at('copy')), source, policy, progress: () => undefined });

  it('copies a log, follows it, and ends with the same files', async () => {
    makePublicLog(at('log'), ORIGIN);
    for (const size of [5, 300, 301]) {
      {
        await using log = await open('log');
        await Promise.all(Array.from({ length: size }, (_, n) => log.add(Buffer.from(`entry ${n}`))));
      }
      expect(await mirror(openLogSource(at('log')))).toMatchObject({ size });
      expect(await mirror(openLogSource(at('log')))).toMatchObject({ size });
    }
    for (const path of [
      'checkpoint',
      'tile/0/000',
      'tile/entries/000',
      'tile/0/001.p/45',
      'tile/entries/001.p/45',
      'tile/1/000.p/1',
    ])
      expect(readServedFile(at('copy'), path)?.bytes, path).toEqual(readServedFile(at('log'), path)?.bytes);
    expect(
      await updateMirror({
        disk,
        files: logFiles(at('second')),
        source: openLogSource(at('copy')),
        policy: policyOf('log'),
        progress: () => undefined,
      }),
    ).toMatchObject({ size: 301 });
  });

  /** A log in memory whose operator signs whatever it likes. */
  function forger(): {
    readonly policy: ReturnType<typeof policyOf>;
    readonly serve: (entries: readonly string[]) => LogSource;
  } {
    const signer = parseSignerKey(makeSignerKey(ORIGIN));
    const serve = (entries: readonly string[]): LogSource => {
      const edge = new TreeEdge();
      for (const entry of entries) edge.add(Buffer.from(entry));
      const root = edge.root();
      const tiles = new Map(edge.partial().map(({ name, bytes }) => [tilePath(name), bytes]));
      const note = signNote(checkpointText({ origin: ORIGIN, size: entries.length, root, extensions: [] }), [signer]);
      return {
        checkpoint: async () => note,
        tile: async (name) => tiles.get(tilePath(name)) ?? encodeBundle([]),
      };
    };
    return { policy: { log: [signer.verifier], witnesses: [], quorum: 0 }, serve };
  }

  it('keeps both checkpoints of a log that went back, or has two trees', async () => {
    const { policy, serve } = forger();
    await mirror(serve(['a', 'b', 'c']), policy);
    const before = disk.read(logFiles(at('copy')).checkpoint);
    for (const [entries, code] of [
      [['a', 'b'], 'LEDGER_ROLLBACK'],
      [[], 'LEDGER_ROLLBACK'],
      [['a', 'b', 'x'], 'LEDGER_FORK'],
      [['a', 'x', 'c', 'd'], 'LEDGER_FORK'],
    ] as const) {
      const source = serve(entries);
      const error = await mirror(source, policy).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code, exit: 4, details: { ours: before?.toString() } });
      const { theirs } = (error as { details: { theirs: string } }).details;
      // Evidence that anyone can check.
      for (const note of [before ?? Buffer.alloc(0), Buffer.from(theirs)])
        expect(verifyCheckpoint(note, policy).origin).toBe(ORIGIN);
      expect(disk.read(logFiles(at('copy')).checkpoint)).toEqual(before);
    }
    expect(await mirror(serve(['a', 'b', 'c', 'd']), policy)).toMatchObject({ size: 4 });
  });

  it('copies nothing that its checkpoint does not commit to', async () => {
    const { policy, serve } = forger();
    const honest = serve(['a', 'b']);
    const lying: LogSource = { ...honest, tile: async (name) => await serve(['a', 'x']).tile(name) };
    await expect(mirror(lying, policy)).rejects.toMatchObject({ code: 'LEDGER_TREE' });
    expect(disk.read(logFiles(at('copy')).checkpoint)).toBeNull();
  });

  it('says what it cannot read', async () => {
    const { policy } = forger();
    await expect(mirror(openLogSource(at('nothing')), policy)).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      exit: 6,
    });
    await expect(mirror(openLogSource('http://127.0.0.1:9/'), policy)).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
    });
  });
});
