// `provost events`: what happens, as it happens.
import type { Command } from 'commander';

import { type WorkloadEvent, workloadEvent } from '../api/index.ts';
import { exitStatus, formatSize } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { shortDigest, tierText } from './words.ts';

interface EventFlags {
  readonly workload?: string;
  readonly since?: string;
  readonly windows?: boolean;
}

/** Adds `events` to the program. */
export function addEvents(program: Command, finish: Finish): void {
  program
    .command('events')
    .summary('follow admissions, grants, incidents and ends')
    .option('--workload <name>', 'only of this one')
    .option('--since <seq>', 'kept events after this number first; 0 is all')
    .option('--windows', 'also every window of telemetry')
    .addHelpText(
      'before',
      '\nExamples:\n  provost events\n  provost events --workload web --windows --json\n  provost events --since 0\n',
    )
    .action(async (flags: EventFlags, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const query = new URLSearchParams({
        ...(flags.workload === undefined ? {} : { workload: flags.workload }),
        ...(flags.since === undefined ? {} : { after: flags.since }),
      });
      for await (const { value } of client.events(`/v1/events?${query.toString()}`)) {
        const event = workloadEvent.parse(value);
        if (event.event === 'window' && flags.windows !== true) continue;
        if (out.json) out.object(event);
        else out.line(eventLine(out, event));
      }
      finish(exitStatus.done);
    });
}

/** One event as a line for people. */
export function eventLine(out: Output, event: WorkloadEvent): string {
  const head = `${out.paint('dim', event.time)} ${out.paint('bold', event.workload)}`;
  return `${head} ${event.event}: ${describe(out, event)}`;
}

function describe(out: Output, event: WorkloadEvent): string {
  switch (event.event) {
    case 'admitted':
      return `${shortDigest(event.artifact.digest)} score ${event.score.toFixed(3)} ${tierText(out, event.grantedTier)} under ${event.driver} (entry ${event.logIndex})`;
    case 'started':
      return `pid ${event.pid}, revision ${event.revision}, ${event.startMs.toFixed(0)} ms`;
    case 'window':
      return `anomaly ${event.anomaly.toFixed(3)}, score ${event.score.toFixed(3)}, ${event.usage.cpuMillicores.toFixed(0)}m CPU, ${formatSize(event.usage.memoryBytes)}`;
    case 'refused':
      return `${event.code}: ${event.reasons.map(printable).join('; ')}`;
    case 'grant':
      return `${tierText(out, event.fromTier)} → ${tierText(out, event.toTier)}${event.enforced ? '' : ' (observed only)'}, ${event.reason}; decided in ${event.decideMs.toFixed(2)} ms, applied in ${event.applyMs.toFixed(2)} ms`;
    case 'incident':
      return `${event.id} ${event.severity} ${event.kind}: ${event.evidence.map(printable).join('; ')} → ${event.actions.join(', ')}`;
    case 'exited':
      return `code ${event.code}${event.signal === null ? '' : `, signal ${event.signal}`}, ${event.reason}${event.final ? '' : ' (goes on)'}`;
    case 'progress':
      return event.step;
    default:
      return event satisfies never;
  }
}
