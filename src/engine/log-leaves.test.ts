import { expect, it } from 'vitest';

import { LedgerError } from '../ledger/index.ts';
import { leavesOfJournal, leavesOfReader } from './log-leaves.ts';

it('reads an entry of the own journal once, as it never changes', () => {
  const reads: number[] = [];
  const read = (index: number) => {
    reads.push(index);
    return index > 5000 ? [] : [{ index, bytes: Buffer.from(String(index)) }];
  };
  const leaves = leavesOfJournal({ read }, () => {});
  expect([leaves.at(7)?.toString(), leaves.at(7)?.toString(), leaves.at(6000)]).toEqual(['7', '7', null]);
  expect(reads).toEqual([7, 6000]);
  // As many as are kept push the oldest out.
  for (let index = 10; index < 10 + 4096; index += 1) leaves.at(index);
  expect(leaves.at(7)?.toString()).toBe('7');
  expect(reads.filter((index) => index === 7)).toHaveLength(2);
});

it('takes an entry that cannot be read for one that is not there, and says so', () => {
  const said: string[] = [];
  const read = (): never => {
    throw new LedgerError('LEDGER_CORRUPT', 'a tile is missing');
  };
  const leaves = leavesOfJournal({ read }, (why) => said.push(why));
  expect([leaves.at(1), said]).toEqual([null, ['entry 1 cannot be read: a tile is missing']]);
  const broken = (): never => {
    throw new TypeError('a defect');
  };
  expect(() => leavesOfJournal({ read: broken }, () => {}).at(1)).toThrow(TypeError);
});

it('knows of another’s journal what was read of it', async () => {
  const entriesAt = (indexes: readonly number[]) =>
    Promise.resolve(new Map(indexes.filter((index) => index < 3).map((index) => [index, Buffer.from('x')])));
  const leaves = leavesOfReader(() => ({ entriesAt }));
  expect(leaves.at(1)).toBeUndefined();
  await leaves.load([1, 3]);
  expect([leaves.at(1)?.toString(), leaves.at(3)]).toEqual(['x', null]);
});
