// `provost demo`: the closed loop on this machine, in under two minutes.
import type { Command } from 'commander';

import { contextOf, type Finish } from './context.ts';

const EXAMPLES = `
Examples:
  provost demo                  about a minute; nothing is left afterwards
  provost demo --keep           leave it running, for a look around
  provost demo --json           the same as JSON Lines, with each claim
`;

/** Adds `demo` to the program. */
export function addDemo(program: Command, finish: Finish): void {
  program
    .command('demo')
    .summary('the closed loop on this machine, in under two minutes, with no account and no network')
    .option('--keep', 'leave its home, supervisor and workloads, and say how to look around')
    .addHelpText('before', EXAMPLES)
    .action(async (flags: { keep?: boolean }, command: Command) => {
      const { out } = contextOf(command);
      const quiet = command.optsWithGlobals<{ quiet?: boolean }>().quiet === true;
      const [{ runDemo }, { Story }] = await Promise.all([import('./demo/run-demo.ts'), import('./demo/story.ts')]);
      const story = new Story(out, { json: out.json, quiet, live: process.stdout.isTTY && !out.json && !quiet });
      finish(await runDemo(story, { keep: flags.keep === true }));
    });
}
