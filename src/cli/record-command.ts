// record: the lifecycle of code as signed statements in the log.
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { RecordedStatement, SourceHistory, SourceRecord, StatementRequest } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';
import { addRecordBuild } from './record-build-command.ts';
import { addRecordDeploy } from './record-deploy-command.ts';
import { addRecordDeps } from './record-deps-command.ts';
import { addRecordPackage } from './record-package-command.ts';
import { addRecordTest } from './record-test-command.ts';
import { writeOutput } from './run-flags.ts';
import { VERSION } from './version.ts';

const EXAMPLES = `
Examples:
  provost record commit --key alice --allowed-signers .allowed_signers
  provost record commit --key alice --range --sarif build.sarif       all from the first commit on
  provost record build --key ci -- make dist/app                      what was built from what, as SLSA provenance
  provost record deps oci:./web --key ci                              what an image is made of, as CycloneDX
  provost record commit v1.0..HEAD --repository ./shop --key alice --identities publishers.json
`;

/** Statements in one request: signed together, and far below what a request may hold. */
const STATEMENTS_TOGETHER = 100;

/** Adds `record commit | build | deps | test | package | deploy`. */
export function addRecord(program: Command, finish: Finish): void {
  const record = program
    .command('record')
    .summary('record the lifecycle of code as signed statements in the log')
    .addHelpText('before', EXAMPLES);
  addCommit(record, finish);
  addRecordBuild(record, finish);
  addRecordDeps(record, finish);
  addRecordTest(record, finish);
  addRecordPackage(record, finish);
  addRecordDeploy(record, finish);
}

interface CommitFlags {
  readonly key: string;
  readonly repository: string;
  readonly range?: boolean;
  readonly allowedSigners?: string;
  readonly openpgpKey: readonly string[];
  readonly identities?: string;
  readonly sarif?: string;
}

function addCommit(record: Command, finish: Finish): void {
  record
    .command('commit')
    .summary('who made a commit, by its verified signature, and how safely its build files build')
    .argument('[revision]', 'HEAD, a branch, a tag, an id, or a range such as v1.0..HEAD', 'HEAD')
    .requiredOption('--key <name>', 'the key that signs the statements')
    .option('--repository <dir>', 'the repository', '.')
    .option('--range', 'with all that the revision stands on, from the first commit')
    .option('--allowed-signers <file>', 'git’s list of allowed signers: whose SSH signatures count')
    .option('--openpgp-key <file...>', 'armored OpenPGP keys whose signatures count', [])
    .option('--identities <file>', 'JSON list of publishers with their keys and addresses')
    .option('--sarif <file>', 'write what is wrong with the build files as SARIF')
    .addHelpText('before', EXAMPLES)
    .action(async (revision: string, flags: CommitFlags, command: Command) => {
      const context = contextOf(command);
      const { openSource, sarifOfSource } = await import('../engine/index.ts');
      using history = await openSource({
        dir: resolve(flags.repository),
        range: revision,
        isWhole: flags.range === true,
        allowedSigners: flags.allowedSigners ?? null,
        openpgpKeys: flags.openpgpKey,
        identities: flags.identities ?? null,
      });
      if (history.count === 0) {
        throw new CliError('CLI_USAGE', `${printable(revision)} names no commit`, {
          exit: exitStatus.usage,
          hint: 'In a range A..B, B must stand on more than A does.',
        });
      }
      if (flags.sarif !== undefined)
        writeOutput(flags.sarif, `${JSON.stringify(sarifOfSource(history, VERSION), null, 2)}\n`, {
          what: 'findings',
          hint: 'Give --sarif a file in a folder that you may write to.',
        });
      await recordAll(context, flags.key, history);
      printHistory(context, history);
      finish(exitStatus.done);
    });
}

async function recordAll(context: CliContext, key: string, history: SourceHistory): Promise<void> {
  const client = await context.client();
  let [waiting, done]: [SourceRecord[], number] = [[], 0];
  const send = async (): Promise<void> => {
    const statements: StatementRequest[] = waiting.map(({ statement }) => statement);
    const recorded = await client.call<RecordedStatement[]>({
      method: 'POST',
      path: '/v1/statements',
      body: { key, statements },
    });
    for (const [at, record] of waiting.entries()) printRecord(context, record, recorded[at]);
    done += waiting.length;
    waiting = [];
    context.out.progress('recording commits', done / history.count);
  };
  for await (const record of history.records()) {
    waiting.push(record);
    if (waiting.length === STATEMENTS_TOGETHER) await send();
  }
  if (waiting.length > 0) await send();
  context.out.done();
}

function printRecord(
  { out }: CliContext,
  { source, statement }: SourceRecord,
  recorded: RecordedStatement | undefined,
): void {
  const logIndex = recorded?.logIndex ?? null;
  if (out.json) {
    out.object({ ...source, name: statement.name, envelopeDigest: recorded?.envelopeDigest ?? null, logIndex });
    return;
  }
  const isVerified = source.signature.status === 'verified';
  const who = source.publisher ?? (isVerified ? (source.signature.principal ?? 'a known key') : source.author.email);
  const status = out.paint(isVerified ? 'green' : 'yellow', source.signature.status.padEnd(11));
  out.line(`${source.commit.slice(0, 12)}  ${status}  ${printable(who)}  (entry ${logIndex})`);
}

function printHistory({ out }: CliContext, { cutAt, build }: SourceHistory): void {
  if (cutAt.length > 0)
    out.message(`the clone is shallow: what came before ${cutAt.length} of these commits is not here`);
  if (out.json) return;
  out.line(`build files: ${build.paths.length}, score ${build.score.toFixed(2)}: ${printable(build.reason)}`);
}
