import { expect, it } from 'vitest';

import { coalesced } from './coalesced.ts';

it('runs once for all who ask meanwhile, after the run that is under way, whatever comes of that', async () => {
  const runs: PromiseWithResolvers<void>[] = [];
  const ask = coalesced(() => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  const first = ask();
  const meanwhile = [ask(), ask(), ask()];
  expect(runs).toHaveLength(1);
  runs[0]?.reject(new Error('the first failed'));
  await expect(first).rejects.toThrow('the first failed');
  await expect.poll(() => runs.length).toBe(2);
  const later = ask();
  expect(later).not.toBe(meanwhile[0]);
  runs[1]?.resolve();
  await Promise.all(meanwhile);
  await expect.poll(() => runs.length).toBe(3);
  runs[2]?.resolve();
  await later;
  const alone = ask();
  expect(runs).toHaveLength(4);
  runs[3]?.resolve();
  await alone;
});
