// ps, inspect, logs, stop, rm, rollback, override: what is done with a workload that exists.
import type { Command } from 'commander';

import type { WorkloadDocument } from '../api/index.ts';
import { exitStatus, formatSize, parseDuration } from '../base/index.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { logQuery, parseLogLine, writeLogLine } from './log-output.ts';
import { printable } from './output.ts';
import { durationFlag } from './run-flags.ts';
import { ago, shortDigest, tierText } from './words.ts';

const path = (name: string, rest = ''): string => `/v1/workloads/${encodeURIComponent(name)}${rest}`;

/** All workloads; none when no supervisor runs, since then nothing is supervised. */
async function listWorkloads(context: CliContext): Promise<WorkloadDocument[]> {
  const client = await context.client();
  return client.call<WorkloadDocument[]>({ method: 'GET', path: '/v1/workloads' });
}

/** Adds the commands to the program. */
export function addWorkloadCommands(program: Command, finish: Finish): void {
  addPs(program, finish);
  addInspect(program, finish);
  addLogs(program, finish);
  addStop(program, finish);
  addRemove(program, finish);
  addRollback(program, finish);
  addOverride(program, finish);
}

function addPs(program: Command, finish: Finish): void {
  program
    .command('ps')
    .summary('list workloads')
    .option('-a, --all', 'also those that have ended')
    .addHelpText('before', '\nExamples:\n  provost ps\n  provost ps -a --json\n')
    .action(async (flags: { all?: boolean }, command: Command) => {
      const context = contextOf(command);
      const all = await listWorkloads(context);
      const shown = flags.all === true ? all : all.filter(({ state }) => state !== 'exited');
      if (context.out.json) for (const workload of shown) context.out.object(workload);
      else printTable(context, shown);
      finish(exitStatus.done);
    });
}

function printTable({ out }: CliContext, workloads: readonly WorkloadDocument[]): void {
  const rows = workloads.map((workload) => [
    workload.name,
    shortDigest(workload.artifact.digest),
    workload.state === 'exited' ? `exited (${workload.exit?.code ?? '?'})` : workload.state,
    workload.score.toFixed(2),
    tierText(out, workload.grantedTier),
    `${workload.grant.cpu.millicores}m`,
    formatSize(workload.grant.memory.bytes),
    workload.grant.network,
    workload.driver ?? '-',
    workload.grant.ports.map((port) => `${port.hostPort}→${port.containerPort}`).join(',') || '-',
    ago(workload.started ?? workload.created, Date.now()),
  ]);
  out.table(
    ['NAME', 'ARTIFACT', 'STATE', 'SCORE', 'TIER', 'CPU', 'MEMORY', 'NETWORK', 'SANDBOX', 'PORTS', 'STARTED'],
    rows,
  );
}

function addInspect(program: Command, finish: Finish): void {
  program
    .command('inspect')
    .summary('everything about one workload, with what the kernel holds now')
    .argument('<name>')
    .addHelpText('before', '\nExamples:\n  provost inspect web\n  provost inspect web --json | jq .effective\n')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      const workload = await client.call<WorkloadDocument>({ method: 'GET', path: path(name) });
      if (context.out.json) context.out.object(workload);
      else context.out.line(JSON.stringify(workload, null, 2));
      finish(exitStatus.done);
    });
}

interface LogFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly audit?: boolean;
}

function addLogs(program: Command, finish: Finish): void {
  program
    .command('logs')
    .summary('what a workload wrote')
    .argument('<name>')
    .option('-f, --follow', 'go on as it writes')
    .option('--tail <lines>', 'only the last lines')
    .option('--timestamps', 'with the time of each line')
    .option('--audit', 'instead: what the sensor saw of it (exec, connect, open of watched paths)')
    .addHelpText(
      'before',
      '\nExamples:\n  provost logs web --tail 20\n  provost logs -f web\n  provost logs web --audit --json\n',
    )
    .action(async (name: string, flags: LogFlags, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      const query = {
        ...(flags.follow === true ? { follow: 'true' } : {}),
        ...(flags.tail === undefined ? {} : { tail: flags.tail }),
        ...(flags.audit === true ? { audit: 'true' } : {}),
      };
      for await (const value of client.lines({ method: 'GET', path: logQuery(name, query) })) {
        if (context.out.json) context.out.object(value);
        else if (flags.audit === true) printAudit(context, value);
        else printLog(flags, value);
      }
      finish(exitStatus.done);
    });
}

