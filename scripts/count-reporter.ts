// Ends a test run with one line, `tests: N passed, N failed, N skipped`, and leaves it in a file for .ci/run.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** How many tests ended how. What broke outside a test (a file that does not load, an error that nobody caught) counts as failed. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The line that CI reads. */
export function countsLine({ passed, failed, skipped }: Counts): string {
  return `tests: ${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Counts the tests of a run. */
export function countTests(
  modules: readonly Pick<TestModule, 'children' | 'errors'>[],
  unhandledErrors: number,
): Counts {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      // A test that never ran, in a run that broke off, is not one that passed.
      counts[state === 'pending' ? 'failed' : state] += 1;
    }
  }
  // A run that saw no test has failed, whatever was asked of it.
  if (counts.passed + counts.failed + counts.skipped === 0) counts.failed = 1;
  return counts;
}

/** The vitest reporter. */
export class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const line = countsLine(countTests(modules, unhandledErrors.length));
    process.stdout.write(`${line}\n`);
    const file = process.env['PROVOST_TEST_COUNTS'];
    if (file !== undefined && file !== '') writeFileSync(file, `${line}\n`);
  }
}
