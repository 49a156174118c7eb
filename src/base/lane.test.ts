import { describe, expect, it } from 'vitest';
import { Lane } from './lane.ts';

describe('a lane', () => {
  it('runs one task at a time, in order, also after one that fails', async () => {
    const lane = new Lane();
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = lane.run(async () => {
      seen.push('first begins');
      await gate.promise;
      seen.push('first ends');
      throw new Error('it failed');
    });
    const second = lane.run(async () => void seen.push('second'));
    expect(lane.isBusy).toBe(true);
    gate.resolve();
    await expect(first).rejects.toThrow('it failed');
    await second;
    expect(seen).toEqual(['first begins', 'first ends', 'second']);
    expect(lane.isBusy).toBe(false);
  });
});
