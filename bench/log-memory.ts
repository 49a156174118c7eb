// Promise: the memory of a log does not grow with its entries. Ten million take minutes: PROVOST_BENCH_LEAVES says how many.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/index.ts';
import { makePublicLog, openPublicLog } from '../src/ledger/index.ts';
import { type BenchRow, percentile, runAsProvost } from './row.ts';

const RSS_MIB_MAX = 200;
/** From the second third to the last: the cache of the index of duplicates is full after some 600,000 entries, and memory is noisy. */
const GROWTH_MIB_MAX = 8;
const LEAVES = Number(process.env['PROVOST_BENCH_LEAVES'] ?? 2_000_000);
/** Short, so that disks are no matter: what a log holds of each entry is the same. */
const ENTRY_BYTES = 64;
const IN_FLIGHT = 512;
const RSS_EVERY_MS = 100;

/** Resident memory of this process, with its load, in the order of time. */
export async function run(): Promise<readonly BenchRow[]> {
  const dir = mkdtempSync('/var/tmp/provost-log-memory-');
  try {
    return [rowOf(await append(join(dir, 'log')))];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function append(dir: string): Promise<readonly number[]> {
  makePublicLog(dir, 'example.com/bench');
  await using log = await openPublicLog({ dir, witnesses: [], quorum: 0 });
  const rss: number[] = [];
  const watch = setInterval(() => rss.push(process.memoryUsage.rss()), RSS_EVERY_MS);
  let sent = 0;
  const work = async (): Promise<void> => {
    const entry = Buffer.alloc(ENTRY_BYTES);
    while (sent < LEAVES) {
      entry.writeUInt32LE(sent++);
      await log.add(entry);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  clearInterval(watch);
  if (log.size !== LEAVES) throw new Error(`${log.size} of ${LEAVES} entries are in the log`);
  return rss;
}

function rowOf(rss: readonly number[]): BenchRow {
  const part = (from: number, to: number): number =>
    Math.round(percentile(rss.slice(rss.length * from, rss.length * to + 1), 0.5) / MIB);
  const most = Math.round(Math.max(...rss) / MIB);
  const [early, late] = [part(1 / 3, 2 / 3), part(2 / 3, 1)];
  return {
    what: 'memory of a log while it grows',
    value: `${most} MiB`,
    target: `≤ ${RSS_MIB_MAX} MiB, flat`,
    ok: most <= RSS_MIB_MAX && late - early <= GROWTH_MIB_MAX,
    detail: `the most, over ${LEAVES.toLocaleString('en')} entries of ${ENTRY_BYTES} bytes, ${IN_FLIGHT} on their way; median ${early} MiB in the second third, ${late} MiB in the last`,
  };
}

await runAsProvost(import.meta, run);
