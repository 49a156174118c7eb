// `provost serve` and `provost shutdown`: the supervisor in the foreground, and its end.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { CliError } from './cli-error.ts';
import { contextOf, type Finish } from './context.ts';
import { readInput } from './run-flags.ts';

interface ServeFlags {
  readonly listen?: string;
  readonly tokenFile?: string;
}

/** Adds `serve` and `shutdown` to the program. */
export function addServe(program: Command, finish: Finish): void {
  program
    .command('serve')
    .summary('the supervisor in the foreground, for systemd; never leaves by itself')
    .option('--listen <host:port>', 'also listen on TCP; needs --token-file')
    .option('--token-file <file>', 'the token that TCP clients must send')
    .addHelpText(
      'before',
      '\nExamples:\n  provost serve\n  provost serve --listen 127.0.0.1:7420 --token-file /etc/provost/token\n',
    )
    .addHelpText(
      'after',
      '\nSIGTERM and SIGINT end it and leave the workloads frozen, since nobody watches them; the next supervisor thaws them.\nTo end the workloads too: provost shutdown --stop-workloads\n',
    )
    .action(async (flags: ServeFlags, command: Command) => {
      const { home } = contextOf(command);
      const listen = listenOf(flags);
      if (process.getuid?.() !== 0) {
        throw new CliError('CLI_NOT_ROOT', 'a supervisor needs root: it makes cgroups, namespaces and mounts', {
          exit: exitStatus.notAuthorised,
          hint: 'Run the command with sudo.',
        });
      }
      const [{ guardHere }, { openHome }] = await Promise.all([
        import('../server/index.ts'),
        import('../engine/index.ts'),
      ]);
      finish(await guardHere({ home: openHome(home.dir), leavesWhenIdle: false, listen }));
    });
  program
    .command('shutdown')
    .summary('end the supervisor; with workloads running it refuses and names them')
    .option('--stop-workloads', 'end the workloads too')
    .addHelpText('before', '\nExamples:\n  provost shutdown\n  provost shutdown --stop-workloads\n')
    .action(async (flags: { stopWorkloads?: boolean }, command: Command) => {
      const context = contextOf(command);
      const client = await context.clientIfUp();
      const body = { stopWorkloads: flags.stopWorkloads === true };
      if (client !== null) await client.call({ method: 'POST', path: '/v1/shutdown', body });
      if (context.out.json) context.out.object({ wasRunning: client !== null });
      else context.out.message(client === null ? 'no supervisor runs' : 'the supervisor is leaving');
      finish(exitStatus.done);
    });
}

function listenOf(flags: ServeFlags): { host: string; port: number; token: string } | null {
  if (flags.listen === undefined) return null;
  const match = /^(.+):(\d{1,5})$/.exec(flags.listen);
  const token = flags.tokenFile === undefined ? '' : readInput(flags.tokenFile, 'token file').toString('utf8').trim();
  if (match === null || token.length < 16) {
    throw new CliError('CLI_USAGE', 'to listen on TCP, give HOST:PORT and a --token-file with at least 16 characters', {
      exit: exitStatus.usage,
      hint: 'head -c 32 /dev/urandom | base64 > token',
    });
  }
  return { host: (match[1] ?? '').replaceAll(/[[\]]/g, ''), port: Number(match[2]), token };
}
