import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { openJournalReader } from './journal-reader.ts';
import { parseVerifierKey } from './note-key.ts';
import { openJournal } from './own-journal.ts';
import { publicKeyOf } from './public-log.ts';
import { verifyReceipt } from './receipt.ts';
import { hashLeaf } from './tree-hash.ts';

let dir: string;

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'provost-reader-')), 'log');
});

afterEach(() => {
  rmSync(join(dir, '..'), { recursive: true });
});

const entry = (n: number): Buffer => Buffer.from(JSON.stringify({ n }));

it('gives entries by their index, and receipts for them under the signed checkpoint', async () => {
  {
    await using journal = await openJournal(dir, 'test/log');
    for (let n = 0; n < 300; n += 1) void journal.append(entry(n), { flush: false });
    await journal.append(entry(300), { flush: true });
  }
  const reader = openJournalReader(dir);
  const found = await reader.entriesAt([299, 0, 256, 301, -1, 1e9]);
  expect([...found].map(([index, bytes]) => [index, bytes.toString()])).toEqual(
    [299, 0, 256].map((index) => [index, entry(index).toString()]),
  );
  const policy = { log: [parseVerifierKey(publicKeyOf(dir) ?? '')], witnesses: [], quorum: 0 };
  const receipt = (await reader.receipt(256)) ?? Buffer.alloc(0);
  expect(verifyReceipt(receipt, hashLeaf(entry(256)), policy).index).toBe(256);
  expect(() => verifyReceipt(receipt, hashLeaf(entry(255)), policy)).toThrow(
    expect.objectContaining({ code: 'LEDGER_PROOF' }),
  );
  expect(await reader.receipt(301)).toBeNull();
});

it('knows entries that are durable and under no checkpoint yet, for which there is no receipt', async () => {
  await using journal = await openJournal(dir, 'test/log');
  await journal.append(entry(0), { flush: true });
  await journal.receipt(0);
  await journal.append(entry(1), { flush: true });
  const reader = openJournalReader(dir);
  const found = await reader.entriesAt([0, 1, 2]);
  expect([...found.values()].map(String)).toEqual([entry(0), entry(1)].map(String));
  // The checkpoint over the second follows within a fifth of a second.
  expect((await reader.receipt(1)) === null).toBe(reader.checkpoint?.size === 1);
  expect(await reader.receipt(0)).not.toBeNull();
});

it('has nothing of a journal that was never made', async () => {
  const reader = openJournalReader(dir);
  expect([(await reader.entriesAt([0])).size, await reader.receipt(0)]).toEqual([0, null]);
});
