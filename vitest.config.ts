// How the tests run: pure ones first and side by side, then those that use the kernel, in fewer processes.
import { defineConfig } from 'vitest/config';
import { CountReporter } from './scripts/count-reporter.ts';

/** Suites that make sandboxes, namespaces and supervisors: more of them at a time than cores, and their deadlines mean nothing. */
const HOST_SUITES = [
  'test/conformance/**/*.test.ts',
  'test/attack/**/*.test.ts',
  'test/e2e/**/*.test.ts',
  'test/cli/**/*.test.ts',
];
const HOST_WORKERS_MAX = 2;

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Sources and documents are inputs of tests; an empty run has failed.
    passWithNoTests: false,
    setupFiles: ['test/random-seed.ts', 'test/process-coverage.ts'],
    // Files that no test loads count as well. The gates are in scripts/coverage.ts, which adds what the started processes ran.
    coverage: { include: ['src/**/*.ts'], exclude: ['**/*.test.ts'], reporter: ['json'], reportsDirectory: 'coverage' },
    reporters: ['default', new CountReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: HOST_SUITES,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'host',
          include: HOST_SUITES,
          maxWorkers: HOST_WORKERS_MAX,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
