// Judges the detectors: on a file of traces (`--data FILE`, form in scripts/traces.ts), and on a recording of windows (`--windows FOLDER`).
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TraceDetector } from '../src/behaviour/index.ts';
import { parsePolicy } from '../src/policy/index.ts';
import { DatasetError } from './dataset/manifest.ts';
import { readRecording } from './dataset/recording-folder.ts';
import type { Figures } from './detection-figures.ts';
import { evaluate, type Evaluation } from './evaluation.ts';
import { parseTraces, type Trace, TraceFileError } from './traces.ts';
import { evaluateWindows, type WindowEvaluation } from './window-evaluation.ts';
import { windowTable } from './window-table.ts';

const USAGE = `npm run evaluate                       the ADFA-LD traces beside the project, and .cache/dataset where it was recorded
npm run evaluate -- --data FILE --json  any file of such traces, with each trace's score
npm run evaluate -- --windows FOLDER    a recording that npm run dataset made; --json tells each run

One JSON object a line, plain or gzipped: "set" (train, validation or attack), "label", "id", "calls" (numbers).`;

const DEFAULT_DATA = new URL('../../shared/data/adfa-ld/dev.jsonl.gz', import.meta.url);
const DEFAULT_WINDOWS = fileURLToPath(new URL('../.cache/dataset', import.meta.url));
const DEFAULT_POLICY = fileURLToPath(new URL('../policies/default.yaml', import.meta.url));
const SPEED_MS = 1500;

async function main(): Promise<number> {
  const { data, windows, json, help } = optionsOf(process.argv.slice(2));
  if (help === true) {
    console.log(USAGE);
    return 0;
  }
  if (windows !== undefined) {
    const evaluation = await evaluateRecording(windows);
    console.log(json === true ? JSON.stringify(evaluation) : windowTable(evaluation));
    return 0;
  }
  const traces = parseTraces(readFileSync(data ?? DEFAULT_DATA));
  const evaluation = evaluate(traces);
  if (json === true) console.log(JSON.stringify(evaluation));
  else console.log(tableOf(evaluation, callsPerSecond(traces)));
  if (json !== true && data === undefined) console.log(`\n${await ownTable()}`);
  return 0;
}

async function evaluateRecording(folder: string): Promise<WindowEvaluation> {
  const { runtime } = parsePolicy(readFileSync(DEFAULT_POLICY, 'utf8'), DEFAULT_POLICY);
  return evaluateWindows(await readRecording(folder), runtime);
}

async function ownTable(): Promise<string> {
  if (!existsSync(DEFAULT_WINDOWS)) return 'no windows were recorded here: npm run dataset does that, in minutes';
  return windowTable(await evaluateRecording(DEFAULT_WINDOWS));
}

function optionsOf(args: string[]): {
  data?: string | undefined;
  windows?: string | undefined;
  json?: boolean | undefined;
  help?: boolean | undefined;
} {
  const options = {
    data: { type: 'string' },
    windows: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  return parseArgs({ args, options }).values;
}

/** By the processor's time, as other work on the machine says nothing about the detector. */
function callsPerSecond(traces: readonly Trace[]): number {
  const detector = new TraceDetector(traces.filter(({ set }) => set === 'train').map(({ calls }) => calls));
  const others = traces.filter(({ set }) => set !== 'train');
  let calls = 0;
  const start = process.cpuUsage();
  for (let at = 0; process.cpuUsage(start).user < SPEED_MS * 1000; at += 1) {
    const trace = others[at % others.length];
    detector.score(trace?.calls ?? []);
    calls += trace?.calls.length ?? 0;
  }
  return (calls * 1e6) / process.cpuUsage(start).user;
}

function tableOf(evaluation: Evaluation, speed: number): string {
  const { baselines, streamed, poisoning, calibration } = evaluation;
  const rows: [string, Figures][] = [
    ['provost', evaluation],
    ['STIDE, 6 calls', baselines.stide],
    ['few distinct calls', baselines.fewDistinctCalls],
    ['after a stream: first half', streamed.firstHalf],
    ['after a stream: every other', streamed.everyOther],
    ['same, attacks not in stream', poisoning.clean],
    ['  10 % of stream attacks', poisoning.poisoned],
  ];
  return [
    `${'detector'.padEnd(30)}ROC-AUC  at 1 %  at 5 %`,
    ...rows.map(
      ([name, { auc, detection }]) =>
        `${name.padEnd(30)}${[auc, detection['0.01'], detection['0.05']].map((value) => (value ?? 0).toFixed(3).padEnd(8)).join('')}`,
    ),
    '',
    ...calibration.map(
      ({ promised, seen, blocks }) =>
        `${promised * 100} % false alarms promised: ${(seen * 100).toFixed(2)} % seen; blocks of 500: ${blocks.join(' ')}`,
    ),
    `${(speed / 1e6).toFixed(1)} million system calls scored a second of one core`,
  ].join('\n');
}

/** Usage and bad data are 2, as everywhere. */
function messageOf(error: unknown): string {
  if (error instanceof TraceFileError || error instanceof DatasetError || (error instanceof Error && 'code' in error))
    return error.message;
  throw error;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`evaluate: ${messageOf(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
