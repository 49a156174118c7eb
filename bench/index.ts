// Runs the bench and prints its table: `npm run bench [-- NAME…] [-- --json]`. Every bench is a process of its own, so that none warms or burdens another.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchRow } from './row.ts';

/** A bench that has not ended by then has hung. */
const BENCH_MS_MAX = 10 * 60_000;
const NOT_BENCHES: ReadonlySet<string> = new Set(['index.ts', 'row.ts', 'bench-home.ts', 'docker-daemon.ts']);

/** The benches of this folder by name. */
function benchNames(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !NOT_BENCHES.has(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .toSorted();
}

/** Runs one bench and reads its rows; a bench that breaks is a row that says so. */
async function runBench(name: string): Promise<BenchRow[]> {
  const args = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, `${name}.ts`)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: BENCH_MS_MAX });
  const ended = Promise.withResolvers<string>();
  child.once('error', ended.reject);
  child.once('close', (code, signal) => ended.resolve(signal ?? `exit ${code}`));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const end = await ended.promise;
  const rows = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as BenchRow);
  const isBroken = rows.length === 0 || (end !== 'exit 0' && !rows.some(({ ok }) => ok === false));
  return isBroken ? [...rows, { what: name, value: 'broke', target: 'runs', ok: false, detail: end }] : rows;
}

const VERDICTS: ReadonlyMap<boolean | null, string> = new Map([
  [true, 'holds'],
  [false, 'MISSED'],
  [null, 'not measured'],
]);

/** The rows as a table of a Markdown page, columns aligned. */
function table(rows: readonly BenchRow[]): string {
  const cells = rows.map(({ what, target, value, ok, detail }) => [
    what,
    target,
    value,
    VERDICTS.get(ok) ?? '',
    detail,
  ]);
  const lines = [['what', 'target', 'measured', '', 'how'], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
  const written = lines.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|-----|`;
  return [written[0], rule, ...written.slice(1)].join('\n');
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });
  const names = benchNames();
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`bench: there is no ${unknown.join(', ')}; there are ${names.join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const rows: BenchRow[] = [];
  for (const name of positionals.length > 0 ? positionals : names) {
    process.stderr.write(`bench: ${name} …\n`);
    rows.push(...(await runBench(name)));
  }
  process.stdout.write(
    values.json === true ? rows.map((row) => `${JSON.stringify(row)}\n`).join('') : `${table(rows)}\n`,
  );
  if (rows.length === 0 || rows.some(({ ok }) => ok === false)) process.exitCode = 1;
}

await main();
