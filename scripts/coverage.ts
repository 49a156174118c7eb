// Runs all tests and holds the coverage gates, folder by folder: `npm run coverage`. Counts what tests run themselves, and what the
// processes that they start (commands, supervisor, guard) run.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { errorPathLines } from '../test/source/error-paths.ts';
import { parseSource, PROJECT_FOLDER } from '../test/source/source-file.ts';
import { type LineCount, readProcessCoverage } from './process-coverage.ts';

const REPORT_FOLDER = join(PROJECT_FOLDER, 'coverage');
const PROCESS_FOLDER = join(REPORT_FOLDER, 'processes');

/** Share of lines that each group of files must reach. A group without files is no group: its room has no code yet. */
const FOLDER_RATIO_MIN = 0.9;
const EXACT_GATES: ReadonlyMap<string, { readonly files: RegExp; readonly ratioMin: number }> = new Map([
  ['provenance', { files: /^src\/provenance\//, ratioMin: 1 }],
  ['ledger', { files: /^src\/ledger\//, ratioMin: 1 }],
  ['trust', { files: /^src\/trust\//, ratioMin: 1 }],
  ['policy', { files: /^src\/policy\//, ratioMin: 1 }],
  ['sandbox: limits', { files: /^src\/sandbox\/cgroup\//, ratioMin: 1 }],
  ['plugins', { files: /^src\/plugins\//, ratioMin: 0.95 }],
]);
const ERROR_PATH_RATIO_MIN = 0.95;

/** What vitest writes of one file: where its statements begin, and how often each ran. */
interface FileReport {
  readonly statementMap: Readonly<
    Record<string, { readonly start: { readonly line: number; readonly column: number } }>
  >;
  readonly s: Readonly<Record<string, number>>;
}

interface FileLines {
  readonly path: string;
  /** Line → whether anything ran it. */
  readonly lines: ReadonlyMap<number, boolean>;
  readonly errorLines: ReadonlySet<number>;
}

interface Row {
  readonly name: string;
  readonly covered: number;
  readonly total: number;
  readonly ratioMin: number;
}

function runTests(): number {
  rmSync(REPORT_FOLDER, { recursive: true, force: true });
  const { status } = spawnSync('sh', ['scripts/run-tests', '--coverage.enabled'], {
    cwd: PROJECT_FOLDER,
    stdio: 'inherit',
    env: { ...process.env, PROVOST_PROCESS_COVERAGE: PROCESS_FOLDER },
  });
  return status ?? 1;
}

function readLines(): FileLines[] {
  const reports = JSON.parse(readFileSync(join(REPORT_FOLDER, 'coverage-final.json'), 'utf8')) as Record<
    string,
    FileReport
  >;
  const inProcesses = readProcessCoverage(PROCESS_FOLDER);
  return Object.entries(reports).map(([file, report]) => {
    const text = readFileSync(file, 'utf8');
    const path = relative(PROJECT_FOLDER, file);
    return {
      path,
      lines: linesOf(report, inProcesses.get(file) ?? []),
      errorLines: errorPathLines(parseSource(path, text)),
    };
  });
}

/** A line counts as run when any statement that begins on it ran, here or in any process. */
function linesOf(report: FileReport, processes: readonly LineCount[]): Map<number, boolean> {
  const lines = new Map<number, boolean>();
  for (const [id, { start }] of Object.entries(report.statementMap)) {
    const isCovered = (report.s[id] ?? 0) > 0 || processes.some((hasRun) => hasRun(start.line, start.column));
    lines.set(start.line, isCovered || (lines.get(start.line) ?? false));
  }
  return lines;
}

function rowOf(name: string, ratioMin: number, lines: readonly boolean[]): Row {
  return { name, ratioMin, covered: lines.filter(Boolean).length, total: lines.length };
}

function rowsOf(files: readonly FileLines[]): Row[] {
  const all = ({ lines }: FileLines): boolean[] => [...lines.values()];
  const rooms = [...new Set(files.map(({ path }) => path.split('/')[1] ?? ''))].toSorted();
  const exact = [...EXACT_GATES].map(([name, gate]) =>
    rowOf(name, gate.ratioMin, files.filter(({ path }) => gate.files.test(path)).flatMap(all)),
  );
  const folders = rooms
    .filter((room) => !EXACT_GATES.has(room))
    .map((room) => rowOf(room, FOLDER_RATIO_MIN, files.filter(({ path }) => path.split('/')[1] === room).flatMap(all)));
  const errorPaths = files.flatMap(({ lines, errorLines }) =>
    [...lines].flatMap(([line, hasRun]) => (errorLines.has(line) ? [hasRun] : [])),
  );
  return [...exact, ...folders, rowOf('error paths', ERROR_PATH_RATIO_MIN, errorPaths)].filter(
    ({ total }) => total > 0,
  );
}

/** The lines that nothing ran, as `path:3,7,12`. */
function missedLines({ path, lines }: FileLines): string {
  const missed = [...lines].flatMap(([line, hasRun]) => (hasRun ? [] : [line]));
  return missed.length === 0 ? '' : `${path}:${missed.toSorted((a, b) => a - b).join(',')}`;
}

function main(): void {
  const status = runTests();
  if (status !== 0) {
    process.exitCode = status;
    return;
  }
  const files = readLines();
  const rows = rowsOf(files);
  for (const { name, covered, total, ratioMin } of rows) {
    const verdict = covered / total >= ratioMin ? 'ok' : 'TOO LOW';
    const percent = ((100 * covered) / total).toFixed(1).padStart(5);
    process.stdout.write(
      `${name.padEnd(16)} ${percent} % of ${String(total).padStart(5)} lines, at least ${100 * ratioMin} %  ${verdict}\n`,
    );
  }
  const failed = rows.filter(({ covered, total, ratioMin }) => covered / total < ratioMin);
  if (failed.length === 0 && rows.length > 1) return;
  process.stdout.write(`\nlines that nothing ran:\n${files.map(missedLines).filter(Boolean).join('\n')}\n`);
  process.exitCode = 1;
}

main();
