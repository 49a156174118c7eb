// record test: runs the tests of an artifact, and signs how they ended.
import { resolve } from 'node:path';
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { AttestationDocument, TestOptions } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { commandAfter, runCommand } from './command-runner.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';
import { absoluteReference } from './run-flags.ts';

const EXAMPLES = `
Examples:
  provost record test ./dist/app --key ci -- make check
  provost record test oci:./web --key ci --junit out/junit.xml -- npm test
  provost record test ./app.tar --key ci --tap tests.tap -- sh -c "prove -v t > tests.tap"
`;

interface TestFlags {
  readonly key: string;
  readonly junit?: string;
  readonly tap?: string;
  readonly rootfs?: boolean;
}

/** Adds `record test`. */
export function addRecordTest(record: Command, finish: Finish): void {
  record
    .command('test')
    .summary('run the tests of an artifact and sign how they ended, also when they failed')
    .argument('<artifact>')
    .argument('[command...]', 'the command after --; it is recorded as it is, so keep secrets out of it')
    .requiredOption('--key <name>', 'the key that signs')
    .option('--junit <file>', 'the JUnit XML that the tests write: which passed, were skipped, failed')
    .option('--tap <file>', 'the same from TAP')
    .option('--rootfs', 'the folder is a root file system')
    .addHelpText('before', EXAMPLES)
    .action(async (artifact: string, argv: string[], flags: TestFlags, command: Command) => {
      const context = contextOf(command);
      const tests = commandAfter(argv, 'provost record test ./app --key ci -- make check');
      finish(await recordTest(context, { artifact, tests, flags, report: reportOf(flags) }));
    });
}

interface Asked {
  readonly artifact: string;
  readonly tests: readonly string[];
  readonly flags: TestFlags;
  readonly report: TestOptions | null;
}

async function recordTest(context: CliContext, { artifact, tests, flags, report }: Asked): Promise<number> {
  const { out } = context;
  // It makes the home; by the end of long tests it may have left.
  await context.client();
  const { describeTests, readForAttesting, watchReport } = await import('../engine/index.ts');
  const target = { reference: absoluteReference(artifact), rootfs: flags.rootfs === true };
  const progress = (step: string, ratio: number | null): void => out.progress(step, ratio);
  const { digest } = await readForAttesting({ homeDir: context.home.dir, ...target, key: flags.key, progress });
  out.done();
  const watch = report === null ? null : watchReport(report);
  const status = await runCommand({ argv: tests, cwd: process.cwd(), env: {}, isStdoutTaken: out.json });
  const read = readUnlessFailed(context, watch, status);
  const names = read === null || report === null ? null : { path: report.path, bytes: read.bytes, names: read.report };
  const { result, predicateType, predicate } = describeTests({ command: tests, status, report: names });
  const body = { ...target, predicateType, predicate, key: flags.key, digest };
  const client = await context.client();
  const recorded = await client.call<AttestationDocument>({ method: 'POST', path: '/v1/attestations', body });
  const counts = read === null ? null : countsOf(read.report);
  if (out.json) out.object({ artifact: recorded.artifact, result, status, tests: counts, logIndex: recorded.logIndex });
  else {
    const told = counts === null ? '' : `: ${counts.passed} passed, ${counts.warned} skipped, ${counts.failed} failed`;
    out.line(`${out.paint(result === 'FAILED' ? 'red' : 'green', result)}${told}`);
    out.line(`about ${printable(recorded.artifact.name)}  ${recorded.artifact.digest}`);
    out.line(`signed with ${printable(flags.key)} (entry ${recorded.logIndex})`);
  }
  // A runner that names failures and claims success must not pass here.
  return status === 0 && result === 'FAILED' ? exitStatus.denied : status;
}

type Read = ReturnType<ReturnType<typeof import('../engine/index.ts').watchReport>['read']>;

/** Tests that failed are recorded also without a report: what broke may have kept them from writing it. */
function readUnlessFailed({ out }: CliContext, watch: { read(): Read } | null, status: number): Read | null {
  if (watch === null) return null;
  try {
    return watch.read();
  } catch (error) {
    if (status === 0 || !(error instanceof Error)) throw error;
    out.message(`the failure is recorded without names: ${printable(error.message)}`);
    return null;
  }
}

function countsOf(report: Read['report']): { passed: number; warned: number; failed: number } {
  return { passed: report.passed.length, warned: report.warned.length, failed: report.failed.length };
}

function reportOf({ junit, tap }: TestFlags): TestOptions | null {
  if (junit !== undefined && tap !== undefined) {
    throw new CliError('CLI_USAGE', '--junit and --tap are two reports of the same tests', {
      exit: exitStatus.usage,
      hint: 'Give one of them.',
    });
  }
  if (junit !== undefined) return { form: 'junit', path: resolve(junit) };
  return tap === undefined ? null : { form: 'tap', path: resolve(tap) };
}
