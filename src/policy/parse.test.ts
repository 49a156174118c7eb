import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describePolicy } from './describe.ts';
import { PolicyError } from './errors.ts';
import { parsePolicy } from './parse.ts';

const text = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'default.yaml');

/** The default policy with one place changed; the place must be there. */
function edited(from: string, to: string): string {
  expect(text).toContain(from);
  return text.replace(from, to);
}

function errorOf(bad: string): PolicyError {
  try {
    parsePolicy(bad, 'p.yaml');
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('the policy was accepted');
}

/** 1-based number of the line that holds `part`. */
function lineOf(bad: string, part: string): number {
  return bad.slice(0, bad.indexOf(part)).split('\n').length;
}

describe('the default policy', () => {
  it('holds the numbers that the design gives', () => {
    expect(policy.trust.components).toEqual({ base: 0.25, build: 0.3, runtime: 0.25, reputation: 0.2 });
    expect(policy.trust.caps).toEqual({
      provenanceOnly: { max: 0.8, liftedByCleanMs: 86_400_000, liftedByReview: true, liftedByReproduction: true },
      unsigned: { max: 0.49 },
      openHighIncident: { max: 0.49 },
      revoked: { max: 0 },
      failedVerification: { max: 0 },
    });
    expect(policy.tiers).toEqual({
      highAbove: 0.8,
      mediumFrom: 0.5,
      raiseMargin: 0.02,
      raiseDwellMs: 60_000,
      goodAfterMs: 600_000,
    });
    expect(policy.runtime).toMatchObject({ startScore: 0.2, tauMs: 600_000, coverageMin: 0.95 });
    expect(policy.reputation).toMatchObject({ trustedStart: 0.5, unknownStart: 0 });
    expect(policy.grants.medium).toMatchObject({ cpuShare: 0.5, memoryShare: 0.5, rateBitsPerSecond: 10_000_000 });
    expect(policy.grants.low).toMatchObject({ cpuMillicoresMax: 100, memoryBytesMax: 256 * 1024 * 1024 });
    expect(policy.isolation.low).toEqual(['microvm', 'gvisor']);
    expect(policy.windows).toEqual({ standardMs: 1000, detailedMs: 1000, realtimeMs: 100 });
    expect(policy.network.allow).toEqual([]);
  });

  it('gives high and medium one launch profile, so that they differ only in the live part', () => {
    expect(policy.grants.medium.launchProfile).toBe(policy.grants.high.launchProfile);
    expect(policy.isolation.medium).toEqual(policy.isolation.high);
  });

  it('reads back from its canonical form as the same policy', () => {
    const again = parsePolicy(policy.canonical, 'ledger');
    expect(again.digest).toBe(policy.digest);
    expect(again.tiers).toEqual(policy.tiers);
    expect(again.responses.map(({ id }) => id)).toEqual(policy.responses.map(({ id }) => id));
  });

  it('has another digest when one number differs, and the same when only a comment does', () => {
    expect(parsePolicy(edited('raiseDwell: 60s', 'raiseDwell: 61s'), 'x').digest).not.toBe(policy.digest);
    expect(parsePolicy(`# another comment\n${text}`, 'x').digest).toBe(policy.digest);
  });
});

describe('parsePolicy refuses', () => {
  it.each([
    ['an unknown key', 'cpuMax: 100m', 'cpuMx: 100m', /unknown key 'cpuMx' in grants.low; did you mean 'cpuMax'\?/],
    [
      'an unknown key at the top',
      'mode: enforce',
      'mode: enforce\nmodes: x',
      /unknown key 'modes'; did you mean 'mode'\?/,
    ],
    [
      'an unknown key in a list',
      'weight: 0.30',
      'wieght: 0.30',
      /unknown key 'wieght' in trust.checks\[0\]; did you mean 'weight'\?/,
    ],
    ['an unknown key like no other', 'mode: enforce', 'mode: enforce\nzzzzzzzz: 1', /unknown key 'zzzzzzzz'$/m],
    ['a missing key', 'raiseMargin: 0.02', '', /tiers.raiseMargin is missing/],
  ])('%s, with its line', (_what, from, to, message) => {
    const error = errorOf(edited(from, to));
    expect(error).toMatchObject({ code: 'POLICY_KEY', exit: 2 });
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^p\.yaml:\d+:\d+: /);
    expect(error.hint).toContain('provost policy check');
  });

  it('names the line and column of an unknown key', () => {
    const bad = edited('raiseMargin: 0.02', 'raiseMargin: 0.02\n  raisMargin: 0.02');
    expect(errorOf(bad).message).toContain(`p.yaml:${lineOf(bad, 'raisMargin')}:3: unknown key 'raisMargin' in tiers`);
  });

  it.each([
    ['a wrong duration', 'raiseDwell: 60s', 'raiseDwell: soon', /tiers.raiseDwell: 'soon' is not a duration/],
    ['a wrong size', 'memoryMax: 256Mi', 'memoryMax: lots', /grants.low.memoryMax: 'lots' is not a size/],
    ['a wrong rate', 'rate: 10Mbit', 'rate: fast', /grants.medium.rate: 'fast' is not a rate like 10Mbit/],
    ['a rate of nothing', 'rate: 10Mbit', 'rate: 0bit', /'0bit' is not a rate/],
    ['a unit of rates that does not exist', 'rate: 10Mbit', 'rate: 10Xbit', /'10Xbit' is not a rate/],
    ['a score above 1', 'unsigned: { max: 0.49 }', 'unsigned: { max: 49 }', /trust.caps.unsigned.max/],
    ['a revocation that leaves trust', 'revoked: { max: 0 }', 'revoked: { max: 0.1 }', /trust.caps.revoked.max/],
    ['an unknown mode', 'mode: enforce', 'mode: enforced', /mode: Invalid option/],
    ['weights that do not sum to 1', 'weight: 0.30', 'weight: 0.40', /the checks of base sum to 1.1, not to 1/],
    ['a check of no component', 'check: base.user', 'check: bass.user', /'bass.user' is not a check id/],
    ['tiers the wrong way round', 'mediumFrom: 0.5', 'mediumFrom: 0.9', /mediumFrom 0.9 is above highAbove 0.8/],
    ['more CPU for medium than for high', 'cpuShare: 1\n', 'cpuShare: 0.4\n', /medium would be given more than high/],
    [
      'more memory for medium than for high',
      'memoryShare: 1\n',
      'memoryShare: 0.4\n',
      /medium would be given more than high/,
    ],
    [
      'no CPU limit for low under one for medium',
      'cpuShare: 0.5\n    cpuMax: null',
      'cpuShare: 0.5\n    cpuMax: 50m',
      /low would be given more than medium/,
    ],
    [
      'no memory limit for medium under one for high',
      'memoryMax: null',
      'memoryMax: 1Gi',
      /medium would be given more than high/,
    ],
    [
      'a network for low that medium lacks',
      'network: isolated',
      'network: unrestricted',
      /low would be given more than medium/,
    ],
    [
      'a weaker launch profile than that of the higher tier',
      'logging: standard\n    launchProfile: standard',
      'logging: standard\n    launchProfile: strict',
      /medium would be given more than high/,
    ],
    ['a limited network without a rate', 'rate: 10Mbit', 'rate: null', /rateLimited needs a rate/],
    ['a window of no length', 'realtime: 100ms', 'realtime: 0ms', /a window is 50 ms to 60 s/],
    ['a window of an hour', 'standard: 1s', 'standard: 1h', /a window is 50 ms to 60 s/],
    ['no time constant', 'tau: 10m', 'tau: 0s', /tau must be above 0/],
    ['calm above the alarm', 'calmBelow: 20', 'calmBelow: 1000000', /calmBelow must be below alarmAt/],
    ['a calm that nothing reaches', 'calmBelow: 20', 'calmBelow: 1', /calmBelow must be above 1/],
    ['no half time', 'cleanHalf: 30d', 'cleanHalf: 0s', /cleanHalf must be above 0/],
    [
      'an unknown publisher above its bound',
      'unknownStart: 0',
      'unknownStart: 0.6',
      /unknownStart must not be above unknownMax/,
    ],
    ['an id that is used twice', 'id: fell-to-medium', 'id: fell-to-low', /the id fell-to-low is used twice/],
    ['an id with capitals', 'id: fell-to-medium', 'id: FellToMedium', /must be lower-case letters/],
    ['a destination without a port', 'allow: []', 'allow: ["10.0.0.5"]', /must be like 10.0.0.5:5432\/tcp/],
    ['a webhook that is no URL', 'webhook: null', 'webhook: "file:///etc/passwd"', /alerts.webhook/],
    [
      'a rule that does nothing',
      'rules: []',
      'rules: [{ id: a, when: "true", reason: r }]',
      /needs either tierMax or refuse: true/,
    ],
    [
      'a rule that does two things',
      'rules: []',
      'rules: [{ id: a, when: "true", reason: r, refuse: true, tierMax: low }]',
      /needs either/,
    ],
    ['a text that is no document', '\nversion: 1', '\n- version: 1', /^p\.yaml:\d+:\d+: /],
  ])('%s', (_what, from, to, message) => {
    const error = errorOf(edited(from, to));
    expect(['POLICY_VALUE', 'POLICY_YAML']).toContain(error.code);
    expect(error.exit).toBe(2);
    expect(error.message).toMatch(message);
  });

  it.each([
    [
      'an unknown fact',
      'when: \'severity == "critical"\'',
      "when: 'sevrity == 1'",
      /the condition Unknown variable: sevrity/,
    ],
    [
      'a condition that is no truth value',
      'when: \'severity == "critical"\'',
      "when: 'severity'",
      /gives a string, not true or false/,
    ],
    ['a condition that does not parse', 'when: \'severity == "critical"\'', "when: 'severity =='", /Unexpected token/],
    [
      'a field that artifacts lack',
      'rules: []',
      'rules: [{ id: a, when: \'artifact.nam == "x"\', refuse: true, reason: r }]',
      /No such key: nam/,
    ],
    [
      'matches, whose time has no bound',
      'rules: []',
      'rules: [{ id: a, when: \'score > 0.1 && artifact.name.matches("(a+)+$")\', refuse: true, reason: r }]',
      /calls matches, which is not offered/,
    ],
    [
      'a clock',
      'rules: []',
      "rules: [{ id: a, when: 'now() > 1', refuse: true, reason: r }]",
      /found no matching overload for 'now\(\)'/,
    ],
  ])('%s in a condition', (_what, from, to, message) => {
    const bad = edited(from, to);
    const error = errorOf(bad);
    expect(error).toMatchObject({ code: 'POLICY_CONDITION', exit: 2 });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`p.yaml:${lineOf(bad, to)}:`);
  });

  it('a condition longer than a person reads', () => {
    const long = `rules: [{ id: a, when: '${'score > 0.1 || '.repeat(80)}true', refuse: true, reason: r }]`;
    expect(errorOf(edited('rules: []', long)).message).toContain('at most 1000 are read');
  });

  it.each([
    ['broken YAML', 'a: ['],
    ['an alias', 'a: &x 1\nb: *x'],
    ['a key that stands twice', edited('mode: enforce', 'mode: enforce\nmode: observe')],
    ['an unknown tag', 'a: !secret 1'],
    ['two documents', 'a: 1\n---\nb: 2'],
    ['a text that is too large', `# ${'x'.repeat(256 * 1024)}`],
  ])('%s', (_what, bad) => {
    expect(errorOf(bad)).toMatchObject({ code: 'POLICY_YAML', exit: 2 });
  });

  it('an empty file', () => {
    expect(errorOf('').message).toBe('p.yaml:1:1: the file: Invalid input: expected object, received null');
  });

  it('many mistakes at once, in the order of the lines, and stops listing at twenty', () => {
    const bad = edited(
      'mode: enforce',
      `mode: enforced\n${Array.from({ length: 30 }, (_, n) => `odd${n}: 1`).join('\n')}`,
    );
    const error = errorOf(bad);
    const lines = error.message.split('\n');
    expect(lines).toHaveLength(21);
    expect(lines[0]).toMatch(/mode: Invalid option/);
    expect(lines.at(-1)).toBe('and 11 more');
    expect(error.details['problems']).toHaveLength(20);
  });
});

