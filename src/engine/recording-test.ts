// A run of tests as a statement: how it ended, and which tests passed, were skipped and failed.
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { digestOf, hexOf } from '../artifact/index.ts';
import { canonicalJson, exitStatus, messageOf } from '../base/index.ts';
import { openKeyring, parseJunit, parseTap, TEST_RESULT_TYPE, type TestReport } from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import { EngineError } from './errors.ts';
import { homeAt } from './home.ts';
import { openReadContent, type ReadOptions } from './reading.ts';
import { issuerOf } from './recording.ts';

/** A report that the tests write; null: their exit status is all that there is. */
export interface TestOptions {
  readonly form: 'junit' | 'tap';
  readonly path: string;
}

/** Reads the report once the tests have run; one that they did not write is refused. */
export interface ReportWatch {
  /** @throws ProvenanceError PROVENANCE_TEST_REPORT; EngineError ENGINE_REPORT when the tests did not write it */
  read(): { readonly report: TestReport; readonly bytes: Buffer };
}

/** A run of tests that has ended. */
export interface TestRun {
  readonly command: readonly string[];
  readonly status: number;
  readonly report: { readonly path: string; readonly bytes: Buffer; readonly names: TestReport } | null;
}

/** What there is to sign about tests. */
export interface TestStatement {
  readonly result: 'PASSED' | 'WARNED' | 'FAILED';
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/**
 * Reads an artifact that will be attested, and sees that the key can sign: before the tests run, not after.
 *
 * @throws ArtifactError any of its codes; ProvenanceError for the key
 */
export async function readForAttesting(
  options: ReadOptions & { readonly key: string },
): Promise<{ readonly digest: string }> {
  const home = homeAt(options.homeDir);
  openKeyring(home.keysDir, issuerOf(home)).openSigner(options.key);
  await using stack = new AsyncDisposableStack();
  const content = await openReadContent(home, stack);
  return await readArtifact({ content }, options, options.progress);
}

/** Notes how a report is before the tests run, so that one of an earlier run is not taken for theirs. */
export function watchReport({ form, path }: TestOptions): ReportWatch {
  const before = stampOf(path);
  return {
    read: () => {
      const after = stampOf(path);
      if (after === null || after === before) throw notWritten(path);
      const bytes = readReport(path);
      return { report: form === 'junit' ? parseJunit(bytes) : parseTap(bytes), bytes };
    },
  };
}

/**
 * Describes a run of tests. The exit status decides; a report that names failures is believed over a status that names none, and
 * skipped tests warn.
 *
 * @source https://github.com/in-toto/attestation, spec/predicates/test-result.md
 */
export function describeTests({ command, status, report }: TestRun): TestStatement {
  const names = report?.names ?? { passed: [], warned: [], failed: [] };
  const isFailed = status !== 0 || names.failed.length > 0;
  const result = isFailed ? 'FAILED' : names.warned.length > 0 ? 'WARNED' : 'PASSED';
  const argv = canonicalJson(command);
  const configuration = [
    {
      name: 'command',
      mediaType: 'application/json',
      content: Buffer.from(argv).toString('base64'),
      digest: sha256(argv),
    },
    ...(report === null ? [] : [{ name: basename(report.path), digest: sha256(report.bytes) }]),
  ];
  const tests = { passedTests: names.passed, warnedTests: names.warned, failedTests: names.failed };
  return { result, predicateType: TEST_RESULT_TYPE, predicate: { result, configuration, ...tests } };
}

function sha256(bytes: string | Uint8Array): { readonly sha256: string } {
  return { sha256: hexOf(digestOf(bytes)) };
}

function stampOf(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
}

function readReport(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unusable(`the report ${path} cannot be read: ${messageOf(error)}`, error);
  }
}

function notWritten(path: string): EngineError {
  return unusable(`the tests did not write the report ${path}`);
}

function unusable(message: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_REPORT', message, {
    exit: exitStatus.usage,
    hint: 'Name the file that the test runner writes; without --junit and --tap its exit status is recorded alone.',
    cause,
  });
}
