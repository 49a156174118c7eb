// Promise: an entry that is asked to be durable at once is so within 5 ms (p99), beside a bare write and fdatasync of the same bytes.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openJournal } from '../src/ledger/index.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const P99_MS_MAX = 5;
const ENTRIES = 1000;
const ENTRY = Buffer.from(JSON.stringify({ kind: 'decision', filler: 'x'.repeat(1500) }));

/** Appends and bare writes by turns, on one disk, so that both meet the same neighbours. */
export async function run(): Promise<readonly BenchRow[]> {
  // On a disk, where the folder for temporary files may be memory.
  const dir = mkdtempSync('/var/tmp/provost-append-');
  try {
    const journal = await openJournal(join(dir, 'journal'), 'bench');
    const bare = openSync(join(dir, 'bare'), 'a');
    const appended: number[] = [];
    const written: number[] = [];
    for (let n = 0; n < ENTRIES; n += 1) {
      const startMs = performance.now();
      await journal.append(ENTRY, { flush: true });
      const betweenMs = performance.now();
      writeSync(bare, ENTRY);
      fdatasyncSync(bare);
      appended.push(betweenMs - startMs);
      written.push(performance.now() - betweenMs);
    }
    closeSync(bare);
    await journal[Symbol.asyncDispose]();
    return [rowOf(appended, written)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function rowOf(appended: readonly number[], written: readonly number[]): BenchRow {
  const p99 = percentile(appended, 0.99);
  const ratio = percentile(appended, 0.5) / percentile(written, 0.5);
  return {
    what: 'a flushed append to the journal, p99',
    value: `${p99.toFixed(2)} ms`,
    target: `≤ ${P99_MS_MAX} ms`,
    ok: p99 <= P99_MS_MAX,
    detail: `${ENTRIES} entries of ${ENTRY.length} bytes; median ${percentile(appended, 0.5).toFixed(2)} ms, ${ratio.toFixed(2)}× a bare write and fdatasync`,
  };
}

await runAlone(import.meta, run);
