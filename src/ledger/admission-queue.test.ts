import { expect, it } from 'vitest';

import { AdmissionQueue } from './admission-queue.ts';

const ENTRY = Buffer.from('entry');

it('asks in the order of calls, so many at a time, and goes on after each answer', async () => {
  const asked: { readonly text: string; readonly allow: () => void; readonly refuse: (why: Error) => void }[] = [];
  const queue = new AdmissionQueue((entry) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    asked.push({ text: entry.toString(), allow: resolve, refuse: reject });
    return promise;
  });
  const texts = Array.from({ length: 100 }, (_, n) => `entry ${n}`);
  const answers = texts.map((text) => queue.ask(Buffer.from(text)));
  const settled = Promise.allSettled(answers);
  const first = asked.length;
  expect(first).toBeLessThan(100);
  const refusal = new Error('not this one');
  asked[1]?.refuse(refusal);
  await expect(answers[1]).rejects.toBe(refusal);
  expect(asked).toHaveLength(first + 1);
  for (let at = 0; at < texts.length; at += 1) {
    asked[at]?.allow();
    // Those after it are asked once their turn was given on.
    await answers[at]?.catch(() => undefined);
  }
  expect(asked.map(({ text }) => text)).toEqual(texts);
  expect((await settled).filter(({ status }) => status === 'rejected')).toHaveLength(1);
});

it('refuses more than it can hold while answers are slow, and goes on when they have come', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const queue = new AdmissionQueue(() => promise);
  const large = Buffer.alloc(17 * 1024 * 1024);
  const asked = Array.from({ length: 4 }, () => queue.ask(large));
  await expect(queue.ask(ENTRY)).rejects.toMatchObject({ code: 'LEDGER_BUSY', exit: 6 });
  resolve();
  await Promise.all(asked);
  await expect(queue.ask(ENTRY)).resolves.toBeUndefined();
});

it('refuses more short ones than it can hold', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const queue = new AdmissionQueue(() => promise);
  const asked = Promise.allSettled(Array.from({ length: 66_000 }, () => queue.ask(ENTRY)));
  resolve();
  const refused = (await asked).filter(({ status }) => status === 'rejected').length;
  expect([refused > 100, refused < 10_000]).toEqual([true, true]);
});

it('gives the turn on of one whose question failed at once', async () => {
  const queue = new AdmissionQueue(() => {
    throw new Error('no answer');
  });
  const answers = await Promise.allSettled(Array.from({ length: 100 }, () => queue.ask(ENTRY)));
  expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(100);
});
