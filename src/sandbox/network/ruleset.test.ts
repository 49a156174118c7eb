import { describe, expect, it } from 'vitest';
import { needs } from '../../../test/needs.ts';
import { parseSubnet } from './addresses.ts';
import { droppingChains } from './findings.ts';
import { questionGroup } from './question-log.ts';
import { loadRuleset, rulesetOf, runNft } from './ruleset.ts';

const subnet = parseSubnet('100.70.16.0/20');

describe('the table of a home', () => {
  it('tells its layout in its comment, and another one for another range', () => {
    const { comment, script } = rulesetOf('a1b2c3', subnet);
    expect(comment).toMatch(/^provost 100\.70\.16\.0\/20 [0-9a-f]{12}$/);
    expect(script).toContain(`comment "${comment}"`);
    expect(rulesetOf('a1b2c3', parseSubnet('10.0.0.0/20')).comment).not.toBe(comment);
  });

  it('hands questions to the group of its own home, with its own prefix, bounded in number and length', () => {
    const { script } = rulesetOf('a1b2c3', subnet);
    const [, pace, prefix, group, bytes] =
      /limit rate (\S+) burst \d+ packets \} log prefix "(\w+)" group (\d+) snaplen (\d+)/.exec(script) ?? [];
    expect([pace, prefix, bytes]).toEqual(['200/second', 'pva1b2c3', '384']);
    expect(Number(group)).toBe(questionGroup('a1b2c3'));
    const groups = Array.from({ length: 200 }, (_, n) => questionGroup(`home${n}`));
    expect(Math.min(...groups)).toBeGreaterThanOrEqual(1024);
    expect(Math.max(...groups)).toBeLessThanOrEqual(65_535);
    expect(new Set(groups).size).toBeGreaterThan(190);
  });

  it.skipIf(needs('root', 'nft'))('is one that nft takes', async () => {
    const { script } = rulesetOf('a1b2c3', subnet);
    expect(await runNft(['--check', '-f', '-'], script)).toMatchObject({ code: 0, stderr: '' });
  });

  it.skipIf(needs('root', 'nft'))('is refused with what nft says when it is none', async () => {
    await expect(loadRuleset('table inet provost_x { nonsense }')).rejects.toMatchObject({
      code: 'SANDBOX_NETWORK',
      exit: 6,
    });
  });
});

describe('chains that drop what is forwarded', () => {
  const chain = (parts: object): object => ({
    chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop', ...parts },
  });
  const listing = (...chains: readonly object[]): string => JSON.stringify({ nftables: [{ metainfo: {} }, ...chains] });

  it('are found by hook and policy', () => {
    expect(droppingChains(listing(chain({})))).toEqual([{ family: 'ip', table: 'filter', chain: 'FORWARD' }]);
  });

  it.each([{ policy: 'accept' }, { hook: 'input' }, { family: 'ip6' }, { hook: undefined }])(
    'are not those with %j',
    (parts) => {
      expect(droppingChains(listing(chain(parts)))).toEqual([]);
    },
  );
});
