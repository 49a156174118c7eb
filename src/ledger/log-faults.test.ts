// What a log does when its files, its disk or its witnesses are not as they must be.
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { auditLocalLog } from './audit.ts';
import { openJournal, openJournalReader } from './index.ts';
import { openHostDisk } from './log-disk.ts';
import { logFiles } from './log-files.ts';
import { openLogSource } from './log-source.ts';
import { makeSignerKey, parseCosignerKey, parseSignerKey, parseVerifierKey } from './note-key.ts';
import { checkpointText } from './checkpoint.ts';
import { readServedFile } from './served-file.ts';
import { signatureLine, signNote } from './signed-note.ts';
import { EMPTY_ROOT } from './tree-hash.ts';
import { WitnessClient } from './witness-client.ts';
import { encodeBatch } from './write-ahead.ts';

let dir: string;
const servers: Server[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-faults-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(dir, { recursive: true, force: true });
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function makeJournal(...entries: readonly string[]): Promise<void> {
  await using journal = await openJournal(dir, 'faults.example');
  for (const entry of entries) await journal.append(Buffer.from(entry), { flush: true });
}

const audit = () =>
  auditLocalLog(
    { disk: openHostDisk(), files: logFiles(dir), key: parseVerifierKey(readFileSync(join(dir, 'key.pub'), 'utf8')) },
    { progress: () => undefined },
  );

const addBatch = (first: number, name: string, bytes = encodeBatch({ first, entries: [Buffer.from('{}')] })): void => {
  mkdirSync(join(dir, 'batches'), { recursive: true });
  writeFileSync(join(dir, 'batches', name), bytes);
};

describe('files that do not fit together', () => {
  it('are no log: a gap before a batch', async () => {
    await makeJournal('{"a":1}');
    addBatch(5, '0000000000000005');
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    expect(() => openJournalReader(dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    await expect(audit()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });

  it('are no log: a torn batch before others', async () => {
    await makeJournal('{"a":1}');
    addBatch(1, '0000000000000001', encodeBatch({ first: 1, entries: [Buffer.from('{}')] }).subarray(0, 20));
    addBatch(1, '0000000000000002');
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });

  it('are no log: a damaged batch before others, in one file', async () => {
    await makeJournal('{"a":1}');
    const [bad, good] = [1, 2].map((first) => encodeBatch({ first, entries: [Buffer.from('{}')] }));
    bad![30] = (bad![30] ?? 0) ^ 1;
    addBatch(1, '0000000000000001', Buffer.concat([bad!, good!]));
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    expect(() => openJournalReader(dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });

  it('are no log: entries that are not those of its checkpoint', async () => {
    await makeJournal('{"a":1}');
    const signer = parseSignerKey(readFileSync(join(dir, 'key'), 'utf8'));
    const root = Buffer.alloc(32, 7);
    const forged = signNote(checkpointText({ origin: signer.name, size: 1, root, extensions: [] }), [signer]);
    writeFileSync(join(dir, 'served/checkpoint'), forged);
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });

  it('are no log: a state that is none, tiles that are gone', async () => {
    await makeJournal('{"a":1}');
    const state = readFileSync(join(dir, 'state'));
    writeFileSync(join(dir, 'state'), 'nothing');
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    writeFileSync(join(dir, 'state'), state);
    await rm(join(dir, 'served/tile'), { recursive: true });
    await expect(openJournal(dir, 'x')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    await rm(join(dir, 'served/checkpoint'));
    await expect(audit()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });

  it('go on after a batch that was cut short, which was never acknowledged', async () => {
    await makeJournal('{"a":1}');
    addBatch(1, '0000000000000001');
    truncateSync(join(dir, 'batches/0000000000000001'), 30);
    await using journal = await openJournal(dir, 'x');
    expect(await journal.append(Buffer.from('{"b":2}'), { flush: true })).toBe(1);
  });
});

it('is checked as it is served while its writer is at work', async () => {
  await using journal = await openJournal(dir, 'faults.example');
  await journal.append(Buffer.from('{"a":1}'), { flush: true });
  await journal.publish();
  // A batch that nobody acknowledged yet is none of an auditor's business.
  addBatch(9, '0000000000000009');
  expect(await audit()).toMatchObject({ size: 1 });
});

describe('a disk', () => {
  it('says what it cannot do', async () => {
    const disk = openHostDisk();
    writeFileSync(join(dir, 'file'), '');
    expect(() => disk.list(join(dir, 'file'))).toThrow('ENOTDIR');
    expect(() => disk.replace(join(dir, 'file/below'), Buffer.alloc(1))).toThrow('ENOTDIR');
    expect(() => disk.openAppend(join(dir, 'grow'), Number.MAX_SAFE_INTEGER)).toThrow('EFBIG');
    await expect(disk.sync([join(dir, 'none')], dir)).rejects.toThrow('ENOENT');
  });

  it('shows a reader who may not read what lies there', () => {
    mkdirSync(join(dir, 'served/tile/0/000'), { recursive: true });
    expect(() => readServedFile(dir, 'tile/0/000')).toThrow('EISDIR');
  });
});

describe('a log elsewhere', () => {
  it('is not believed about its size, and its errors are told', async () => {
    const url = await serve((request, reply) => {
      if (request.url === '/checkpoint') reply.end(Buffer.alloc(200_000, 'x'));
      else reply.writeHead(503).end();
    });
    const source = openLogSource(url);
    await expect(source.checkpoint()).rejects.toThrow('more than');
    await expect(source.tile({ level: 0, index: 0, width: 1 })).rejects.toThrow('answers 503');
  });

  it('may have a full tile where a partial one was asked for', async () => {
    const full = Buffer.alloc(8192, 1);
    const url = await serve((request, reply) =>
      reply.writeHead(request.url === '/log/tile/0/000' ? 200 : 404).end(full),
    );
    expect(await openLogSource(`${url}/log`).tile({ level: 0, index: 0, width: 9 })).toEqual(full);
    await expect(openLogSource(`${url}/log/`).checkpoint()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });

  it('may lie in any folder, and its files are no larger than such files are', async () => {
    writeFileSync(join(dir, 'checkpoint'), Buffer.alloc(70_000, 'x'));
    await expect(openLogSource(dir).checkpoint()).rejects.toThrow('larger than any such file');
    mkdirSync(join(dir, 'tile/0/000'), { recursive: true });
    await expect(openLogSource(dir).tile({ level: 0, index: 0, width: 256 })).rejects.toThrow('EISDIR');
    expect(readdirSync(dir)).toContain('checkpoint');
  });
});

describe('a witness that does not answer as it must', () => {
  const log = parseSignerKey(makeSignerKey('log.example'));
  const own = parseCosignerKey(makeSignerKey('w.example'), () => 1);
  const checkpoint = signNote(checkpointText({ origin: 'log.example', size: 0, root: EMPTY_ROOT, extensions: [] }), [
    log,
  ]);

  it.each([
    ['no signature', 200, 'text/plain', 'nothing\n'],
    ['the signature of another', 200, 'text/plain', signatureLine('other', 1, Buffer.alloc(72))],
    ['a signature of another text', 200, 'text/plain', signatureLine(own.name, own.id, own.sign('other\n'))],
    ['a refusal', 403, 'text/plain', 'no\n'],
    ['a size that cannot be', 409, 'text/x.tlog.size', '7\n'],
    ['a size that is no number', 409, 'text/x.tlog.size', 'x\n'],
    ['a size in another form', 409, 'text/plain', '0\n'],
  ] as const)('adds nothing: %s', async (_, status, type, body) => {
    const url = await serve((request, reply) => {
      request.resume();
      reply.writeHead(status, { 'content-type': type }).end(body);
    });
    const ended = new AbortController();
    const request = { witnesses: [{ url, key: own.verifier }], proof: async () => [], signal: ended.signal };
    expect(await new WitnessClient().cosign(checkpoint, { ...request, quorum: 0 })).toEqual(checkpoint);
    const asked = new WitnessClient().cosign(checkpoint, { ...request, quorum: 1 });
    setTimeout(() => ended.abort(), 50);
    await expect(asked).rejects.toMatchObject({ code: 'LEDGER_QUORUM', exit: 6 });
  });

  it('is asked a few times when it says another size each time', async () => {
    let asked = 0;
    const url = await serve((request, reply) => {
      request.resume();
      asked += 1;
      reply.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${asked % 3}\n`);
    });
    const text = checkpointText({ origin: 'log.example', size: 9, root: Buffer.alloc(32, 1), extensions: [] });
    const request = {
      witnesses: [{ url, key: own.verifier }],
      proof: async () => [],
      signal: AbortSignal.timeout(5000),
      quorum: 0,
    };
    const larger = signNote(text, [log]);
    expect(await new WitnessClient().cosign(larger, request)).toEqual(larger);
    expect(asked).toBe(3);
  });
});
