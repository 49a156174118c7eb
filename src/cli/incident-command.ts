// `provost incident`: what happened, what was done, and what people say of it.
import type { Command } from 'commander';

import type { IncidentDocument } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import type { Output } from './output.ts';
import { printable } from './output.ts';
import { ago } from './words.ts';

/** Adds `incident list | show | ack | resolve`. */
export function addIncident(program: Command, finish: Finish): void {
  const incident = program
    .command('incident')
    .summary('list, acknowledge and resolve incidents')
    .addHelpText(
      'before',
      '\nExamples:\n  provost incident list --open\n  provost incident show inc-1\n  provost incident ack inc-1\n  provost incident resolve inc-1 --reason "test traffic" --key alice\n',
    );
  addList(incident, finish);
  addShow(incident, finish);
  addNote(incident, finish, { name: 'ack', state: 'acknowledge', summary: 'say that somebody has seen it' });
  addNote(incident, finish, { name: 'resolve', state: 'resolve', summary: 'say that it is over: its cap is lifted' });
}

function addList(incident: Command, finish: Finish): void {
  incident
    .command('list')
    .summary('all incidents, newest first')
    .option('--open', 'only those that are not resolved')
    .option('--workload <name>')
    .action(async (flags: { open?: boolean; workload?: string }, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const query = new URLSearchParams({
        ...(flags.open === true ? { open: 'true' } : {}),
        ...(flags.workload === undefined ? {} : { workload: flags.workload }),
      });
      const incidents = await client.call<IncidentDocument[]>({
        method: 'GET',
        path: `/v1/incidents?${query.toString()}`,
      });
      if (out.json) for (const one of incidents) out.object(one);
      else printTable(out, incidents);
      finish(exitStatus.done);
    });
}

function printTable(out: Output, incidents: readonly IncidentDocument[]): void {
  const rows = incidents.map((one) => [
    one.id,
    one.workload,
    out.paint(one.severity === 'critical' || one.severity === 'high' ? 'red' : 'yellow', one.severity),
    one.kind,
    one.state,
    ago(one.opened, Date.now()),
    one.actions.map((action) => action.kind).join(', '),
  ]);
  out.table(['ID', 'WORKLOAD', 'SEVERITY', 'KIND', 'STATE', 'OPENED', 'ACTIONS'], rows);
}

function addShow(incident: Command, finish: Finish): void {
  incident
    .command('show')
    .summary('one incident: its evidence, and each action with what the kernel said before and after')
    .argument('<id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const one = await client.call<IncidentDocument>({
        method: 'GET',
        path: `/v1/incidents/${encodeURIComponent(id)}`,
      });
      if (out.json) out.object(one);
      else printIncident(out, one);
      finish(exitStatus.done);
    });
}

function printIncident(out: Output, one: IncidentDocument): void {
  out.line(`${out.paint('bold', one.id)}  ${one.severity} ${one.kind}, ${one.state}, opened ${one.opened}`);
  out.line(`workload  ${one.workload}, revision ${one.revision}`);
  for (const reason of one.evidence) out.line(`because   ${printable(reason)}`);
  for (const action of one.actions) {
    const result = action.ok ? (action.enforced ? 'done' : 'only logged (observe)') : `failed: ${action.error ?? ''}`;
    out.line(`did       ${action.kind} (${result}, ${action.tookMs.toFixed(1)} ms): ${printable(action.reason)}`);
    out.line(out.paint('dim', `          before ${JSON.stringify(action.before)}`));
    out.line(out.paint('dim', `          after  ${JSON.stringify(action.after)}`));
  }
  if (one.resolution !== null) out.line(`resolved  ${one.resolution.at}: ${printable(one.resolution.reason)}`);
}

interface NoteCommand {
  readonly name: string;
  readonly state: string;
  readonly summary: string;
}

function addNote(incident: Command, finish: Finish, note: NoteCommand): void {
  incident
    .command(note.name)
    .summary(note.summary)
    .argument('<id>')
    .option('--reason <text>', 'for the ledger', '')
    .option('--key <name>', 'operator’s key that signs the entry; default: the home’s own')
    .action(async (id: string, flags: { reason: string; key?: string }, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const one = await client.call<IncidentDocument>({
        method: 'POST',
        path: `/v1/incidents/${encodeURIComponent(id)}/${note.state}`,
        body: { reason: flags.reason, key: flags.key ?? null },
      });
      if (out.json) out.object(one);
      else out.line(`${one.id}: ${one.state}`);
      finish(exitStatus.done);
    });
}
