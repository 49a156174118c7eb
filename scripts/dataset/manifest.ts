// What a recording says of itself: where, with what and from which seed it was made, each run, and how much there is of what.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RecordedRun } from './recorded-run.ts';

export const MANIFEST_FILE = 'manifest.json';
export const WINDOWS_FILE = 'windows.jsonl.gz';
const RUNS_MAX = 20_000;
const NAME_CHARACTERS_MAX = 100;

const name = z.string().min(1).max(NAME_CHARACTERS_MAX);
const timeMs = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const split = z.enum(['train', 'validation', 'test']);

const run = z.strictObject({
  id: name,
  workload: name,
  split,
  label: z.enum(['normal', 'attack']),
  behaviour: name.nullable(),
  technique: name.nullable(),
  manner: z.enum(['plain', 'slow', 'mimicry']).nullable(),
  keptOut: z.boolean(),
  seed: z.int().min(0),
  attack: z.strictObject({ fromMs: timeMs, toMs: timeMs }).nullable(),
  grant: z.strictObject({ pids: z.int().min(1), cpu: z.strictObject({ millicores: z.number().min(0) }) }),
  windows: z.int().min(0),
});

const counts = z.strictObject({ runs: z.int(), normalWindows: z.int(), attackWindows: z.int() });

const manifest = z.strictObject({
  version: z.literal(1),
  seed: z.int(),
  quick: z.boolean(),
  recorded: z.string().max(NAME_CHARACTERS_MAX),
  host: z.strictObject({ kernel: name, architecture: name, processors: z.int(), node: name, runc: name, python: name }),
  /** SHA-256 of the guest's programs and of the plan: what was meant to happen. */
  plan: z.string().regex(/^[0-9a-f]{64}$/),
  /** SHA-256 of the file of windows. */
  windows: z.string().regex(/^[0-9a-f]{64}$/),
  counts: z.strictObject({ train: counts, validation: counts, test: counts, keptOut: counts }),
  runs: z.array(run).min(1).max(RUNS_MAX),
});

export type Manifest = z.infer<typeof manifest>;
export type Counts = Manifest['counts'];

/** A folder that holds no recording, or not the one that its manifest tells of; the message says why. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}

/** Reads a manifest, and refuses one in which a run is in a split that it may not be in. @throws DatasetError */
export function parseManifest(text: string): Manifest {
  const read = manifest.safeParse(documentOf(text));
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new DatasetError(`${MANIFEST_FILE}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a manifest'}`);
  }
  const wrong = splitBreaches(read.data.runs);
  if (wrong.length > 0) throw new DatasetError(`${MANIFEST_FILE}: ${wrong[0] ?? ''}`);
  return read.data;
}

function documentOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DatasetError(`${MANIFEST_FILE} is not JSON`, { cause });
  }
}

/** What is wrong with the splits of runs: each run is in one, nothing that is kept out is tuned to, and no attack is learnt. */
export function splitBreaches(
  runs: readonly Pick<RecordedRun, 'id' | 'label' | 'split' | 'keptOut' | 'behaviour'>[],
): string[] {
  const found: string[] = [];
  const ids = new Set<string>();
  const keptOut = new Set(runs.filter((one) => one.keptOut).map(({ behaviour }) => behaviour));
  for (const { id, label, split, behaviour } of runs) {
    if (ids.has(id)) found.push(`run ${id} stands twice`);
    ids.add(id);
    if ((label === 'attack') !== (behaviour !== null)) found.push(`run ${id} is labelled ${label}`);
    if (label === 'attack' && split === 'train') found.push(`attack ${id} is in the train split`);
    if (behaviour !== null && keptOut.has(behaviour) && split !== 'test')
      found.push(`kept-out ${id} is in the ${split} split`);
  }
  return found;
}

/** How much there is of what; `labels` counts windows by run. */
export function countsOf(
  runs: readonly Pick<RecordedRun, 'id' | 'split' | 'keptOut'>[],
  labels: ReadonlyMap<string, { readonly normal: number; readonly attack: number }>,
): Counts {
  const of = (chosen: typeof runs): Counts['train'] => ({
    runs: chosen.length,
    normalWindows: chosen.reduce((sum, { id }) => sum + (labels.get(id)?.normal ?? 0), 0),
    attackWindows: chosen.reduce((sum, { id }) => sum + (labels.get(id)?.attack ?? 0), 0),
  });
  const open = runs.filter((one) => !one.keptOut);
  return {
    train: of(open.filter((one) => one.split === 'train')),
    validation: of(open.filter((one) => one.split === 'validation')),
    test: of(open.filter((one) => one.split === 'test')),
    keptOut: of(runs.filter((one) => one.keptOut)),
  };
}

/** SHA-256 in hex over parts, each with its length before it. */
export function digestOfParts(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}\n`);
    hash.update(part);
  }
  return hash.digest('hex');
}
