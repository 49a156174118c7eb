// What one measurement says: a row of the table that `npm run bench` prints. How it is measured is each bench file's own.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PROVOST = join(import.meta.dirname, '../bin/provost');

/** One measurement against its target. */
export interface BenchRow {
  /** What was measured, as in docs/promises.md: `a live grant, against runc update`. */
  readonly what: string;
  /** With unit: `73× faster`, `0.21 ms`, `not measured`. */
  readonly value: string;
  /** The promise, with unit: `≥ 50×`; `none` for a figure that is only shown. */
  readonly target: string;
  /** Whether the promise holds; null when this host could not measure it, and then `detail` says why. */
  readonly ok: boolean | null;
  /** Samples, medians, what it was compared with; one line. */
  readonly detail: string;
}

/** A bench file's door: `bench/<name>.ts` exports `run` and ends with `await runAlone(import.meta, run)`. */
export type Bench = () => Promise<readonly BenchRow[]>;

/** Prints the rows as JSON Lines when the bench file was started by itself (`node bench/grant.ts`), and does nothing when it was imported. */
export async function runAlone(meta: ImportMeta, run: Bench): Promise<void> {
  if (!meta.main) return;
  const rows = await run();
  for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  if (rows.some((row) => row.ok === false)) process.exitCode = 1;
}

/** As {@link runAlone}, with the flags that `bin/provost` gives to Node: some bound memory. A process that was started with others starts one with them. */
export function runAsProvost(meta: ImportMeta, run: Bench): Promise<void> {
  const [, text] = /^exec "\$node" (--.*) "\$main"/m.exec(readFileSync(PROVOST, 'utf8')) ?? [];
  if (text === undefined) throw new Error('bin/provost starts Node in another way than it did');
  const flags = text.split(' ');
  if (!meta.main || flags.every((flag) => process.execArgv.includes(flag))) return runAlone(meta, run);
  const { status } = spawnSync(process.execPath, [...flags, meta.filename], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
  return Promise.resolve();
}

/** The value below which `ratio` (0..1) of the samples lie, by nearest rank. */
export function percentile(samples: readonly number[], ratio: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(ratio * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('no samples: a bench that measured nothing has failed');
  return value;
}
