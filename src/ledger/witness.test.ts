import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CrashingDisk } from '../../test/crashing-disk.ts';
import { checkpointText, verifyCheckpoint } from './checkpoint.ts';
import { openHostDisk, type LogDisk } from './log-disk.ts';
import { makeSignerKey, parseCosignerKey, parseSignerKey, parseVerifierKey } from './note-key.ts';
import { makePublicLog, openPublicLog, publicKeyOf } from './public-log.ts';
import { readServedFile } from './served-file.ts';
import { signNote } from './signed-note.ts';
import { tilePath } from './tile-name.ts';
import { openTileTree } from './tile-tree.ts';
import { TreeEdge } from './tree-edge.ts';
import { openWitness, type Witness } from './witness.ts';

const NOW = 1_790_000_000;
const log = parseSignerKey(makeSignerKey('log.example'));
const signer = parseCosignerKey(makeSignerKey('witness.example'), () => NOW);
const logs = new Map([['log.example', [log.verifier]]]);

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-witness-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const open = (disk: LogDisk = openHostDisk()): Witness => openWitness({ disk, dir: join(dir, 'logs'), signer, logs });

/** Checkpoints of one tree at each size, and the proofs between them. */
function tree(
  prefix: string,
  size: number,
): { checkpoint(at: number): Buffer; proof(from: number, to: number): Promise<Buffer[]> } {
  const edge = new TreeEdge();
  const [roots, tiles] = [[edge.root()], new Map<string, Buffer>()];
  for (let at = 0; at < size; at += 1) {
    edge.add(Buffer.from(`${prefix} ${at}`));
    roots.push(edge.root());
    for (const { name, bytes } of edge.partial()) tiles.set(tilePath(name), bytes);
  }
  const text = (at: number): string =>
    checkpointText({ origin: 'log.example', size: at, root: roots[at] as Buffer, extensions: [] });
  return {
    checkpoint: (at) => signNote(text(at), [log]),
    proof: (from, to) => openTileTree(async (name) => tiles.get(tilePath(name)) as Buffer, to).consistencyProof(from),
  };
}

const honest = tree('entry', 20);

function request(old: number, proof: readonly Buffer[], checkpoint: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([`old ${old}`, ...proof.map((hash) => hash.toString('base64')), '', ''].join('\n')),
    checkpoint,
  ]);
}

describe('a witness', () => {
  it('cosigns what continues what it cosigned before, with the time, also after a restart', async () => {
    let witness = open();
    for (const [from, to] of [
      [0, 3],
      [3, 3],
      [3, 11],
      [11, 20],
    ] as const) {
      const note = honest.checkpoint(to);
      const answer = await witness.addCheckpoint(request(from, await honest.proof(from, to), note));
      expect(answer.status).toBe(200);
      const cosigned = Buffer.concat([note, Buffer.from(answer.body)]);
      const policy = { log: [log.verifier], witnesses: [signer.verifier], quorum: 1 };
      expect(verifyCheckpoint(cosigned, policy).signatures.map(({ timestamp }) => timestamp)).toEqual([null, NOW]);
      witness = open();
    }
  });

  it('answers what it knows to who knows another size, and cosigns no second tree', async () => {
    const witness = open();
    await witness.addCheckpoint(request(0, [], honest.checkpoint(5)));
    for (const body of [
      request(0, [], honest.checkpoint(9)),
      request(5, [], tree('other', 5).checkpoint(5)),
      request(7, [], honest.checkpoint(9)),
    ])
      expect(await witness.addCheckpoint(body)).toEqual({ status: 409, mediaType: 'text/x.tlog.size', body: '5\n' });
    const forked = tree('other', 9);
    expect(await witness.addCheckpoint(request(5, await forked.proof(5, 9), forked.checkpoint(9)))).toMatchObject({
      status: 422,
    });
    expect(await witness.addCheckpoint(request(5, [], honest.checkpoint(9)))).toMatchObject({ status: 422 });
    expect(await witness.addCheckpoint(request(5, await honest.proof(5, 9), honest.checkpoint(9)))).toMatchObject({
      status: 200,
    });
  });

  it('knows no other log, and no other key of its log', async () => {
    const stranger = parseSignerKey(makeSignerKey('log.example'));
    const text = honest.checkpoint(3).toString().split('\n\n')[0] + '\n';
    expect(await open().addCheckpoint(request(0, [], signNote(text, [stranger])))).toMatchObject({ status: 403 });
    const other = parseSignerKey(makeSignerKey('other.example'));
    const foreign = signNote(text.replace('log.example', 'other.example'), [other]);
    expect(await open().addCheckpoint(request(0, [], foreign))).toMatchObject({ status: 404 });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no old size', request(0, [], honest.checkpoint(3)).subarray(6)],
    ['an old size with a zero before it', Buffer.concat([Buffer.from('old 03\n\n'), honest.checkpoint(3)])],
    ['an old size that is larger', request(4, [], honest.checkpoint(3))],
    ['a hash of another length', Buffer.concat([Buffer.from('old 0\nAAAA\n\n'), honest.checkpoint(3)])],
    [
      'too many hashes',
      request(
        0,
        Array.from({ length: 64 }, () => Buffer.alloc(32)),
        honest.checkpoint(3),
      ),
    ],
    ['no checkpoint', Buffer.from('old 0\n\n')],
  ])('takes a request with %s for a bad one', async (_, body) => {
    expect(await open().addCheckpoint(body)).toMatchObject({ status: 400 });
  });

  it('cosigns one of two requests that build on the same checkpoint', async () => {
    const witness = open();
    const two = [honest.checkpoint(5), honest.checkpoint(9)].map((note) => witness.addCheckpoint(request(0, [], note)));
    expect((await Promise.all(two)).map(({ status }) => status)).toEqual([200, 409]);
  });

  it('gives no cosignature that it may forget', async () => {
    for (let failAt = 1; failAt <= 2; failAt += 1) {
      const disk = new CrashingDisk(failAt);
      await expect(open(disk).addCheckpoint(request(0, [], honest.checkpoint(5)))).rejects.toThrow('power cut');
    }
  });
});

