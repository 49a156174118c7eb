// verify: whether an artifact is what those who are trusted here signed.
import type { Command } from 'commander';

import { contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';
import { absoluteReference } from './run-flags.ts';

/** Adds `verify`. */
export function addVerify(program: Command, finish: Finish): void {
  program
    .command('verify')
    .summary('check who signed an artifact: exit 0 verified, 4 failed, 5 nothing trusted signed it')
    .argument('<artifact>')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText('before', '\nExamples:\n  provost verify oci:./web\n  provost verify ./app.tar --json\n')
    .action(async (artifact: string, flags: { rootfs?: boolean }, command: Command) => {
      const { out, home } = contextOf(command);
      const { verifyReference } = await import('../engine/index.ts');
      const result = await verifyReference({
        homeDir: home.dir,
        reference: absoluteReference(artifact),
        rootfs: flags.rootfs === true,
        progress: (step, ratio) => out.progress(step, ratio),
      });
      out.done();
      if (out.json) out.object(result.document);
      else {
        out.line(`${printable(result.document.artifact.name)}  ${result.document.artifact.digest}`);
        out.line(out.paint(result.exit === 0 ? 'green' : 'red', result.document.verdict));
        for (const one of result.document.signatures)
          out.line(`  ${printable(one.keyName)} ${one.predicateType}: ${one.reason}`);
      }
      finish(result.exit);
    });
}
