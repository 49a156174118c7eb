// `provost top`: a live table of what runs, what it may use, and what it uses.
import type { Command } from 'commander';

import type { WorkloadDocument } from '../api/index.ts';
import { exitStatus, formatSize } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import { Output } from './output.ts';
import { durationFlag } from './run-flags.ts';
import { formatRate, tierText } from './words.ts';

const HOME_AND_CLEAR = '\u001B[H\u001B[2J';
const ALTERNATE_SCREEN = '\u001B[?1049h\u001B[?25l';
const NORMAL_SCREEN = '\u001B[?25h\u001B[?1049l';
const BAR_CELLS = 10;

/** Adds `top` to the program. */
export function addTop(program: Command, finish: Finish): void {
  program
    .command('top')
    .summary('live table of workloads: score, tier, use against grant')
    .option('--every <duration>', 'time between two pictures', durationFlag, 1000)
    .option('--once', 'one picture, then leave')
    .addHelpText('before', '\nExamples:\n  provost top\n  provost top --once --json\n')
    .action(async (flags: { every: number; once?: boolean }, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const take = (): Promise<WorkloadDocument[]> => client.call({ method: 'GET', path: '/v1/workloads' });
      const isLive = flags.once !== true && process.stdout.isTTY && !out.json;
      if (isLive) await live(out, take, flags.every);
      else show(out, await take());
      finish(exitStatus.done);
    });
}

async function live(out: Output, take: () => Promise<WorkloadDocument[]>, everyMs: number): Promise<void> {
  const ended = Promise.withResolvers<'ended'>();
  const end = (): void => ended.resolve('ended');
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  process.stdout.write(ALTERNATE_SCREEN);
  try {
    for (;;) {
      const workloads = await take();
      process.stdout.write(HOME_AND_CLEAR);
      out.line(out.paint('bold', `provost top  ${new Date().toLocaleTimeString('en-GB')}  (Ctrl-C ends)`));
      show(out, workloads);
      const { promise, resolve } = Promise.withResolvers<'tick'>();
      const timer = setTimeout(() => resolve('tick'), everyMs);
      if ((await Promise.race([promise, ended.promise])) === 'ended') {
        clearTimeout(timer);
        return;
      }
    }
  } finally {
    process.stdout.write(NORMAL_SCREEN);
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}

function show(out: Output, workloads: readonly WorkloadDocument[]): void {
  const running = workloads.filter(({ state }) => state !== 'exited');
  if (out.json) {
    for (const workload of running) out.object(workload);
    return;
  }
  const rows = running.map((workload) => {
    const { usage, effective } = workload;
    return [
      workload.name,
      workload.state,
      workload.score.toFixed(3),
      tierText(out, workload.grantedTier),
      (workload.anomaly ?? 0).toFixed(2),
      `${bar(out, (usage?.cpuMillicores ?? 0) / (effective?.cpuMillicores ?? 1))} ${(usage?.cpuMillicores ?? 0).toFixed(0)}/${effective?.cpuMillicores ?? 0}m`,
      `${bar(out, (usage?.memoryBytes ?? 0) / (effective?.memoryBytes ?? 1))} ${formatSize(usage?.memoryBytes ?? 0)}/${formatSize(effective?.memoryBytes ?? 0)}`,
      `${usage?.pids ?? 0}/${effective?.pids ?? 0}`,
      effective?.network ?? '-',
      `↓${formatRate((usage?.rxBytesPerSecond ?? 0) * 8)} ↑${formatRate((usage?.txBytesPerSecond ?? 0) * 8)}`,
      `${(usage?.connectionsPerSecond ?? 0).toFixed(0)}/s`,
      `${(usage?.syscallsPerSecond ?? 0).toFixed(0)}/s`,
      workload.driver ?? '-',
    ];
  });
  out.table(
    [
      'NAME',
      'STATE',
      'SCORE',
      'TIER',
      'ODD',
      'CPU',
      'MEMORY',
      'PIDS',
      'NETWORK',
      'TRAFFIC',
      'FLOWS',
      'CALLS',
      'SANDBOX',
    ],
    rows,
  );
}

function bar(out: Output, ratio: number): string {
  const cells = Math.max(0, Math.min(BAR_CELLS, Math.round(ratio * BAR_CELLS)));
  const style = ratio > 0.9 ? 'red' : ratio > 0.6 ? 'yellow' : 'green';
  return out.paint(style, '■'.repeat(cells)) + out.paint('dim', '·'.repeat(BAR_CELLS - cells));
}
