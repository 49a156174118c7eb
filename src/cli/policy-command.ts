// `provost policy`: check a policy before it is used, and show the one in force.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import { readInput } from './run-flags.ts';

/** Adds `policy check | show`. */
export function addPolicy(program: Command, finish: Finish): void {
  const policy = program
    .command('policy')
    .summary('check and show policies')
    .addHelpText('before', '\nExamples:\n  provost policy show > policy.yaml\n  provost policy check policy.yaml\n');
  policy
    .command('check')
    .summary('refuse nonsense: unknown keys, weights that do not sum to 1, conditions that do not compile')
    .argument('<file>')
    .action(async (file: string, _flags: unknown, command: Command) => {
      const { out } = contextOf(command);
      const { checkPolicy } = await import('../engine/index.ts');
      const checked = checkPolicy(readInput(file, 'policy').toString('utf8'), file);
      if (out.json) out.object(checked);
      else out.line(`${file} is a policy: ${checked.digest}`);
      finish(exitStatus.done);
    });
  policy
    .command('show')
    .summary('the policy in force, as YAML')
    .action(async (_flags: unknown, command: Command) => {
      const { out, home } = contextOf(command);
      const { policyInForce } = await import('../engine/index.ts');
      const policy = policyInForce(home.dir);
      if (out.json) out.object({ source: policy.source, digest: policy.digest, policy: policy.document });
      else process.stdout.write(policy.text);
      finish(exitStatus.done);
    });
}
