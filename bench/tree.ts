// Promise: the tree over 262,144 entries is built at nine tenths of the rate of Go's checksum database, or more.
import { askGo, goEntry, type GoQuestion, goTlog } from '../test/go-tools.ts';
import { findCommand } from '../test/needs.ts';
import { type TileFile, TreeEdge } from '../src/ledger/tree-edge.ts';
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

/** Entries are in memory before either clock runs, and both keep the hashes alone, on one thread; the bundles of entries are made apart. */
export async function run(): Promise<readonly BenchRow[]> {
  if (findCommand('go') === null)
    return [{ what: WHAT, value: 'not measured', target: TARGET, ok: null, detail: 'no go here' }];
  const program = await goTlog();
  const large = await medians(program, ENTRY_BYTES);
  const small = await medians(program, SMALL_BYTES);
  const ratio = large.go / large.us;
  const text = (us: number, go: number): string => `${(go / us).toFixed(2)}×`;
  return [
    {
      what: WHAT,
      value: `${ratio.toFixed(2)}×`,
      target: TARGET,
      ok: ratio >= RATIO_MIN,
      detail: `of its rate; entries of ${ENTRY_BYTES} bytes, median of ${ROUNDS} rounds ${large.us.toFixed(0)} ms against ${large.go.toFixed(0)} ms; ${text(large.bundled, large.go)} when we make the bundles of entries too; ${text(small.us, small.go)} with entries of ${SMALL_BYTES} bytes`,
    },
  ];
}

/** Milliseconds. */
interface Medians {
  readonly us: number;
  readonly bundled: number;
  readonly go: number;
}

/** By turns, so that all meet the same neighbours; the roots must be the same. */
async function medians(program: string, bytes: number): Promise<Medians> {
  const entries = Array.from({ length: ENTRIES }, (_, at) => goEntry(PREFIX, at, bytes));
  const question: GoQuestion = { do: 'time', prefix: PREFIX, size: ENTRIES, bytes };
  const [us, bundled, go]: [number[], number[], number[]] = [[], [], []];
  // The first round of each only warms up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const ours = build(entries, () => undefined);
    const [theirs] = await askGo(program, [question]);
    const withBundles = build(entries, ({ bytes: made }) => made);
    const roots = [ours.root, withBundles.root];
    if (roots.some((root) => root !== theirs?.root) || theirs?.nanoseconds === undefined)
      throw new Error('the roots differ');
    if (round === 0) continue;
    us.push(ours.ms);
    bundled.push(withBundles.ms);
    go.push(theirs.nanoseconds / 1e6);
  }
  return { us: percentile(us, 0.5), bundled: percentile(bundled, 0.5), go: percentile(go, 0.5) };
}

function build(
  entries: readonly Buffer[],
  take: (file: TileFile) => unknown,
): { readonly ms: number; readonly root: string } {
  const startMs = performance.now();
  const edge = new TreeEdge();
  for (const entry of entries) {
    edge.add(entry);
    if (edge.size % TAKEN_TOGETHER === 0) edge.takeFull().forEach(take);
  }
  const root = edge.root();
  return { ms: performance.now() - startMs, root: root.toString('base64') };
}

await runAlone(import.meta, run);
