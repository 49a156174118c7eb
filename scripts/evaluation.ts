// The protocol by which the trace detector is judged: learnt from training normals alone, one configuration for all data.
import { AlarmPromise, TraceDetector } from '../src/behaviour/index.ts';
import { type Figures, figuresOf, scoreFewCalls, trainStide } from './detection-figures.ts';
import type { Trace } from './traces.ts';

/** Traces of a stream in which the promise finds its level, where the stream is long enough for that. */
const BURN_IN_TRACES = 500;
const BLOCK_TRACES = 500;
const PROMISES = [0.01, 0.05] as const;
/** Share of the learning stream that is attacks, when it is poisoned. */
const POISON_SHARE = 0.1;

export interface Calibration {
  readonly promised: number;
  /** False alarms over the stream of validation normals, after the burn-in. */
  readonly seen: number;
  /** Alarms in each block of 500. */
  readonly blocks: readonly number[];
}

/** What `npm run evaluate -- --json` prints; the interface page names the first four. */
export interface Evaluation extends Figures {
  readonly calibration: readonly Calibration[];
  readonly scores: readonly { readonly set: string; readonly id: string; readonly score: number }[];
  readonly baselines: { readonly stide: Figures; readonly fewDistinctCalls: Figures };
  /** Half of the validation normals streamed unlabelled before the other half is scored: the first half of the file, or every other one. */
  readonly streamed: { readonly firstHalf: Figures; readonly everyOther: Figures };
  /** The same stream (first half) without and with attacks among it, on the attacks that were not in it. */
  readonly poisoning: { readonly clean: Figures; readonly poisoned: Figures };
}

/** Evaluates on traces of the three sets. */
export function evaluate(traces: readonly Trace[]): Evaluation {
  const [train, normals, attacks] = (['train', 'validation', 'attack'] as const).map((set) =>
    traces.filter((trace) => trace.set === set),
  ) as [Trace[], Trace[], Trace[]];
  const detector = learnt(train);
  const score = scorerOf(detector);
  const figures = figuresBy(score, normals, attacks);
  const stide = trainStide(train.map(({ calls }) => calls));
  const half = Math.ceil(normals.length / 2);
  const [first, second] = [normals.slice(0, half), normals.slice(half)];
  return {
    ...figures,
    calibration: calibrationOf(train, normals),
    scores: traces.map((trace) => ({ set: trace.set, id: trace.id, score: score(trace) })),
    baselines: {
      stide: figuresBy(({ calls }) => stide(calls), normals, attacks),
      fewDistinctCalls: figuresBy(({ calls }) => scoreFewCalls(calls), normals, attacks),
    },
    streamed: {
      firstHalf: figuresBy(streamed(train, first), second, attacks),
      everyOther: figuresBy(
        streamed(
          train,
          normals.filter((_, at) => at % 2 === 0),
        ),
        normals.filter((_, at) => at % 2 === 1),
        attacks,
      ),
    },
    poisoning: poisoningOf(train, { first, second, attacks }),
  };
}

type Scorer = (trace: Trace) => number;

function learnt(train: readonly Trace[]): TraceDetector {
  return new TraceDetector(train.map(({ calls }) => calls));
}

function scorerOf(detector: TraceDetector): Scorer {
  return ({ calls }) => detector.score(calls).score;
}

function streamed(train: readonly Trace[], stream: readonly Trace[]): Scorer {
  const detector = learnt(train);
  for (const { calls } of stream) detector.observe(calls);
  return scorerOf(detector);
}

function figuresBy(score: Scorer, normals: readonly Trace[], attacks: readonly Trace[]): Figures {
  return figuresOf(normals.map(score), attacks.map(score));
}

function calibrationOf(train: readonly Trace[], stream: readonly Trace[]): Calibration[] {
  const detector = learnt(train);
  const pValues = stream.map(({ calls }) => detector.observe(calls).pValue);
  const burnIn = Math.min(BURN_IN_TRACES, Math.floor(stream.length / 4));
  return PROMISES.map((promised) => {
    const promise = new AlarmPromise(promised);
    const alarms = pValues.map((pValue) => promise.isAlarm(pValue)).slice(burnIn);
    const count = (from: number, to: number): number => alarms.slice(from, to).filter(Boolean).length;
    const blocks = Array.from({ length: Math.floor(alarms.length / BLOCK_TRACES) }, (_, at) =>
      count(at * BLOCK_TRACES, (at + 1) * BLOCK_TRACES),
    );
    return { promised, seen: alarms.length === 0 ? 0 : count(0, alarms.length) / alarms.length, blocks };
  });
}

interface Halves {
  readonly first: readonly Trace[];
  readonly second: readonly Trace[];
  readonly attacks: readonly Trace[];
}

/** Attacks of all families are spread evenly over the stream; the others measure what that cost. */
function poisoningOf(train: readonly Trace[], { first, second, attacks }: Halves): Evaluation['poisoning'] {
  const wanted = Math.min(Math.round(first.length * POISON_SHARE), attacks.length - 1);
  const isPoison = (at: number): boolean =>
    Math.floor(((at + 1) * wanted) / attacks.length) > Math.floor((at * wanted) / attacks.length);
  const poison = attacks.filter((_, at) => isPoison(at));
  const rest = attacks.filter((_, at) => !isPoison(at));
  const every = Math.max(1, Math.floor(first.length / Math.max(1, poison.length)));
  const stream = first.flatMap((trace, at) => {
    const added = at % every === 0 ? poison[at / every] : undefined;
    return added === undefined ? [trace] : [trace, added];
  });
  return {
    clean: figuresBy(streamed(train, first), second, rest),
    poisoned: figuresBy(streamed(train, stream), second, rest),
  };
}
