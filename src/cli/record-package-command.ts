// record package: signs that a package holds what was built, after a look into it.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { AttestationDocument, PackageReport } from '../engine/index.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { collect } from './record-build-command.ts';
import { absoluteReference } from './run-flags.ts';
import { shortDigest } from './words.ts';

interface PackageFlags {
  readonly key: string;
  readonly from: readonly string[];
  readonly unseen?: boolean;
}

/** Adds `record package`. */
export function addRecordPackage(record: Command, finish: Finish): void {
  record
    .command('package')
    .summary('sign what a package (an image, an archive, a folder) was made from, after finding it in there')
    .argument('<artifact>')
    .requiredOption('--key <name>', 'the key that signs')
    .requiredOption('--from <ref>', 'what was built and must be in it; may be repeated', collect, [])
    .option('--unseen', 'record products too that are not found in it; the statement says which')
    .addHelpText(
      'before',
      '\nExamples:\n  provost record package oci:./web --from ./dist/app --key ci\n  provost record package ./app.tgz --from ./dist --key ci\n',
    )
    .action(async (artifact: string, flags: PackageFlags, command: Command) => {
      const context = contextOf(command);
      const { out } = context;
      // It makes the home, where what is read is kept.
      await context.client();
      const { reportPackage } = await import('../engine/index.ts');
      const target = { reference: absoluteReference(artifact), rootfs: false };
      const report = await reportPackage({
        homeDir: context.home.dir,
        ...target,
        products: flags.from.map((name) => ({ name, reference: absoluteReference(name) })),
        mayBeUnseen: flags.unseen === true,
        progress: (step, ratio) => out.progress(step, ratio),
      });
      out.done();
      const { predicateType, predicate } = report;
      const body = { ...target, predicateType, predicate, key: flags.key, digest: report.artifact.digest };
      const client = await context.client();
      const recorded = await client.call<AttestationDocument>({ method: 'POST', path: '/v1/attestations', body });
      print(out, report, recorded, flags.key);
      finish(exitStatus.done);
    });
}

function print(out: Output, report: PackageReport, { logIndex }: AttestationDocument, key: string): void {
  const { artifact, format, contents } = report;
  if (out.json) return out.object({ artifact, format, contents, logIndex });
  out.line(`${printable(artifact.name)}  ${artifact.digest}  ${format}`);
  for (const { name, digest, isSeen } of contents)
    out.line(
      `${isSeen ? out.paint('green', 'found   ') : out.paint('yellow', 'not seen')}  ${shortDigest(digest)}  ${printable(name)}`,
    );
  out.line(`signed with ${printable(key)} (entry ${logIndex})`);
}
