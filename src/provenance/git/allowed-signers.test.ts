import fc from 'fast-check';
import { expect, it } from 'vitest';

import { isPatternMatch, parseAllowedSigners } from './allowed-signers.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g';

it('reads principals, options and keys', () => {
  const [first, second] = parseAllowedSigners(
    `# signers\n\nada@x,*@y  Namespaces="git,file",valid-after="20260101",valid-before="20261231235959Z" ${KEY} a comment\n"eve@x" ${KEY}\r\n`,
  );
  expect(first).toMatchObject({
    principals: 'ada@x,*@y',
    namespaces: 'git,file',
    validAfter: Date.UTC(2026, 0, 1) / 1000,
    validBefore: Date.UTC(2026, 11, 31, 23, 59, 59) / 1000,
  });
  expect(second).toMatchObject({ principals: 'eve@x', namespaces: null, validAfter: null, validBefore: null });
});

it.each([
  ['no key', 'ada@x'],
  ['no principal', `"" ${KEY}`],
  ['a certificate authority', `*@x cert-authority ${KEY}`, 'certificate authority'],
  ['a certificate authority among options', `*@x namespaces="git",cert-authority ${KEY}`, 'certificate authority'],
  ['an unknown option', `ada@x no-touch-required ${KEY}`],
  ['an option without quotes', `ada@x namespaces=git ${KEY}`],
  ['options after a comma that has none', `ada@x namespaces="git", ${KEY}`],
  ['an option twice', `ada@x namespaces="git",namespaces="file" ${KEY}`],
  ['an open quote', `ada@x namespaces="git ${KEY}`],
  ['a day that does not exist', `ada@x valid-after="20260230" ${KEY}`],
  ['a month that does not exist', `ada@x valid-after="20261330" ${KEY}`],
  ['a time of words', `ada@x valid-after="tomorrow" ${KEY}`],
  ['an end before its beginning', `ada@x valid-after="20260102",valid-before="20260102" ${KEY}`],
  ['a damaged key', `ada@x ${KEY.slice(0, -4)}`],
  ['principals beyond the limit', `${'a'.repeat(5000)} ${KEY}`],
])('refuses a list that has a line with %s, and says which line', (_, line, why = 'line 2: ') => {
  const parse = (): unknown => parseAllowedSigners(`# one\n${line}\n`);
  expect(parse).toThrow(expect.objectContaining({ code: 'PROVENANCE_SIGNERS', exit: 2 }));
  expect(parse).toThrow(/line 2: /);
  expect(parse).toThrow(why);
});

it('refuses lists without end', () => {
  const refused = expect.objectContaining({ code: 'PROVENANCE_SIGNERS' });
  expect(() => parseAllowedSigners('#'.repeat(5_000_000))).toThrow(refused);
  expect(() => parseAllowedSigners(`a ${KEY}\n`.repeat(20_001))).toThrow(refused);
});

it.each([
  ['ada@x', 'ada@x', true],
  ['ada@x', 'Ada@x', false],
  ['*@x', 'ada@x', true],
  ['*@x', 'ada@xy', false],
  ['a?a@x', 'ada@x', true],
  ['a?a@x', 'aa@x', false],
  ['*', '', true],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['b@x,a@x', 'a@x', true],
  ['*@x,!eve@x', 'eve@x', false],
  ['!eve@x,*@x', 'eve@x', false],
  ['!eve@x', 'ada@x', false],
  ['', '', true],
])('matches %s against %s: %s', (list, text, isMatch) => {
  expect(isPatternMatch(list, text)).toBe(isMatch);
});

it('matches nothing against a list beyond the limit', () => {
  expect(isPatternMatch('*'.repeat(5000), 'a')).toBe(false);
});

it('matches as a regular expression would', () => {
  const letters = fc.stringMatching(/^[ab*?]{0,8}$/);
  fc.assert(
    fc.property(letters, fc.stringMatching(/^[ab]{0,8}$/), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll(/\*+/g, '.*').replaceAll('?', '.')}$`);
      expect(isPatternMatch(pattern, text)).toBe(expression.test(text));
    }),
  );
});

it('matches the worst of patterns in bounded time', () => {
  expect(isPatternMatch('*a'.repeat(1000), `${'a'.repeat(4000)}b`)).toBe(false);
});
