// log serve and log witness: a log and a witness over HTTP, in the foreground.
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { CliError } from './cli-error.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';

const SERVE_HELP = `
What POST /add takes is the log's format (provost log init --format):
  provost  a DSSE envelope of an in-toto statement, signed by a key that this home trusts for its predicate type
  raw      any bytes, up to 65,535
  gosum    a module's two lines of go.sum; then GOSUMDB="KEY http://HOST:PORT" go build takes it as its checksum database
`;

/** What a server of the server room can do. */
interface Listening {
  listen(options: { readonly host: string; readonly port: number }): Promise<string>;
  close(): Promise<unknown>;
}

interface ServeFlags {
  readonly listen: string;
  readonly witness: readonly string[];
  readonly quorum: string;
}

/** Adds `log serve` and `log witness`. */
export function addLogServers(log: Command, finish: Finish): void {
  log
    .command('serve')
    .summary('serve a log, and take entries: POST /add answers the index once the entry is durable')
    .addHelpText('after', SERVE_HELP)
    .argument('<dir>')
    .option('--listen <host:port>', 'where', '127.0.0.1:7440')
    .option('--witness <url=key...>', 'ask this witness for cosignatures', [])
    .option('--quorum <n>', 'witnesses that must cosign before a checkpoint is published', '0')
    .action(async (dir: string, flags: ServeFlags, command: Command) => {
      const context = contextOf(command);
      const [{ serveLog }, { servedLogServer }] = await Promise.all([
        import('../engine/index.ts'),
        import('../server/index.ts'),
      ]);
      const quorum = Number(flags.quorum);
      if (!Number.isInteger(quorum) || quorum < 0 || quorum > flags.witness.length)
        throw usage(
          `a quorum of '${flags.quorum}' among ${flags.witness.length} witnesses cannot be met`,
          'Give a --witness for each.',
        );
      const served = await serveLog({ dir: resolve(dir), witnesses: flags.witness, quorum, homeDir: context.home.dir });
      await using log = served.log;
      const server = servedLogServer(served, resolve(dir));
      await serveUntilSignal(context, server, { listen: flags.listen, what: log.origin });
      finish(exitStatus.done);
    });
  log
    .command('witness')
    .summary('cosign the checkpoints of logs as long as each continues the one before')
    .argument('<dir>', 'its memory, and its key')
    .requiredOption('--log <key...>', 'public keys of the logs that it cosigns')
    .option('--name <name>', 'its name, when it has no key yet', 'witness.example')
    .option('--listen <host:port>', 'where', '127.0.0.1:7441')
    .action(async (dir: string, flags: { log: string[]; name: string; listen: string }, command: Command) => {
      const context = contextOf(command);
      const [{ openWitnessAt }, { witnessServer }] = await Promise.all([
        import('../engine/index.ts'),
        import('../server/index.ts'),
      ]);
      const { witness, key } = openWitnessAt(resolve(dir), { name: flags.name, logs: flags.log });
      await serveUntilSignal(context, witnessServer(witness), { listen: flags.listen, what: key });
      finish(exitStatus.done);
    });
}

async function serveUntilSignal(
  { out }: CliContext,
  server: Listening,
  { listen, what }: { readonly listen: string; readonly what: string },
): Promise<void> {
  const match = /^(.+):(\d{1,5})$/.exec(listen);
  if (match === null) throw usage(`'${listen}' is no place to listen`, 'Give HOST:PORT, such as 127.0.0.1:7440.');
  const url = await server.listen({ host: (match[1] ?? '').replaceAll(/[[\]]/g, ''), port: Number(match[2]) });
  if (out.json) out.object({ url, serves: what });
  else out.line(`${url} ${what}`);
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  await server.close();
}

function usage(message: string, hint: string): CliError {
  return new CliError('CLI_USAGE', message, { exit: exitStatus.usage, hint });
}
