// The command line: parses, calls one command, prints one error, exits with one status.
import { Command, CommanderError } from 'commander';

import { exitStatus } from '../base/index.ts';
import { addBaseline } from './baseline-command.ts';
import { addCompletion } from './completion-command.ts';
import { addDemo } from './demo-command.ts';
import { addDoctor } from './doctor-command.ts';
import { addEvents } from './events-command.ts';
import { addIncident } from './incident-command.ts';
import { addLog } from './log-command.ts';
import { addKey } from './key-command.ts';
import { printError } from './output.ts';
import { addPolicy } from './policy-command.ts';
import { addRecord } from './record-command.ts';
import { addReproduce } from './reproduce-command.ts';
import { addRun } from './run-command.ts';
import { addScore } from './score-command.ts';
import { addServe } from './serve-command.ts';
import { addTop } from './top-command.ts';
import { VERSION } from './version.ts';
import { addWorkloadCommands } from './workload-commands.ts';

const EXAMPLES = `
Examples:
  provost doctor                           what this host can enforce
  provost run --rootfs / -- echo hello     run something by what it has earned
  provost score oci:./web                  what an image has earned, and why
  provost top                              what runs, what it may use, what it uses
`;

/** Builds the program; `finish` is told what the command leaves with. */
function buildProgram(finish: (status: number) => void): Command {
  const program = new Command('provost')
    .description('Gives code exactly the resources, network and isolation that it has earned.')
    .version(VERSION)
    .option('--json', 'print JSON: one object, or a line each')
    .option('-q, --quiet', 'no messages on stderr but errors')
    .option('--no-color', 'no colour (also: NO_COLOR)')
    .addHelpText('before', EXAMPLES)
    .showHelpAfterError('(provost --help shows the commands)')
    .configureHelp({ showGlobalOptions: true })
    .enablePositionalOptions(false)
    .exitOverride();
  addDemo(program, finish);
  addDoctor(program, finish);
  addRun(program, finish);
  addWorkloadCommands(program, finish);
  addEvents(program, finish);
  addTop(program, finish);
  addIncident(program, finish);
  addScore(program, finish);
  addBaseline(program, finish);
  addKey(program, finish);
  addLog(program, finish);
  addRecord(program, finish);
  addReproduce(program, finish);
  addPolicy(program, finish);
  addServe(program, finish);
  addCompletion(program, finish);
  return program;
}

async function main(argv: readonly string[]): Promise<number> {
  let status: number = exitStatus.done;
  const program = buildProgram((given) => {
    status = given;
  });
  const operands = argv.indexOf('--');
  const flags = operands === -1 ? argv : argv.slice(0, operands);
  const look = {
    json: flags.includes('--json'),
    color: process.stderr.isTTY && (process.env['NO_COLOR'] ?? '') === '',
  };
  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
    return printError(error, look);
  }
}

process.exitCode = await main(process.argv.slice(2));
// Sockets that a reader left open must not keep a finished command alive.
process.exit();
