// Reports of tests, JUnit XML and TAP: which tests passed, were skipped, and failed.
import { KIB } from '../../base/index.ts';
import { badReport, parseXml, REPORT_BYTES_MAX } from './xml-subset.ts';

/** Tests of one report; a predicate names as many. */
const TESTS_MAX = 50_000;
/** Names of all tests together: what is signed must stay readable. */
const NAMES_CHARS_MAX = 4 * 1024 * KIB;
const NAME_CHARS_MAX = 512;

/** Names of tests by how they ended; a skipped test warns, as nobody knows what it would have said. */
export interface TestReport {
  readonly passed: readonly string[];
  readonly warned: readonly string[];
  readonly failed: readonly string[];
}

type Outcome = keyof TestReport;

class ReportBuilder {
  readonly #byOutcome = { passed: [] as string[], warned: [] as string[], failed: [] as string[] };
  #count = 0;
  #chars = 0;

  /** attacker-controlled: a name is shown as one line. */
  add(outcome: Outcome, name: string): void {
    const text =
      name
        .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
        .trim()
        .slice(0, NAME_CHARS_MAX) || 'unnamed';
    this.#count += 1;
    this.#chars += text.length;
    if (this.#count > TESTS_MAX) throw badReport(`it has more than ${TESTS_MAX} tests`);
    if (this.#chars > NAMES_CHARS_MAX)
      throw badReport(`the names of its tests have more than ${NAMES_CHARS_MAX} characters`);
    this.#byOutcome[outcome].push(text);
  }

  build(): TestReport {
    if (this.#count === 0) throw badReport('it has no test');
    return this.#byOutcome;
  }
}

const JUNIT_OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  ['failure', 'failed'],
  ['error', 'failed'],
  ['skipped', 'warned'],
]);

/**
 * Reads JUnit XML: `testcase` elements in `testsuite` or `testsuites`.
 *
 * @throws ProvenanceError PROVENANCE_TEST_REPORT
 * @source https://github.com/testmoapp/junitxml
 */
export function parseJunit(bytes: Uint8Array): TestReport {
  const report = new ReportBuilder();
  const path: string[] = [];
  let current: { name: string; outcome: Outcome } | null = null;
  for (const event of parseXml(bytes)) {
    if (event.kind === 'open') {
      if (path.length === 0 && event.name !== 'testsuites' && event.name !== 'testsuite')
        throw badReport('its root is neither testsuites nor testsuite');
      path.push(event.name);
      if (event.name === 'testcase') {
        if (current !== null) throw badReport('a testcase is within a testcase');
        const [suite, name] = [event.attributes.get('classname') ?? '', event.attributes.get('name') ?? ''];
        current = { name: suite === '' ? name : `${suite} ${name}`, outcome: 'passed' };
      } else if (current !== null && path.at(-2) === 'testcase') {
        const outcome = JUNIT_OUTCOMES.get(event.name);
        // The worst counts: a test that failed and was skipped has failed.
        if (outcome !== undefined && current.outcome !== 'failed') current.outcome = outcome;
      }
      continue;
    }
    path.pop();
    if (event.name !== 'testcase' || current === null) continue;
    report.add(current.outcome, current.name);
    current = null;
  }
  return report.build();
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const TEST_LINE = /^(not )?ok\b[ \t]*(\d{1,9})?[ \t]*(?:-[ \t]*)?([^#]*)(?:#[ \t]*(skip|todo)\b.*)?/i;

/**
 * Reads TAP, versions 12 to 14, at its outermost level. A test that failed though it was still to be done, or was skipped, warns.
 *
 * @throws ProvenanceError PROVENANCE_TEST_REPORT also when fewer or more tests ran than were planned, or it bailed out
 * @source https://testanything.org/tap-version-14-specification.html
 */
export function parseTap(bytes: Uint8Array): TestReport {
  if (bytes.length > REPORT_BYTES_MAX) throw badReport(`it has more than ${REPORT_BYTES_MAX} bytes`);
  const report = new ReportBuilder();
  let planned: number | null = null;
  let count = 0;
  for (const line of decode(bytes).split(/\r?\n/)) {
    if (line.startsWith('Bail out!')) throw badReport('the tests bailed out');
    const plan = /^1\.\.(\d{1,9})(?:[ \t]|$)/.exec(line)?.[1];
    if (plan !== undefined) {
      if (planned !== null) throw badReport('it has two plans');
      planned = Number(plan);
      continue;
    }
    const [, not, number, name, directive] = /^(?:not )?ok\b/.test(line) ? (TEST_LINE.exec(line) ?? []) : [];
    if (name === undefined) continue;
    count += 1;
    const ended = not === undefined ? 'passed' : 'failed';
    report.add(directive === undefined ? ended : 'warned', name.trim() || `test ${number ?? count}`);
  }
  if (planned === null) throw badReport('it has no plan, so that nobody knows whether all tests ran');
  if (planned !== count) throw badReport(`${planned} tests were planned, and ${count} ran`);
  return report.build();
}

function decode(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    throw badReport('it is not UTF-8', error);
  }
}
