// What every command is given: where the home is, how to print, and who may interrupt it.
import type { Command } from 'commander';

import type { HomeLayout } from '../api/index.ts';
import { type Client, findClient, openClient } from './client.ts';
import { homeOf } from './home.ts';
import { Output } from './output.ts';

export interface CliContext {
  readonly home: HomeLayout;
  readonly out: Output;
  /** The supervisor's client; started when there is none. */
  client(): Promise<Client>;
  /** The supervisor's client when one runs, else null: for commands that work without it. */
  clientIfUp(): Promise<Client | null>;
}

interface GlobalFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color?: boolean;
}

/** Reads the flags that every command has. */
export function contextOf(command: Command): CliContext {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const home = homeOf(process.env);
  const color = flags.color !== false && (process.env['NO_COLOR'] ?? '') === '' && process.stdout.isTTY;
  return {
    home,
    out: new Output({ json: flags.json === true, quiet: flags.quiet === true, color }),
    client: () => openClient(home),
    clientIfUp: () => findClient(home),
  };
}

/** Sets what a command leaves with; main exits with it. */
export type Finish = (status: number) => void;
