// Commands that people give us to run: with our streams and signals, to their own exit status.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

import { exitStatus, messageOf } from '../base/index.ts';
import { CliError } from './cli-error.ts';

/** What a shell adds to the number of a signal. */
const SIGNAL_STATUS = 128;

/** A command on this host. */
export interface HostCommand {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Variables over our own. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether our stdout must stay free for data: what the command writes there then goes to stderr. */
  readonly isStdoutTaken: boolean;
}

/**
 * Runs a command with our streams; resolves to its exit status, 128 and the signal's number when one ended it. What interrupts
 * us it gets from the terminal too, and we outlive it to say how it ended.
 *
 * @throws CliError CLI_COMMAND when it cannot be started
 */
export async function runCommand({ argv, cwd, env, isStdoutTaken }: HostCommand): Promise<number> {
  const [program = '', ...args] = argv;
  const ignore = (): void => undefined;
  const child = spawn(program, args, {
    cwd,
    // The cache is that of our own code: a program of theirs would fill it.
    env: { ...process.env, NODE_COMPILE_CACHE: undefined, ...env },
    stdio: ['inherit', isStdoutTaken ? 2 : 'inherit', 'inherit'],
  });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGTERM', pass);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once('error', (error) => reject(cannotStart(program, error)));
    child.once('close', (code, signal) =>
      resolve(code ?? SIGNAL_STATUS + (signal === null ? 0 : constants.signals[signal])),
    );
    return await promise;
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', pass);
  }
}

function cannotStart(program: string, error: Error): CliError {
  return new CliError('CLI_COMMAND', `'${program.slice(0, 200)}' cannot be started: ${messageOf(error)}`, {
    exit: exitStatus.usage,
    hint: 'Give the command and its arguments after --; for a line of the shell: -- sh -c "…".',
    cause: error,
  });
}

/** The command after `--`. @throws CliError CLI_USAGE when there is none */
export function commandAfter(argv: readonly string[], example: string): readonly string[] {
  if (argv.length > 0) return argv;
  throw new CliError('CLI_USAGE', 'the command is missing', {
    exit: exitStatus.usage,
    hint: `Give it after --: ${example}`,
  });
}

/** Output of a program that we ask something. */
export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ANSWER_CHARS_MAX = 64 * 1024 * 1024;

/** Asks a program, without input and terminal. Null when there is no such program. */
export async function ask(
  program: string,
  args: readonly string[],
  { cwd, timeoutMs }: { readonly cwd: string; readonly timeoutMs: number },
): Promise<Answer | null> {
  const { promise, resolve } = Promise.withResolvers<Answer | null>();
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stdout.length > ANSWER_CHARS_MAX) child.kill('SIGKILL');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, 4096)));
  child.once('error', () => resolve(null));
  child.once('close', (status) => resolve({ status, stdout, stderr }));
  return promise;
}
