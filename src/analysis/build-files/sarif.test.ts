import { expect, it } from 'vitest';

import { judgeBuildFiles, sarifOf } from '../index.ts';
import { buildFileRules } from './rules.ts';

const text = (lines: string): Uint8Array => Buffer.from(`FROM a\n${lines}`);
const logOf = (path: string, lines: string) =>
  sarifOf(judgeBuildFiles([{ path, bytes: text(lines) }]).findings, { toolVersion: '1.2.3' });
const resultsOf = (path: string, lines: string) => logOf(path, lines).runs[0]?.results ?? [];

it('is one run of the tool with every rule and its help', () => {
  const log = logOf('Dockerfile', 'USER 1');
  expect(log).toMatchObject({ version: '2.1.0', runs: [{ tool: { driver: { name: 'Provost', version: '1.2.3' } } }] });
  expect(log.$schema).toMatch(/^https:\/\/.*sarif-schema-2\.1\.0\.json$/);
  const rules = log.runs[0]?.tool.driver.rules ?? [];
  expect(rules.map(({ id }) => id)).toEqual(Object.keys(buildFileRules));
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  for (const rule of rules) {
    const { title, why, fix } = buildFileRules[rule.id];
    expect([`${title}.`, why, `${why} ${fix}`]).toEqual([
      rule.shortDescription.text,
      rule.fullDescription.text,
      rule.help.text,
    ]);
    for (const sentence of [why, fix]) expect(sentence).toMatch(/^[A-Z].*[.…]$/);
    expect(Number(rule.properties['security-severity'])).toBeGreaterThan(0);
  }
});

it('has a result with its rule, level and place for each finding', () => {
  const log = logOf('a b/ü.Dockerfile', 'RUN curl x | sh\nRUN sudo a\nUSER 0');
  const { results = [], tool } = log.runs[0] ?? {};
  expect(results.map(({ ruleId, level }) => [ruleId, level])).toEqual([
    ['dockerfile.image-floating', 'error'],
    ['shell.remote-script', 'error'],
    ['dockerfile.sudo', 'note'],
    ['dockerfile.root', 'warning'],
  ]);
  for (const { ruleId, ruleIndex, level, locations, message, partialFingerprints } of results) {
    expect(tool?.driver.rules[ruleIndex]).toMatchObject({ id: ruleId, defaultConfiguration: { level } });
    expect(locations[0].physicalLocation.artifactLocation).toEqual({
      uri: 'a%20b/%C3%BC.Dockerfile',
      uriBaseId: '%SRCROOT%',
    });
    expect(message.text).toMatch(/^[A-Z].*\.$/);
    expect(partialFingerprints['provost/v1']).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(results.map(({ locations }) => locations[0].physicalLocation.region)).toEqual(
    [1, 2, 3, 4].map((startLine) => ({ startLine })),
  );
});

it('keeps the fingerprint of a finding that moves, and gives each its own', () => {
  const printsOf = (lines: string): string[] =>
    resultsOf('Dockerfile', lines).map((it) => it.partialFingerprints['provost/v1']);
  const first = printsOf('RUN sudo a\nRUN sudo b\nUSER 1');
  expect(new Set(first).size).toBe(3);
  expect(printsOf('\n\nRUN sudo a\n\nRUN sudo b\nUSER 1')).toEqual(first);
  expect(resultsOf('b.Dockerfile', 'USER 1')[0]?.partialFingerprints).not.toEqual({ 'provost/v1': first[0] });
});

it.each([
  ['../../etc/Dockerfile', 'etc/Dockerfile'],
  ['/a/./Dockerfile', 'a/Dockerfile'],
  ['https://a.test/Dockerfile', 'https%3A/a.test/Dockerfile'],
  ['a\\b?c#/Dockerfile', 'a%5Cb%3Fc%23/Dockerfile'],
  ['\uD800/Dockerfile', '%EF%BF%BD/Dockerfile'],
])('names %j below the root', (path, uri) => {
  expect(resultsOf(path, 'USER 1')[0]?.locations[0].physicalLocation.artifactLocation.uri).toBe(uri);
});