describe('describePolicy', () => {
  it('says in words what each tier is given', () => {
    const shown = describePolicy(policy);
    expect(shown).toContain(policy.digest);
    expect(shown).toContain(
      'medium: 0.5 ≤ score ≤ 0.8: CPU 50 %, memory 50 %, network rateLimited 10 Mbit/s, in container, detailed logging',
    );
    expect(shown).toContain(
      'low: score < 0.5: CPU as asked, at most 100m, memory as asked, at most 256Mi, network isolated',
    );
    expect(shown).toContain('provenance alone scores at most 0.8, until 24h of clean activity');
  });

  it('shows rules, responses without a condition, and a cap that is never lifted', () => {
    const rules =
      'rules: [{ id: a, when: "score > 0.9", tierMax: medium, reason: r }, { id: b, when: "true", refuse: true, reason: r }]';
    const never = edited('rules: []', rules).replace(
      'liftedByCleanRuntime: 24h, liftedByReview: true, liftedByReproduction: true',
      'liftedByCleanRuntime: null, liftedByReview: false, liftedByReproduction: false',
    );
    const shown = describePolicy(parsePolicy(never, 'p.yaml'));
    expect(shown).toContain('rule a: at most medium when score > 0.9');
    expect(shown).toContain('rule b: refuse when true');
    expect(shown).toContain('response alarm: on alarm: isolate-network, restrict, alert');
    expect(shown).toContain('provenance alone scores at most 0.8\n');
  });
});
