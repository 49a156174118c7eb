import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CrashingDisk } from '../../test/crashing-disk.ts';
import { seededRandom } from '../../test/seeded-random.ts';
import { DocumentPacks, eraseDocument, readDocument } from './document-packs.ts';
import { openHostDisk } from './log-disk.ts';
import { takeWriterLock } from './writer-lock.ts';

const MIB = 1024 * 1024;
const CRASHES = Number(process.env['PROVOST_CRASHES'] ?? 1000);
const SEED = Number(process.env['PROVOST_TEST_SEED'] ?? Date.now() % 2 ** 31);

const disk = openHostDisk();
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-packs-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const packs = (): string[] => readdirSync(join(dir, 'documents')).toSorted();
const packPath = (name: string): string => join(dir, 'documents', name);
const kept = (document: Buffer): Buffer => readDocument(disk, dir, sha256(document));
const textsOf = (count: number): Buffer[] => Array.from({ length: count }, (_, n) => Buffer.from(`document ${n}`));

async function put(...documents: readonly Buffer[]): Promise<void> {
  await using open = new DocumentPacks(disk, dir);
  await Promise.all(documents.map((document) => open.put(document)));
}

describe('documents in packs', () => {
  it('are found by their SHA-256, across openings, in few files', async () => {
    const documents = [Buffer.alloc(0), Buffer.alloc(8 * MIB, 'x'), ...textsOf(200)];
    await put(...documents.slice(0, 100));
    await put(...documents.slice(100));
    expect(packs()).toEqual(['000000000']);
    expect(documents.filter((document) => kept(document).equals(document))).toHaveLength(202);
    expect(() => kept(Buffer.from('another'))).toThrow(
      expect.objectContaining({ code: 'LEDGER_NO_DOCUMENT', exit: 5, message: expect.stringMatching('is not kept') }),
    );
  });

  it('go to the next pack when one has 16 MiB', async () => {
    const large = ['a', 'b', 'c'].map((fill) => Buffer.alloc(8 * MIB, fill));
    for (const document of large) await put(document);
    await put(...textsOf(3));
    expect(packs()).toEqual(['000000000', '000000001']);
    expect([...large, ...textsOf(3)].filter((document) => kept(document).equals(document))).toHaveLength(6);
  });

  it('are erased wherever they are, and the others stay', async () => {
    const documents = textsOf(9);
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = documents;
    await put(...documents, first);
    await eraseDocument(disk, dir, sha256(first));
    expect(() => kept(first)).toThrow(
      expect.objectContaining({ code: 'LEDGER_NO_DOCUMENT', message: expect.stringMatching('was erased') }),
    );
    expect(readFileSync(packPath('000000000')).includes(first)).toBe(false);
    for (const document of documents.slice(1)) expect(kept(document)).toEqual(document);
    await put(Buffer.from('later'));
    await eraseDocument(disk, dir, sha256(first));
    expect(kept(second)).toEqual(second);
    expect(kept(Buffer.from('later')).toString()).toBe('later');
    await expect(eraseDocument(disk, dir, sha256(Buffer.from('another')))).rejects.toMatchObject({
      code: 'LEDGER_NO_DOCUMENT',
    });
    using _writer = takeWriterLock(join(dir, 'lock'));
    await expect(eraseDocument(disk, dir, sha256(second))).rejects.toMatchObject({ code: 'LEDGER_LOCKED' });
  });

  it('end where a write was cut short, which is cut off', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((fill) => Buffer.alloc(1000, fill)) as [Buffer, Buffer, Buffer];
    await put(a);
    const whole = statSync(packPath('000000000')).size;
    await put(b);
    writeFileSync(packPath('000000000'), readFileSync(packPath('000000000')).subarray(0, -1));
    await put(c);
    expect(() => kept(b)).toThrow(expect.objectContaining({ code: 'LEDGER_NO_DOCUMENT' }));
    expect([kept(a), kept(c)]).toEqual([a, c]);
    expect(statSync(packPath('000000000')).size).toBe(whole + (whole - 16));
  });

  it('that were changed are said to be so, and take no others along', async () => {
    const documents = textsOf(3);
    await put(...documents);
    const bytes = readFileSync(packPath('000000000'));
    const length = bytes.length;
    bytes[bytes.indexOf('document 1')] = 0;
    writeFileSync(packPath('000000000'), bytes);
    await put();
    expect(statSync(packPath('000000000')).size).toBe(length);
    expect(() => kept(Buffer.from('document 1'))).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT', exit: 4 }));
    for (const n of [0, 2]) expect(kept(Buffer.from(`document ${n}`)).toString()).toBe(`document ${n}`);
    // Of a pack that cannot be read at all, nothing is cut off.
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    writeFileSync(packPath('000000000'), bytes);
    await put(Buffer.from('later'));
    expect([packs(), statSync(packPath('000000000')).size]).toEqual([['000000000', '000000001'], length]);
  });

  it('are refused when the disk refuses them, and none after them is taken', async () => {
    writeFileSync(join(dir, 'documents'), 'in the way');
    await using open = new DocumentPacks({ ...disk, list: () => [] }, dir);
    for (const code of ['LEDGER_STOPPED', 'LEDGER_STOPPED'])
      await expect(open.put(Buffer.from('a'))).rejects.toMatchObject({ code });
  });
});

it(`keeps documents that it acknowledged through ${CRASHES} power cuts, from seed ${SEED}`, async () => {
  const random = seededRandom(SEED);
  const [LIVES, ROUNDS, DIR] = [5, 8, '/log'];
  let [acknowledgedCount, crashes] = [0, 0];
  while (crashes < CRASHES) {
    const acknowledged: Buffer[] = [];
    let crashing = new CrashingDisk(0);
    let next = 0;
    for (let life = 0; life <= LIVES; life += 1) {
      crashing = crashing.afterCrash(random, life === LIVES ? Number.POSITIVE_INFINITY : 1 + Math.floor(random() * 20));
      const lost = acknowledged.filter((document) => !readDocument(crashing, DIR, sha256(document)).equals(document));
      expect(lost).toHaveLength(0);
      crashes += 1;
      try {
        await using open = new DocumentPacks(crashing, DIR);
        for (let round = 0; round < ROUNDS; round += 1) {
          const count = 1 + Math.floor(random() * 5);
          const documents = Array.from({ length: count }, () => {
            const text = `document ${(next += 1)} `;
            return Buffer.alloc(Math.ceil(random() ** 4 * 5000), text);
          });
          const settled = await Promise.allSettled(documents.map((document) => open.put(document)));
          for (const [at, { status }] of settled.entries())
            if (status === 'fulfilled') acknowledged.push(documents[at] ?? Buffer.alloc(0));
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'LEDGER_STOPPED' });
      }
    }
    acknowledgedCount += acknowledged.length;
  }
  expect(acknowledgedCount).toBeGreaterThan(crashes);
});
