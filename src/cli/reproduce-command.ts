// reproduce: builds an artifact again from its provenance, and signs that the same came out.
import { resolve } from 'node:path';
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { RecordedStatement, Reproduction } from '../engine/index.ts';
import { addBuildLimits, buildHost } from './build-runner.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { absoluteReference, readInput } from './run-flags.ts';
import { shortDigest } from './words.ts';

interface ReproduceFlags {
  readonly key: string;
  readonly repository: string;
  readonly attestations?: string;
  readonly isolated?: boolean;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** Adds `reproduce`. */
export function addReproduce(program: Command, finish: Finish): void {
  const reproduce = program
    .command('reproduce')
    .summary('build an artifact again from its provenance and compare; exit 8 when something differs')
    .argument('<artifact>')
    .requiredOption('--key <name>', 'the key that signs that the same came out')
    .option('--repository <dir>', 'a clone that has the commit', '.')
    .option('--attestations <file>', 'take the provenance from this file too (in-toto lines)')
    .option('--isolated', 'in a sandbox without a network, also where the build was on the host');
  addBuildLimits(reproduce)
    .addHelpText(
      'before',
      '\nExamples:\n  provost reproduce ./dist/app --repository ./shop --key bob\n  provost reproduce oci:./web --repository ./shop --key bob --attestations web.intoto.jsonl\n',
    )
    .addHelpText('after', '\nThe provenance must be signed by a key that is trusted here: what it says is run.\n')
    .action(async (artifact: string, flags: ReproduceFlags, command: Command) => {
      const context = contextOf(command);
      const { out } = context;
      // It makes the home; by the end of a long build it may have left.
      await context.client();
      const { reproduceBuild } = await import('../engine/index.ts');
      const source = flags.attestations;
      const options = {
        homeDir: context.home.dir,
        reference: absoluteReference(artifact),
        rootfs: false,
        repository: resolve(flags.repository),
        attestations: source === undefined ? null : { source, bytes: readInput(source, 'attestations') },
        isIsolated: flags.isolated === true,
        key: flags.key,
        progress: (step: string, ratio: number | null) => out.progress(step, ratio),
      };
      const built = await reproduceBuild(options, buildHost(context, flags));
      out.done();
      if (built.kind === 'failed') {
        if (out.json) out.object({ status: built.status, isEqual: false, statement: null });
        out.message(`the build failed with ${built.status}; nothing is attested`);
        return finish(built.status);
      }
      const { statement } = built.result;
      const client = await context.client();
      const body = { key: flags.key, statements: [statement] };
      const [recorded] =
        statement === null
          ? []
          : await client.call<RecordedStatement[]>({ method: 'POST', path: '/v1/statements', body });
      print(out, built.result, { recorded: recorded ?? null, key: flags.key });
      finish(statement === null ? exitStatus.differences : exitStatus.done);
    });
}

interface Printed {
  readonly recorded: RecordedStatement | null;
  readonly key: string;
}

function print(out: Output, { statement, ...result }: Reproduction, { recorded, key }: Printed): void {
  if (out.json) return out.object({ ...result, isEqual: statement !== null, statement: recorded });
  for (const { name, was, is } of result.products) {
    const isSame = was === is;
    const what = isSame
      ? 'same'
      : is === null
        ? 'missing'
        : `differs: ${shortDigest(was)} was built, now ${shortDigest(is)}`;
    out.line(`${out.paint(isSame ? 'green' : 'red', what)}  ${printable(name)}`);
  }
  if (recorded === null) out.line(`not reproduced from ${result.commit.slice(0, 12)}; nothing is attested`);
  else
    out.line(
      `reproduced from ${result.commit.slice(0, 12)}, signed with ${printable(key)} (entry ${recorded.logIndex})`,
    );
}
