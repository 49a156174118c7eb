// `provost baseline`: what is normal for an artifact is learnt while somebody watches, shown, signed for others, and taken over.
import { statSync } from 'node:fs';

import { type Command, InvalidArgumentError } from 'commander';

import {
  type BaselineDocument,
  baselineLimits,
  type BaselineSubject,
  type ImportedBaseline,
  type LearningDocument,
  type LearningProgress,
} from '../api/index.ts';
import { exitStatus, formatDuration, parseDuration } from '../base/index.ts';
import type { AttestationDocument } from '../engine/index.ts';
import { printBaseline } from './baseline-words.ts';
import { CliError } from './cli-error.ts';
import { RemoteError } from './client.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { absoluteReference, readInput, writeOutput } from './run-flags.ts';

/** Adds `baseline learn | show | export | import`. */
export function addBaseline(program: Command, finish: Finish): void {
  const baseline = program
    .command('baseline')
    .summary('learn, show, export and import what is normal for an artifact')
    .addHelpText(
      'before',
      '\nExamples:\n  provost baseline learn web --for 10m --reason "usual load"\n  provost baseline show web\n  provost baseline export web --key olga --out web.baseline.json\n  provost baseline import web.baseline.json --artifact oci:./web\n',
    );
  addLearn(baseline, finish);
  addShow(baseline, finish);
  addExport(baseline, finish);
  addImport(baseline, finish);
}

function subjectOf(text: string, rootfs?: boolean): BaselineSubject {
  return { subject: text, reference: absoluteReference(text), rootfs: rootfs === true };
}

function windowsFlag(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= baselineLimits.learnWindowsMax) return count;
  throw new InvalidArgumentError(`write a number from 1 to ${baselineLimits.learnWindowsMax}`);
}

function timeFlag(text: string): number {
  const ms = parseDuration(text);
  if (ms >= 1000 && ms <= baselineLimits.learnMsMax) return ms;
  throw new InvalidArgumentError(`write a time from 1s to ${formatDuration(baselineLimits.learnMsMax)}`);
}

interface LearnFlags {
  readonly for: number;
  readonly windows: number;
  readonly reason: string;
  readonly key?: string;
  readonly rootfs?: boolean;
}

function addLearn(baseline: Command, finish: Finish): void {
  baseline
    .command('learn')
    .summary('learn what runs at once for a time, vouched for: also what is only unusual, never what breaks a rule')
    .argument('<workload|artifact>', 'one workload, or every workload of an artifact')
    .option('--for <duration>', 'how long, at most 24h', timeFlag, 600_000)
    .option('--windows <count>', 'end after so many windows', windowsFlag, baselineLimits.learnWindowsMax)
    .option('--reason <text>', 'why, for the ledger', 'observed by a person')
    .option('--key <name>', 'operator’s key that signs the entry; default: the home’s own')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText(
      'before',
      '\nExamples:\n  provost baseline learn web --for 10m --reason "load test"\n  provost baseline learn oci:./web --for 1h --windows 600 --key olga\n\nRules and alarms act as ever, and no trust is earned meanwhile. An alarm ends it, and takes back what it learnt; Ctrl-C ends it.\n',
    )
    .action(async (subject: string, flags: LearnFlags, command: Command) => {
      const { out, ...context } = contextOf(command);
      const { for: forMs, windows: windowsMax, reason, key = null } = flags;
      const client = await context.client();
      const body = { ...subjectOf(subject, flags.rootfs), forMs, windowsMax, reason, key };
      const lines = client.lines({ method: 'POST', path: '/v1/baselines/learn', body });
      const learnt = await resultOf(lines, ({ learnt: count, elapsedMs }) => {
        const ratio = Math.max(elapsedMs / forMs, count / windowsMax);
        out.progress(`learning: ${count} windows`, Math.min(1, ratio));
      });
      out.done();
      if (out.json) out.object(learnt);
      else printLearnt(out, learnt);
      finish(learnt.ended === 'alarm' ? exitStatus.denied : exitStatus.done);
    });
}

/** Reports each line of progress; the last is the result, or why there is none. */
async function resultOf(
  lines: AsyncIterable<unknown>,
  report: (progress: LearningProgress) => void,
): Promise<LearningDocument> {
  for await (const line of lines) {
    if (typeof line !== 'object' || line === null) continue;
    if ('error' in line) throw new RemoteError(line as ConstructorParameters<typeof RemoteError>[0]);
    if ('result' in line) return line.result as LearningDocument;
    report(line as LearningProgress);
  }
  throw new CliError('CLI_NO_SUPERVISOR', 'the supervisor went away while it learnt; what was learnt may be lost', {
    exit: exitStatus.unavailable,
    hint: 'Learn again.',
  });
}

const endings: Readonly<Record<LearningDocument['ended'], string>> = {
  time: 'its time was over',
  windows: 'it had its windows',
  interrupted: 'it was interrupted',
  stopped: 'nothing of it ran any more',
  alarm: 'an alarm ended it, and nothing of it was kept',
};

function printLearnt(out: Output, learnt: LearningDocument): void {
  const { artifact, ended, unusual, violating, idle, tookMs, logIndex } = learnt;
  out.line(`${printable(artifact.name)}  ${artifact.digest}`);
  out.line(`learnt ${learnt.learnt} windows in ${formatDuration(tookMs)}: ${endings[ended]} (entry ${logIndex})`);
  out.line(`of them ${unusual} unusual; left out ${violating} that broke a rule, ${idle} idle`);
  for (const { driver, windows, modelDigest } of learnt.baselines)
    out.line(`${driver} knows ${windows} windows (model ${modelDigest.slice(0, 12)})`);
}

