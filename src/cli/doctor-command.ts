// `provost doctor`: what this host can enforce, tier by tier, and what to install.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { contextOf, type Finish } from './context.ts';
import { tierText } from './words.ts';

const MARKS = { ok: ['green', '✓'], weak: ['yellow', '!'], missing: ['red', '✗'] } as const;

/** Adds `doctor` to the program. */
export function addDoctor(program: Command, finish: Finish): void {
  program
    .command('doctor')
    .summary('what this host can enforce, tier by tier, and the command that installs what is missing')
    .addHelpText('before', '\nExamples:\n  provost doctor\n  provost doctor --json | jq .tiers\n')
    .action(async (_flags: unknown, command: Command) => {
      const { out, home } = contextOf(command);
      const { examineHost } = await import('../engine/index.ts');
      const report = await examineHost({ homeDir: home.dir });
      if (out.json) out.object(report);
      else {
        for (const check of report.checks) {
          const [style, mark] = MARKS[check.status];
          out.line(`${out.paint(style, mark)} ${check.name.padEnd(22)} ${check.detail}`);
          if (check.fix !== null) out.line(`  ${out.paint('dim', `fix: ${check.fix}`)}`);
        }
        out.line();
        for (const tier of report.tiers) {
          out.line(`${tierText(out, tier.tier)}: ${tier.enforceable ? tier.how : `refused: ${tier.how}`}`);
        }
      }
      finish(report.tiers.every((tier) => tier.enforceable) ? exitStatus.done : exitStatus.unavailable);
    });
}
