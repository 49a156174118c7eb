// What is recorded: every run with its seed, its split and its times. Pure: the same seed gives the same plan.
import { createHash } from 'node:crypto';
import { type Behaviour, behaviours } from './behaviours.ts';

/** Real programs under a seeded load; guest/workloads.py has them. */
export const workloads = ['web', 'database', 'cache', 'batch', 'build', 'shell', 'node', 'python', 'queue'] as const;

export type Workload = (typeof workloads)[number];
/** Runs that detectors learn from, that their makers may look at, and that nobody tunes to. */
export type Split = 'train' | 'validation' | 'test';

/** One run: one container, from its start to its end. */
export interface PlannedRun {
  readonly id: string;
  readonly workload: Workload;
  readonly split: Split;
  /** Null for a normal run. */
  readonly behaviour: Behaviour | null;
  /** Of its load and its contents. */
  readonly seed: number;
  /** For how long it is left alone: all of a normal run, the time before the attack of another. */
  readonly calmMs: number;
}

interface Size {
  readonly workloads: readonly Workload[];
  readonly behaviours: readonly Behaviour[];
  readonly train: { readonly runs: number; readonly ms: number };
  readonly validation: { readonly runs: number; readonly ms: number };
  readonly test: { readonly runs: number; readonly ms: number };
  /** Workloads that each behaviour turns bad. */
  readonly hosts: number;
  readonly leadMs: number;
}

const whole: Size = {
  workloads,
  behaviours,
  train: { runs: 4, ms: 9000 },
  validation: { runs: 2, ms: 5000 },
  test: { runs: 2, ms: 6000 },
  hosts: 2,
  leadMs: 2200,
};

const QUICK_BEHAVIOURS: ReadonlySet<string> = new Set(['credential-read', 'port-scan', 'timestomp']);

/** Enough to see that everything works, in seconds. */
const quick: Size = {
  workloads: ['cache', 'shell'],
  behaviours: behaviours.filter(({ id }) => QUICK_BEHAVIOURS.has(id)),
  train: { runs: 2, ms: 4000 },
  validation: { runs: 1, ms: 1500 },
  test: { runs: 1, ms: 1500 },
  hosts: 1,
  leadMs: 1500,
};

/** Plans the runs of a recording: normal ones first, as what is learnt comes before what is judged. */
export function planRuns(options: { readonly seed: number; readonly quick: boolean }): PlannedRun[] {
  const size = options.quick ? quick : whole;
  const runs = [...normalRuns(size), ...attackRuns(size)];
  return runs.map((run) => ({ ...run, seed: seedOf(options.seed, run.id) }));
}

type Unseeded = Omit<PlannedRun, 'seed'>;

function normalRuns(size: Size): Unseeded[] {
  return (['train', 'validation', 'test'] as const).flatMap((split) =>
    Array.from({ length: size[split].runs }, (_, at) => at + 1).flatMap((number) =>
      size.workloads.map((workload) => ({
        id: `${workload}-${split}-${number}`,
        workload,
        split,
        behaviour: null,
        calmMs: size[split].ms,
      })),
    ),
  );
}

/** Of a behaviour that may be tuned to, the first run is for that and the others are not; of one that is kept out, none is. */
function attackRuns(size: Size): Unseeded[] {
  return size.behaviours.flatMap((behaviour, index) =>
    Array.from({ length: size.hosts }, (_, at) => {
      const workload = size.workloads[(index * size.hosts + at) % size.workloads.length] as Workload;
      const split: Split = at === 0 && !behaviour.keptOut ? 'validation' : 'test';
      return { id: `${behaviour.id}-in-${workload}`, workload, split, behaviour, calmMs: size.leadMs };
    }),
  );
}

/** 31 bits, so that every language reads the same number. */
function seedOf(seed: number, id: string): number {
  return createHash('sha256').update(`${seed}/${id}`).digest().readUInt32BE() >>> 1;
}
