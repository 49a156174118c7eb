// What the kernel's refusals become, and what a message lets through to a terminal.
import { expect, test } from 'vitest';

import { hostile, printable, quoted, unreadable, writeRefusal } from './refusal.ts';

const system = (code: string): Error => Object.assign(new Error(`${code}: write`), { code });

test.each([
  ['ENOSPC', 'ARTIFACT_NO_SPACE', 6],
  ['EDQUOT', 'ARTIFACT_NO_SPACE', 6],
  ['EEXIST', 'ARTIFACT_HOSTILE', 4],
  ['EINVAL', 'ARTIFACT_HOSTILE', 4],
  ['EPERM', 'ARTIFACT_NOT_ROOT', 7],
  ['EOPNOTSUPP', 'ARTIFACT_UNSUPPORTED', 2],
])('%s while writing is %s', (errno, code, exit) => {
  const cause = system(errno);
  expect(writeRefusal(cause, 'a layer')).toMatchObject({ code, exit, hint: expect.stringMatching(/\.$/) });
});

test('an error that says nothing of the artifact stays what it is', () => {
  for (const error of [system('EIO'), hostile('x'), new TypeError('x')])
    expect(writeRefusal(error, 'a layer')).toBe(error);
});

test('a message shows names, and obeys nothing in them', () => {
  expect(quoted(Buffer.from('größe').toString('latin1'))).toBe("'größe'");
  expect(quoted('\u001b[2Ja\nb')).toBe("'?[2Ja?b'");
  expect(printable('x'.repeat(2000))).toHaveLength(1001);
  expect(unreadable('it failed', new Error('\u0007bell')).message).toBe('it failed: ?bell');
});
