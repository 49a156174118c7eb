// attest: signs a statement about an artifact.
import type { Command } from 'commander';

import { exitStatus, messageOf } from '../base/index.ts';
import type { AttestationDocument } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { contextOf, type Finish } from './context.ts';
import { absoluteReference, readInput } from './run-flags.ts';

interface AttestFlags {
  readonly predicateType: string;
  readonly predicate?: string;
  readonly key: string;
  readonly rootfs?: boolean;
}

/** Adds `attest`. */
export function addAttest(program: Command, finish: Finish): void {
  program
    .command('attest')
    .summary('sign a statement about an artifact (in-toto Statement in a DSSE envelope)')
    .argument('<artifact>')
    .requiredOption('--key <name>', 'the key that signs')
    .option('--predicate-type <uri>', 'what the statement says', 'https://provost.dev/attestation/release/v1')
    .option('--predicate <file>', 'JSON of the predicate; - is standard input')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText(
      'before',
      '\nExamples:\n  provost attest oci:./web --key alice\n  provost attest ./app.tar --key ci --predicate-type https://slsa.dev/provenance/v1 --predicate provenance.json\n',
    )
    .action(async (artifact: string, flags: AttestFlags, command: Command) => {
      const context = contextOf(command);
      const client = await context.client();
      const document = await client.call<AttestationDocument>({
        method: 'POST',
        path: '/v1/attestations',
        body: {
          reference: absoluteReference(artifact),
          rootfs: flags.rootfs === true,
          predicateType: flags.predicateType,
          predicate: predicateOf(flags),
          key: flags.key,
        },
      });
      if (context.out.json) context.out.object(document);
      else context.out.line(`signed ${document.artifact.digest} with ${flags.key} (entry ${document.logIndex})`);
      finish(exitStatus.done);
    });
}

function predicateOf(flags: AttestFlags): unknown {
  if (flags.predicate === undefined) return {};
  const text = readInput(flags.predicate, 'predicate').toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError('CLI_FILE', `the predicate ${flags.predicate} is not JSON: ${messageOf(error)}`, {
      exit: exitStatus.usage,
      hint: 'Give a JSON file.',
      cause: error,
    });
  }
}
