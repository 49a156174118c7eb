import { expect, it } from 'vitest';

import { Intake } from './intake.ts';

it('counts requests and bytes, each once', () => {
  const intake = new Intake({ requestsMax: 2, bytesMax: 10 });
  const overloaded = expect.objectContaining({ code: 'SERVER_OVERLOADED', exit: 6 }) as Error;
  const first = intake.take(9);
  expect(() => intake.take(2)).toThrow(overloaded);
  const second = intake.take(1);
  expect(() => intake.take(0)).toThrow(overloaded);
  for (let times = 0; times < 3; times += 1) first[Symbol.dispose]();
  const third = intake.take(9);
  expect(() => intake.take(0)).toThrow(overloaded);
  for (const held of [second, third]) held[Symbol.dispose]();
  expect(() => intake.take(11)).toThrow(overloaded);
  intake.take(10)[Symbol.dispose]();
});