function printLog(flags: LogFlags, value: unknown): void {
  const line = parseLogLine(value);
  writeLogLine(flags.timestamps === true ? { ...line, text: `${line.time} ${line.text}` } : line);
}

function printAudit({ out }: CliContext, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const event = value as Readonly<Record<string, string | number | undefined>>;
  const cell = (key: string): string => printable(String(event[key] ?? ''));
  out.line(`${cell('time')}  ${cell('kind').padEnd(11)} ${cell('comm').padEnd(15)} ${cell('target')}`);
}

function addStop(program: Command, finish: Finish): void {
  program
    .command('stop')
    .summary('end a workload: its stop signal, then SIGKILL')
    .argument('<name...>')
    .option('-t, --timeout <duration>', 'time between the two', durationFlag)
    .addHelpText('before', '\nExamples:\n  provost stop web\n  provost stop -t 30s web db\n')
    .action(async (names: string[], flags: { timeout?: number }, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      for (const name of names) {
        const body = { timeoutMs: flags.timeout ?? null };
        const workload = await client.call({ method: 'POST', path: path(name, '/stop'), body });
        if (context.out.json) context.out.object(workload);
        else context.out.line(name);
      }
      finish(exitStatus.done);
    });
}

function addRemove(program: Command, finish: Finish): void {
  program
    .command('rm')
    .summary('remove workloads that have ended, with their logs and writable layers')
    .argument('<name...>')
    .option('-f, --force', 'end running ones first')
    .addHelpText('before', '\nExamples:\n  provost rm web\n  provost rm -f web db\n')
    .action(async (names: string[], flags: { force?: boolean }, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      for (const name of names) {
        await client.call({ method: 'DELETE', path: path(name, flags.force === true ? '?force=true' : '') });
        if (context.out.json) context.out.object({ removed: name });
        else context.out.line(name);
      }
      finish(exitStatus.done);
    });
}

function addRollback(program: Command, finish: Finish): void {
  program
    .command('rollback')
    .summary('start the last good revision, with a fresh writable layer')
    .argument('<name>')
    .option('--reason <text>', 'why, for the ledger', 'asked for by a person')
    .addHelpText('before', '\nExamples:\n  provost rollback web --reason "errors after the update"\n')
    .action(async (name: string, flags: { reason: string }, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      const call = { method: 'POST', path: path(name, '/rollback'), body: { reason: flags.reason } } as const;
      const workload = await client.call<WorkloadDocument>(call);
      if (context.out.json) context.out.object(workload);
      else context.out.line(`${name}: revision ${workload.revision} (${shortDigest(workload.artifact.digest)}) runs`);
      finish(exitStatus.done);
    });
}

interface OverrideFlags {
  readonly tier?: string;
  readonly for?: string;
  readonly reason?: string;
  readonly clear?: boolean;
  readonly key?: string;
}

function addOverride(program: Command, finish: Finish): void {
  program
    .command('override')
    .summary('give a workload a tier for a time, with a reason; a revocation still beats it')
    .argument('<name>')
    .option('--tier <high|medium|low>')
    .option('--for <duration>', 'until when', '1h')
    .option('--reason <text>')
    .option('--clear', 'end the override')
    .option('--key <name>', 'operator’s key that signs the entry; default: the home’s own')
    .addHelpText(
      'before',
      '\nExamples:\n  provost override web --tier high --for 2h --reason "load test"\n  provost override web --clear --key alice\n',
    )
    .action(async (name: string, flags: OverrideFlags, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      const key = flags.key ?? null;
      const query = key === null ? '' : `?key=${encodeURIComponent(key)}`;
      const body = { tier: flags.tier, forMs: parseDuration(flags.for ?? '1h'), reason: flags.reason ?? '', key };
      const workload = await client.call<WorkloadDocument>(
        flags.clear === true
          ? { method: 'DELETE', path: `${path(name, '/override')}${query}` }
          : { method: 'POST', path: path(name, '/override'), body },
      );
      if (context.out.json) context.out.object(workload);
      else context.out.line(`${name}: ${tierText(context.out, workload.grantedTier)}`);
      finish(exitStatus.done);
    });
}