describe('a log with witnesses', () => {
  const servers: Server[] = [];

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function serve(witness: Witness): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      void buffer(incoming).then(async (body) => {
        const answer = await witness.addCheckpoint(body);
        outgoing.writeHead(answer.status, { 'content-type': answer.mediaType }).end(answer.body);
      });
    });
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const cosigner = (name: string) => parseCosignerKey(makeSignerKey(name), () => NOW);

  it('publishes only what enough of them cosigned, and goes on from what they know', async () => {
    const logDir = join(dir, 'log');
    makePublicLog(logDir, 'log.example');
    const key = parseVerifierKey(publicKeyOf(logDir) ?? '');
    const cosigners = ['w1.example', 'w2.example', 'w3.example'].map(cosigner);
    const witnesses = await Promise.all(
      cosigners.map(async (own) => {
        const witness = openWitness({
          disk: openHostDisk(),
          dir: join(dir, own.name),
          signer: own,
          logs: new Map([['log.example', [key]]]),
        });
        return { url: await serve(witness), key: own.verifier };
      }),
    );
    const policy = { log: [key], witnesses: cosigners.map(({ verifier }) => verifier), quorum: 2 };
    for (const round of [0, 1]) {
      // In the second round one witness is gone, and the log has forgotten what the others know.
      if (round === 1) servers.shift()?.close();
      await using opened = await openPublicLog({ dir: logDir, witnesses, quorum: 2 });
      const index = await opened.add(Buffer.from(`round ${round}`));
      await opened.receipt(index);
      const checkpoint = verifyCheckpoint(readServedFile(logDir, 'checkpoint')?.bytes ?? Buffer.alloc(0), policy);
      expect(checkpoint.size).toBe(round + 1);
    }
  });

  it('keeps what it logged while too few of them answer, and publishes nothing', async () => {
    const logDir = join(dir, 'log');
    makePublicLog(logDir, 'log.example');
    await (await openPublicLog({ dir: logDir, witnesses: [], quorum: 0 }))[Symbol.asyncDispose]();
    const before = readServedFile(logDir, 'checkpoint')?.bytes;
    const nobody = { url: 'http://127.0.0.1:9', key: cosigner('nobody.example').verifier };
    {
      await using log = await openPublicLog({ dir: logDir, witnesses: [nobody], quorum: 1 });
      expect(await log.add(Buffer.from('kept'))).toBe(0);
    }
    expect(readServedFile(logDir, 'checkpoint')?.bytes).toEqual(before);
    await using log = await openPublicLog({ dir: logDir, witnesses: [], quorum: 0 });
    expect(await log.add(Buffer.from('kept'))).toBe(0);
  });
});
