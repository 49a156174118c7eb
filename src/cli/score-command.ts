// score, explain, replay: what code has earned, why, what would raise it, and proof that it was computed so.
import type { Command } from 'commander';

import type { ScoreDocument } from '../api/index.ts';
import { exitStatus, formatSize } from '../base/index.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { absoluteReference } from './run-flags.ts';
import { tierText } from './words.ts';

const COMPONENTS = ['base', 'build', 'runtime', 'reputation'] as const;

interface ScoreFlags {
  readonly rootfs?: boolean;
}

/** Adds `score`, `explain` and `replay`. */
export function addScore(program: Command, finish: Finish): void {
  program
    .command('score')
    .summary('the trust score of an artifact, with its reasons')
    .argument(
      '<artifact>',
      'file, folder, oci:DIR[:TAG], docker-archive:FILE, docker:NAME, registry/name[:tag|@digest], sha256:…',
    )
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText(
      'before',
      '\nExamples:\n  provost score oci:./web\n  provost score registry.example/shop/web:1.2 --json\n',
    )
    .action(async (artifact: string, flags: ScoreFlags, command: Command) => {
      const context = contextOf(command);
      const score = await scoreOf(context, artifact, flags);
      if (context.out.json) context.out.object(score);
      else printScore(context.out, score);
      finish(exitStatus.done);
    });
  program
    .command('explain')
    .summary('which evidence gave which part of a score, and what would raise it')
    .argument('<artifact>')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText('before', '\nExamples:\n  provost explain oci:./web\n')
    .action(async (artifact: string, flags: ScoreFlags, command: Command) => {
      const context = contextOf(command);
      const score = await scoreOf(context, artifact, flags);
      if (context.out.json) context.out.object(score);
      else {
        printScore(context.out, score);
        printEvidence(context.out, score);
        printRaises(context.out, score);
      }
      finish(exitStatus.done);
    });
  addReplay(program, finish);
}

async function scoreOf(context: CliContext, artifact: string, flags: ScoreFlags): Promise<ScoreDocument> {
  const reference = absoluteReference(artifact);
  const client = await context.clientIfUp();
  if (client !== null) {
    const query = new URLSearchParams({ reference, ...(flags.rootfs === true ? { rootfs: 'true' } : {}) });
    return client.call({ method: 'GET', path: `/v1/artifacts/score?${query.toString()}` });
  }
  const { scoreArtifact } = await import('../engine/index.ts');
  return scoreArtifact({
    homeDir: context.home.dir,
    reference,
    rootfs: flags.rootfs === true,
    progress: (step, ratio) => context.out.progress(step, ratio),
  });
}

function printScore(out: Output, score: ScoreDocument): void {
  out.done();
  out.line(`${out.paint('bold', printable(score.artifact.name))}  ${out.paint('dim', score.artifact.digest)}`);
  out.line(`score ${out.paint('bold', score.score.toFixed(3))}  tier ${tierText(out, score.tier)}`);
  const rows = COMPONENTS.map((name) => {
    const part = score.components[name];
    return [name, part.score.toFixed(3), `× ${part.weight.toFixed(2)}`, `= ${part.contribution.toFixed(3)}`];
  });
  out.table(['COMPONENT', 'SCORE', 'WEIGHT', 'PART'], rows);
  for (const cap of score.caps) {
    out.line(
      `${out.paint('red', 'capped')} at ${cap.max} by ${cap.id}: ${printable(cap.reason)} (lifted by: ${cap.lift})`,
    );
  }
  if (score.grant === null) out.line(`refused: ${(score.refusal ?? []).join('; ')}`);
  else printGrant(out, score.grant);
}

function printGrant(out: Output, grant: NonNullable<ScoreDocument['grant']>): void {
  out.line(
    `grant for the default request: ${grant.cpu.millicores} millicores, ${formatSize(grant.memory.bytes)}, ${grant.pids} pids, ` +
      `network ${grant.network}, ${grant.isolation}, ${grant.logging} logging`,
  );
}

function printEvidence(out: Output, score: ScoreDocument): void {
  out.line();
  const rows = COMPONENTS.flatMap((name) =>
    score.components[name].evidence.map((one) => [
      one.check,
      one.score.toFixed(2),
      `× ${one.weight.toFixed(2)}`,
      printable(one.reason),
    ]),
  );
  out.table(['EVIDENCE', 'SCORE', 'WEIGHT', 'BECAUSE'], rows);
}

function printRaises(out: Output, score: ScoreDocument): void {
  if (score.raise.length === 0) return;
  out.line();
  out.table(
    ['TO RAISE IT', 'GAIN', 'HOW'],
    score.raise.map((one) => [one.check, `+${one.gain.toFixed(3)}`, one.how]),
  );
}

interface ReplayFlags {
  readonly workload?: string;
}

function addReplay(program: Command, finish: Finish): void {
  program
    .command('replay')
    .summary('recompute past decisions from the ledger and compare; exit 8 when one differs')
    .option('--workload <name>', 'only of this one')
    .addHelpText('before', '\nExamples:\n  provost replay\n  provost replay --workload web --json\n')
    .action(async (flags: ReplayFlags, command: Command) => {
      const { out, home } = contextOf(command);
      const { replayDecisions } = await import('../engine/index.ts');
      let [same, different] = [0, 0];
      for await (const one of replayDecisions({ homeDir: home.dir, workload: flags.workload ?? null })) {
        if (one.same) same += 1;
        else different += 1;
        if (out.json) out.object(one);
        else if (!one.same) out.line(`entry ${one.index} (${one.workload}): ${one.differences.join('; ')}`);
      }
      if (!out.json) out.line(`${same + different} decisions replayed, ${different} differ`);
      finish(different === 0 ? exitStatus.done : exitStatus.differences);
    });
}
