import { expect, it } from 'vitest';

import { BatchQueue } from './batch-queue.ts';
import { LedgerError } from './journal.ts';

it('writes what arrives during a write together, in the order of calls', async () => {
  const batches: string[][] = [];
  const queue = new BatchQueue(async (entries) => {
    await new Promise((resolve) => setImmediate(resolve));
    batches.push(entries.map(String));
    return batches.flat().length - entries.length;
  });
  const first = queue.push(Buffer.from('a'), { flush: true });
  const rest = ['b', 'c', 'd'].map((text) => queue.push(Buffer.from(text), { flush: true }));
  expect(await Promise.all([first, ...rest])).toEqual([0, 1, 2, 3]);
  expect(batches).toEqual([['a'], ['b', 'c', 'd']]);
});

it('refuses more than it can hold while the disk is slow, and goes on when it has caught up', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const queue = new BatchQueue(() => promise);
  const large = Buffer.alloc(17 * 1024 * 1024);
  const pushed = Array.from({ length: 5 }, () => queue.push(large, { flush: true }));
  await expect(queue.push(large, { flush: true })).rejects.toMatchObject({ code: 'LEDGER_BUSY', exit: 6 });
  resolve(0);
  await Promise.all(pushed);
  await expect(queue.push(Buffer.from('small'), { flush: true })).resolves.toBe(0);
});

it('tries nothing that waited behind a write that failed', async () => {
  const failure = new LedgerError('LEDGER_NO_SPACE', 'no space is left');
  const queue = new BatchQueue(() => Promise.reject(failure));
  const pushed = ['a', 'b'].map((text) => queue.push(Buffer.from(text), { flush: true }));
  for (const one of await Promise.allSettled(pushed)) expect(one).toEqual({ status: 'rejected', reason: failure });
  await expect(queue.push(Buffer.from('c'), { flush: true })).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
});
