// The last line of CI: what it counts, and what it never counts as passed.
import { describe, expect, it } from 'vitest';
import { countsLine, countTests } from './count-reporter.ts';

type State = 'passed' | 'failed' | 'skipped' | 'pending';
type Module = Parameters<typeof countTests>[0][number];

/** A module as vitest reports it, of which the counter reads just this much. */
function module(states: readonly State[], errors = 0, suiteErrors = 0): Module {
  const errorList = (count: number): unknown[] => Array.from({ length: count }, () => new Error('broke'));
  return {
    errors: () => errorList(errors),
    children: {
      allSuites: () => [{ errors: () => errorList(suiteErrors) }],
      allTests: () => states.map((state) => ({ result: () => ({ state }) })),
    },
  } as unknown as Module;
}

describe('the count of a test run', () => {
  it('adds up the modules', () => {
    const counts = countTests([module(['passed', 'passed', 'skipped']), module(['failed', 'passed'])], 0);
    expect(countsLine(counts)).toBe('tests: 3 passed, 1 failed, 1 skipped');
  });

  it('counts a file that does not load, a suite whose hook breaks and an uncaught error as failed', () => {
    expect(countTests([module(['passed'], 1), module(['passed'], 0, 1)], 1)).toEqual({
      passed: 2,
      failed: 3,
      skipped: 0,
    });
  });

  it('counts a test that never ran as failed', () => {
    expect(countTests([module(['pending'])], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('fails a run without any test', () => {
    expect(countTests([], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});
