// Records the data set of windows on this host: `npm run dataset [-- --quick] [--seed N] [--out FOLDER]`. What it is: docs/dataset.md.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { countsOf, digestOfParts, type Manifest } from './dataset/manifest.ts';
import { type PlannedRun, planRuns } from './dataset/plan.ts';
import { labelOf, type RecordedRun } from './dataset/recorded-run.ts';
import { GUEST_FOLDER, guestFiles, record, type Recording, recordingPolicy } from './dataset/recorder.ts';
import { openWriter, writeManifest } from './dataset/recording-folder.ts';

const PROJECT = join(import.meta.dirname, '..');
const SEED = 20_261_128;
const SEED_MAX = 2 ** 31;
/** Exit statuses, as everywhere. */
const USAGE_EXIT = 2;
const INTERRUPTED = 130;

const USAGE = `npm run dataset                          records everything into .cache/dataset (minutes, as root)
npm run dataset -- --quick --out DIR     a small one, to see that it works
npm run dataset -- --seed N              other loads and contents

Then: npm run evaluate -- --windows .cache/dataset`;

interface Options {
  readonly quick: boolean;
  readonly seed: number;
  readonly out: string;
}

function optionsOf(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: `${SEED}` },
      out: { type: 'string', default: join(PROJECT, '.cache/dataset') },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEED_MAX)
    throw new Error(`--seed is a whole number below ${SEED_MAX}`);
  if (process.getuid?.() !== 0) throw new Error('sandboxes and the sensor need root: run it as root');
  return { quick: values.quick, seed, out: resolve(values.out) };
}

async function make({ quick, seed, out }: Options, ended: AbortSignal): Promise<Manifest> {
  mkdirSync(out, { recursive: true, mode: 0o755 });
  const plan = planRuns({ seed, quick });
  const planned = digestOfPlan(plan);
  const writer = openWriter(out);
  const runs: RecordedRun[] = [];
  const labels = new Map<string, { normal: number; attack: number }>();
  const report = ({ run, windows }: Recording): void => {
    writer.write(run, windows);
    runs.push(run);
    const attack = windows.filter((window) => labelOf(window, run.attack) === 'attack').length;
    labels.set(run.id, { normal: windows.length - attack, attack });
    process.stderr.write(`${runs.length}/${plan.length} ${run.id}: ${windows.length} windows\n`);
  };
  await record(out, plan, { report, signal: ended });
  const order = new Map(plan.map(({ id }, at) => [id, at]));
  const manifest: Manifest = {
    version: 1,
    seed,
    quick,
    recorded: new Date().toISOString(),
    host: hostFacts(),
    plan: planned,
    windows: await writer.end(),
    counts: countsOf(runs, labels),
    runs: runs.toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0)),
  };
  writeManifest(out, manifest);
  return manifest;
}

/** Of what is meant to happen: the plan, the policy, and the programs as they are before the first run. */
function digestOfPlan(plan: readonly PlannedRun[]): string {
  const guest = guestFiles().map((name) => readFileSync(join(GUEST_FOLDER, name)));
  return digestOfParts([JSON.stringify(plan), recordingPolicy(), ...guest]);
}

/** The first Ctrl-C takes away what runs; a second one ends at once. */
function listenForEnd(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ending.abort(new Error(`ended by ${signal}; nothing is left running`)));
  }
  return ending.signal;
}

function hostFacts(): Manifest['host'] {
  return {
    kernel: release(),
    architecture: process.arch,
    processors: availableParallelism(),
    node: process.version,
    runc: firstLineOf('runc', '--version'),
    python: firstLineOf('/usr/bin/python3', '--version'),
  };
}

function firstLineOf(command: string, ...args: string[]): string {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout?.split('\n')[0]?.trim() || 'unknown';
}

function summaryOf({ counts }: Manifest): string {
  const rows = Object.entries(counts).map(
    ([name, { runs, normalWindows, attackWindows }]) =>
      `${name.padEnd(12)}${`${runs}`.padStart(6)}${`${normalWindows}`.padStart(16)}${`${attackWindows}`.padStart(16)}`,
  );
  return [`${'split'.padEnd(12)}  runs  normal windows  attack windows`, ...rows].join('\n');
}

const ended = listenForEnd();
try {
  // Before the engine opens its log: of what the recordings alert to, nothing is news.
  process.env['PROVOST_LOG_LEVEL'] ??= 'fatal';
  const options = optionsOf(process.argv.slice(2));
  console.log(options === null ? USAGE : summaryOf(await make(options, ended)));
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  console.error(ended.aborted ? `dataset: ${why}` : `dataset: ${why}\n\n${USAGE}`);
  process.exitCode = ended.aborted ? INTERRUPTED : USAGE_EXIT;
}
