// Promise: the tree over 262,144 entries is built at nine tenths of the rate of Go's checksum database, or more.
import { askGo, goEntry, type GoQuestion, goTlog } from '../test/go-tools.ts';
import { findCommand } from '../test/needs.ts';
import { TreeEdge } from '../src/ledger/tree-edge.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RATIO_MIN = 0.9;
const ENTRIES = 262_144;
const ENTRY_BYTES = 1024;
/** Entries whose hash costs little more than that of a node. */
const SMALL_BYTES = 16;
const ROUNDS = 5;
/** A writer takes full tiles away with each checkpoint; so does this, or a bench of trees would be one of memory. */
const TAKEN_TOGETHER = 4096;
const PREFIX = 'entry';
const WHAT = `the tree over ${ENTRIES.toLocaleString('en')} entries, against Go's tlog`;
const TARGET = `≥ ${RATIO_MIN}×`;

/** Entries are in memory before either clock runs. Ours makes the bundles of entries too, and Go's keeps hashes alone. */
export async function run(): Promise<readonly BenchRow[]> {
  if (findCommand('go') === null)
    return [{ what: WHAT, value: 'not measured', target: TARGET, ok: null, detail: 'no go here' }];
  const program = await goTlog();
  const large = await medians(program, ENTRY_BYTES);
  const small = await medians(program, SMALL_BYTES);
  const ratio = large.go / large.us;
  return [
    {
      what: WHAT,
      value: `${ratio.toFixed(2)}×`,
      target: TARGET,
      ok: ratio >= RATIO_MIN,
      detail: `of its rate; entries of ${ENTRY_BYTES} bytes, median of ${ROUNDS} rounds ${large.us.toFixed(0)} ms, with the bundles, against ${large.go.toFixed(0)} ms for hashes alone; ${(small.go / small.us).toFixed(2)}× with entries of ${SMALL_BYTES} bytes`,
    },
  ];
}

/** Milliseconds, by turns, so that both meet the same neighbours; the roots must be the same. */
async function medians(program: string, bytes: number): Promise<{ readonly us: number; readonly go: number }> {
  const entries = Array.from({ length: ENTRIES }, (_, at) => goEntry(PREFIX, at, bytes));
  const question: GoQuestion = { do: 'time', prefix: PREFIX, size: ENTRIES, bytes };
  const [us, go]: [number[], number[]] = [[], []];
  // The first round of each only warms up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const ours = build(entries);
    const [theirs] = await askGo(program, [question]);
    if (theirs?.root !== ours.root || theirs.nanoseconds === undefined) throw new Error('the two roots differ');
    if (round === 0) continue;
    us.push(ours.ms);
    go.push(theirs.nanoseconds / 1e6);
  }
  return { us: percentile(us, 0.5), go: percentile(go, 0.5) };
}

function build(entries: readonly Buffer[]): { readonly ms: number; readonly root: string } {
  const startMs = performance.now();
  const edge = new TreeEdge();
  for (const entry of entries) {
    edge.add(entry);
    if (edge.size % TAKEN_TOGETHER === 0) edge.takeFull();
  }
  const root = edge.root();
  return { ms: performance.now() - startMs, root: root.toString('base64') };
}

await runAlone(import.meta, run);
