// Ctrl-C and its relatives, for a command that has to clean up first: they end what waits, and never the process.
import { constants } from 'node:os';

import { errnoOf } from '../../base/index.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Name = (typeof SIGNALS)[number] | 'SIGPIPE';
/** What a shell adds to the number of the signal that ended a command. */
const SIGNAL_EXIT = 128;

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** The exit status to leave with; null when nobody interrupted. */
  readonly status: number | null;
}

/** Listens until it is disposed. @param onFirst is called once, with the first signal */
export function openInterruption(onFirst: () => void): Interruption {
  const ending = new AbortController();
  let status: number | null = null;
  const interrupt = (name: Name): void => {
    // npm passes on what the terminal has sent already: the second is no wish of its own.
    if (status !== null) return;
    status = SIGNAL_EXIT + constants.signals[name];
    ending.abort(new Error(`interrupted by ${name}`));
    onFirst();
  };
  // Whoever read the output has gone (`| head`): there is nobody to play for.
  const onOutputError = (error: Error): void => {
    if (errnoOf(error) === 'EPIPE') interrupt('SIGPIPE');
    else throw error;
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  process.stdout.on('error', onOutputError);
  process.stderr.on('error', onOutputError);
  return {
    signal: ending.signal,
    get status() {
      return status;
    },
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, interrupt);
    },
  };
}
