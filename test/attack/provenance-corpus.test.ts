// Every known way to be taken in by provenance, as data: each input has a valid twin, and is refused for the reason in its name.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { errorCodesOf } from '../source/error-codes.ts';
import { PROJECT_FOLDER, readSources } from '../source/source-file.ts';
import { chainTargets } from './provenance-chain.ts';
import { documentTargets } from './provenance-documents.ts';
import { keyTargets } from './provenance-keys.ts';
import type { Outcome, Target } from './provenance-outcome.ts';
import { positionTargets } from './provenance-positions.ts';
import { sigstoreTargets } from './provenance-sigstore.ts';

const CASES_MIN = 150;

/** Codes of parts of the room that have corpora of their own, each with where. */
const HELD_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['PROVENANCE_BUILD_TYPE', 'src/provenance/build/command-build.test.ts'],
  ['PROVENANCE_COMMIT', 'src/provenance/git/git-commit.test.ts'],
  ['PROVENANCE_DEPENDENCIES', 'src/provenance/dependencies/document.test.ts'],
  ['PROVENANCE_OPENPGP', 'src/provenance/git/source-predicate.test.ts'],
  ['PROVENANCE_ORIGIN_POLICY', 'src/provenance/dependencies/origin.test.ts'],
  ['PROVENANCE_REPOSITORY', 'src/provenance/git/git-history.test.ts'],
  ['PROVENANCE_SIGNERS', 'src/provenance/git/allowed-signers.test.ts'],
  ['PROVENANCE_SSH', 'src/provenance/git/ssh-signature.test.ts'],
  ['PROVENANCE_TEST_REPORT', 'src/provenance/build/test-report.test.ts'],
  ['PROVENANCE_UNTRUSTED', 'src/provenance/admit-envelope.test.ts'],
]);

const setup = z.record(z.string(), z.unknown());
const attackCase = z.strictObject({
  name: z.string().min(1),
  /** What it would break, in a few words. */
  attacks: z.string().min(1),
  target: z.string(),
  /** What makes the valid twin, and is also in the attack. */
  base: setup.default({}),
  attack: setup,
  /** What the refusal must say, so that it is for this reason. */
  says: z.string().min(1),
  code: z.string().optional(),
  exit: z.int().optional(),
  verdict: z.string().optional(),
  cap: z.string().optional(),
});

const targets: ReadonlyMap<string, Target> = new Map(
  Object.entries({ ...documentTargets, ...keyTargets, ...positionTargets, ...sigstoreTargets, ...chainTargets }),
);
const text = readFileSync(join(import.meta.dirname, 'provenance-cases.jsonl'), 'utf8');
const cases = text
  .trimEnd()
  .split('\n')
  .map((line) => attackCase.parse(JSON.parse(line)));

/** Whether a valid twin is accepted, tried once for all the cases that share it. */
const twins = new Map<string, Outcome | Promise<Outcome>>();

function twinOf(target: string, base: Readonly<Record<string, unknown>>): Outcome | Promise<Outcome> {
  const key = JSON.stringify([target, base]);
  const outcome = twins.get(key) ?? targetOf(target)(base);
  twins.set(key, outcome);
  return outcome;
}

function targetOf(name: string): Target {
  const target = targets.get(name);
  if (target === undefined) throw new Error(`there is no target '${name}'`);
  return target;
}

describe('the corpus of attacks on provenance', () => {
  it('has many cases with names of their own, on every target', () => {
    expect(cases.length).toBeGreaterThanOrEqual(CASES_MIN);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(new Set(cases.map(({ target }) => target))).toEqual(new Set(targets.keys()));
  });

  it('reaches every error code of the room', () => {
    const codes = errorCodesOf(readSources('src')).flatMap(({ code, room }) => (room === 'provenance' ? [code] : []));
    const reached = new Set(cases.map(({ code }) => code));
    expect(codes.length).toBeGreaterThan(20);
    expect(codes.filter((code) => !reached.has(code) && !HELD_ELSEWHERE.has(code))).toEqual([]);
    for (const [code, path] of HELD_ELSEWHERE)
      expect(readFileSync(join(PROJECT_FOLDER, path), 'utf8'), path).toContain(`'${code}'`);
  });

  it.each(cases)('$target: $name', async ({ target, base, attack, says, code, exit, verdict, cap }) => {
    expect(await twinOf(target, base), 'the valid twin').toEqual({ kind: 'accepted' });
    const expected = code === undefined ? { kind: 'judged', verdict, cap } : { kind: 'refused', code, exit };
    const found = await targetOf(target)({ ...base, ...attack });
    expect(found).toEqual({ ...expected, message: expect.stringContaining(says) as unknown });
  });
});
