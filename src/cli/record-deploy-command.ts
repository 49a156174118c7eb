// record deploy: the statement that a workload runs here, which its start has written already as a rule.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { DeployRecord } from '../engine/index.ts';
import { contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';

/** Adds `record deploy`. */
export function addRecordDeploy(record: Command, finish: Finish): void {
  record
    .command('deploy')
    .summary('sign that a workload runs here, unless its start did; the key is the home’s own, host')
    .argument('<workload>')
    .addHelpText(
      'before',
      '\nExamples:\n  provost record deploy web\n  provost record deploy web --json | jq .logIndex\n',
    )
    .action(async (workload: string, _flags: unknown, command: Command) => {
      const context = contextOf(command);
      const { out } = context;
      const client = await context.client();
      const path = `/v1/workloads/${encodeURIComponent(workload)}/deployment`;
      const deployed = await client.call<DeployRecord>({ method: 'POST', path });
      if (out.json) out.object(deployed);
      else {
        const { artifact, revision, logIndex, isNew } = deployed;
        const done = isNew ? 'recorded now' : 'recorded at its start';
        out.line(`${workload} revision ${revision} runs ${printable(artifact.name)}  ${artifact.digest}`);
        out.line(`${done} (entry ${logIndex})`);
      }
      finish(exitStatus.done);
    });
}