function addShow(baseline: Command, finish: Finish): void {
  baseline
    .command('show')
    .summary('what is normal for an artifact, and where that is known from')
    .argument('<artifact>', 'or a workload of it')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText('before', '\nExamples:\n  provost baseline show web\n  provost baseline show oci:./web --json\n')
    .action(async (subject: string, flags: { rootfs?: boolean }, command: Command) => {
      const { out, ...context } = contextOf(command);
      const { reference, rootfs } = subjectOf(subject, flags.rootfs);
      const query = new URLSearchParams({ subject, reference, rootfs: String(rootfs) });
      const client = await context.client();
      const found = await client.call<BaselineDocument[]>({ method: 'GET', path: `/v1/baselines?${query.toString()}` });
      for (const one of found) {
        if (out.json) out.object(one);
        else printBaseline(out, one);
      }
      finish(exitStatus.done);
    });
}

interface ExportFlags {
  readonly key: string;
  readonly out: string;
  readonly driver?: string;
  readonly rootfs?: boolean;
}

function addExport(baseline: Command, finish: Finish): void {
  baseline
    .command('export')
    .summary('sign what is normal for an artifact, for other hosts: a runtime trace (in-toto)')
    .argument('<artifact>', 'or a workload of it')
    .requiredOption('--key <name>', 'the key that signs')
    .requiredOption('--out <file>', 'where it is written')
    .option('--driver <runc|gvisor>', 'of which kind of sandbox, where there are two')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText('before', '\nExamples:\n  provost baseline export web --key olga --out web.baseline.json\n')
    .action(async (subject: string, flags: ExportFlags, command: Command) => {
      const { out, ...context } = contextOf(command);
      const client = await context.client();
      const body = { ...subjectOf(subject, flags.rootfs), driver: flags.driver ?? null, key: flags.key };
      const call = { method: 'POST', path: '/v1/baselines/export', body } as const;
      const { envelope, ...signed } = await client.call<AttestationDocument>(call);
      const hint = 'Name a file that can be written with --out.';
      writeOutput(flags.out, `${JSON.stringify(envelope)}\n`, { what: 'baseline', hint });
      if (out.json) out.object({ ...signed, file: flags.out });
      else {
        out.line(`${printable(signed.artifact.name)}  ${signed.artifact.digest}`);
        out.line(`signed with ${flags.key} (entry ${signed.logIndex}), written to ${flags.out}`);
      }
      finish(exitStatus.done);
    });
}

interface ImportFlags {
  readonly artifact?: string;
  readonly replace?: boolean;
  readonly reason: string;
  readonly key?: string;
  readonly rootfs?: boolean;
}

function addImport(baseline: Command, finish: Finish): void {
  baseline
    .command('import')
    .summary('take over what others learnt, when a key that is trusted for it signed it')
    .argument('<file>', 'of baseline export; - is standard input')
    .option('--artifact <artifact>', 'what it must be about; its name is what the scope of trust is matched with')
    .option('--replace', 'in the place of what was learnt here')
    .option('--reason <text>', 'why, for the ledger', 'taken over by a person')
    .option('--key <name>', 'operator’s key that signs the entry; default: the home’s own')
    .option('--rootfs', 'the artifact is a root file system')
    .addHelpText(
      'before',
      '\nExamples:\n  provost key trust olga.pem --role operator\n  provost baseline import web.baseline.json --artifact oci:./web\n  provost baseline import web.baseline.json --replace --reason "learnt under real load"\n\nIt judges from the first second, and gives no trust.\n',
    )
    .action(async (file: string, flags: ImportFlags, command: Command) => {
      const { out, ...context } = contextOf(command);
      const bytes = readBaseline(file);
      const client = await context.client();
      const about = flags.artifact === undefined ? null : subjectOf(flags.artifact, flags.rootfs);
      const { replace = false, reason, key = null } = flags;
      const body = { envelope: bytes.toString('base64'), about, replace, reason, key };
      const taken = await client.call<ImportedBaseline>({ method: 'POST', path: '/v1/baselines/import', body });
      if (out.json) out.object(taken);
      else {
        out.line(`${printable(taken.artifact.name)}  ${taken.artifact.digest}`);
        const instead = taken.replacedWindows === 0 ? '' : `, in place of ${taken.replacedWindows}`;
        const by = printable(taken.signedBy.join(', '));
        out.line(`${taken.driver} knows ${taken.windows} windows${instead}, signed by ${by} (entry ${taken.logIndex})`);
      }
      finish(exitStatus.done);
    });
}

/** No larger file is read, or sent: the supervisor would refuse it. */
function readBaseline(file: string): Buffer {
  const path = file === '-' ? '/dev/stdin' : file;
  const isTooLarge = (bytes: number): boolean => bytes > baselineLimits.fileBytesMax;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const bytes = isTooLarge(size) ? null : readInput(path, 'baseline');
  if (bytes !== null && !isTooLarge(bytes.length)) return bytes;
  throw new CliError('CLI_FILE', `${file} has more than ${baselineLimits.fileBytesMax} bytes: it is no baseline`, {
    exit: exitStatus.verificationFailed,
    hint: 'Name a file that provost baseline export wrote.',
  });
}
