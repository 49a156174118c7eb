// log document: an envelope that an entry of a served log names, by its digest; printed, written or erased.
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import { writeOutput } from './run-flags.ts';

interface DocumentFlags {
  readonly out?: string;
  readonly erase?: true;
}

/** Adds `log document`. */
export function addLogDocument(log: Command, finish: Finish): void {
  log
    .command('document')
    .summary('the envelope that an entry of a log of the format provost names, by its digest')
    .argument('<dir>')
    .argument('<digest>', 'sha256:…, as the entry has it')
    .option('--out <file>', 'write it here instead of printing it')
    .option('--erase', 'overwrite it instead: its entry and all proofs stay')
    .action(async (dir: string, digest: string, flags: DocumentFlags, command: Command) => {
      const { out } = contextOf(command);
      const { eraseLogDocument, readLogDocument } = await import('../engine/index.ts');
      if (flags.erase === true) {
        await eraseLogDocument(resolve(dir), digest);
        if (out.json) out.object({ digest, erased: true });
        else out.message(`${digest} is erased; its entry in the log stays`);
        return finish(exitStatus.done);
      }
      const bytes = readLogDocument(resolve(dir), digest);
      if (flags.out === undefined) process.stdout.write(Buffer.concat([bytes, Buffer.from('\n')]));
      else
        writeOutput(flags.out, bytes, {
          what: 'document',
          hint: 'Give --out a file in a folder that you may write to.',
        });
      finish(exitStatus.done);
    });
}
