// verify: whether an artifact, and all that it was made from, is what those who are trusted here signed.

import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { BundleDocument, Verified } from '../engine/index.ts';
import { drawDot, drawSvg } from './chain-graph.ts';
import { chainLines } from './chain-tree.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';
import { absoluteReference, readInput, writeOutput } from './run-flags.ts';
import { graphFormOf, identityFlag, refuseIncomplete, type VerifyFlags } from './verify-flags.ts';

const EXAMPLES = `
Examples:
  provost verify oci:./web
  provost verify ./app.tar --json
  provost verify oci:./web --graph chain.svg
  provost verify ./app.tar --bundle app.sigstore.json --trusted-root trusted_root.json \\
    --identity "https://token.actions.githubusercontent.com=https://github.com/shop/web/.github/workflows/*@refs/tags/*"
  provost verify oci:./web --export web.intoto.jsonl
  provost verify oci:./web --attestations web.intoto.jsonl
  provost verify oci:./web --export web.intoto.jsonl --receipts web.receipts.jsonl
  provost verify oci:./web --attestations web.intoto.jsonl --receipts web.receipts.jsonl --log-key "$(cat log.pub)"
  provost verify oci:./web --vsa web.vsa.json --key alice
`;

/** Adds `verify`. */
export function addVerify(program: Command, finish: Finish): void {
  program
    .command('verify')
    .summary('check an artifact and its whole chain: exit 0 verified, 4 failed, 5 nothing trusted signed it')
    .argument('<artifact>')
    .option('--rootfs', 'the folder is a root file system')
    .option('--bundle <file>', 'verify this Sigstore bundle about it instead, offline')
    .option('--trusted-root <file>', 'trusted_root.json of the Sigstore instance, for --bundle')
    .option('--identity <issuer=pattern>', 'who may have signed the bundle; may be repeated', identityFlag, [])
    .option('--attestations <file>', 'count the attestations of this file too (in-toto lines), and keep none')
    .option('--export <file>', 'write the attestations that this home has of its chain (in-toto lines)')
    .option('--receipts <file>', 'with --export, write receipts that the log has them; with --attestations, read them')
    .option('--log-key <key>', 'public key of the log that gave the receipts which are read: NAME+ID+BASE64')
    .option('--graph <file>', 'draw the chain: FILE.svg or FILE.dot')
    .option('--vsa <file>', 'write a signed summary of the verification (SLSA), whether it passed or failed')
    .option('--key <name>', 'the key that signs the summary')
    .addHelpText('before', EXAMPLES)
    .action(async (artifact: string, flags: VerifyFlags, command: Command) => {
      const context = contextOf(command);
      refuseIncomplete(flags);
      finish(await (flags.bundle === undefined ? verifyHere : verifyByBundle)(context, artifact, flags));
    });
}

async function verifyHere(context: CliContext, artifact: string, flags: VerifyFlags): Promise<number> {
  const { out, home } = context;
  const { attestations: source, receipts, logKey } = flags;
  const { verifyReference } = await import('../engine/index.ts');
  const result = await verifyReference({
    homeDir: home.dir,
    reference: absoluteReference(artifact),
    rootfs: flags.rootfs === true,
    progress: (step, ratio) => out.progress(step, ratio),
    attestations: source === undefined ? null : { source, bytes: readInput(source, 'attestations') },
    receipts:
      source === undefined || receipts === undefined || logKey === undefined
        ? null
        : { source: receipts, bytes: readInput(receipts, 'receipts'), logKey: logKey.trim() },
    isExported: flags.export !== undefined,
    areReceiptsExported: flags.export !== undefined && receipts !== undefined,
    summaryKey: flags.key ?? null,
  });
  out.done();
  printVerdict(context, result);
  writeAsked(context, result, flags);
  return result.exit;
}

function printVerdict({ out }: CliContext, { document, exit }: Verified): void {
  if (out.json) return out.object(document);
  out.line(`${printable(document.artifact.name)}  ${document.artifact.digest}`);
  out.line(out.paint(exit === exitStatus.done ? 'green' : 'red', document.verdict));
  for (const line of chainLines(document.chain, (style, text) => out.paint(style, text))) out.line(line);
  if (document.isTruncated) out.message('the chain is larger than what is looked at: nothing of it counts');
}

function writeAsked({ out }: CliContext, { document, exported, summary }: Verified, flags: VerifyFlags): void {
  if (flags.graph !== undefined) writeResult(flags.graph, Buffer.from(graphOf(document, flags.graph)), 'graph');
  if (flags.export !== undefined && exported !== null) {
    writeResult(flags.export, exported.bytes, 'attestations');
    const what = exported.count === 1 ? '1 attestation is' : `${exported.count} attestations are`;
    out.message(`${what} in ${flags.export}`);
    if (flags.receipts !== undefined && exported.receipts !== null)
      writeResult(flags.receipts, exported.receipts, 'receipts');
  }
  if (flags.vsa === undefined || summary === null) return;
  writeResult(flags.vsa, Buffer.concat([summary.envelope, Buffer.from('\n')]), 'summary');
  const result = summary.isPassed ? `PASSED, ${summary.levels.join(', ')}` : 'FAILED';
  out.message(`a summary that says ${result} is in ${flags.vsa}`);
}

function graphOf({ chain, artifact, verdict }: Verified['document'], path: string): string {
  const title = { name: artifact.name, verdict };
  return graphFormOf(path) === 'svg' ? drawSvg(chain, title) : drawDot(chain, title);
}

function writeResult(path: string, bytes: Buffer, what: string): void {
  writeOutput(path, bytes, { what, hint: 'Name a file in a folder that you may write to.' });
}

async function verifyByBundle({ out, home }: CliContext, artifact: string, flags: VerifyFlags): Promise<number> {
  const [bundle, trustedRoot] = [
    readInput(flags.bundle ?? '', 'bundle'),
    readInput(flags.trustedRoot ?? '', 'trusted root'),
  ];
  const { verifyBundle } = await import('../engine/index.ts');
  const document = await verifyBundle({
    homeDir: home.dir,
    reference: absoluteReference(artifact),
    rootfs: flags.rootfs === true,
    progress: (step, ratio) => out.progress(step, ratio),
    bundle,
    trustedRoot,
    identities: flags.identity,
  });
  out.done();
  if (out.json) out.object(document);
  else for (const line of bundleLines(document, (text) => out.paint('green', text))) out.line(line);
  return exitStatus.done;
}

/** Subjects that people see; a release may have a thousand. */
const SUBJECTS_SHOWN = 10;

function bundleLines(document: BundleDocument, good: (text: string) => string): string[] {
  const { artifact, verdict, signer, logIndex, logged, stamped, statement } = document;
  const subjects = statement?.subjects ?? [];
  const more = subjects.length - SUBJECTS_SHOWN;
  return [
    `${printable(artifact.name)}  ${artifact.digest}`,
    good(verdict),
    `  signed by ${short(signer.subject)}, as ${short(signer.issuer)} says`,
    `  log entry ${logIndex}${logged === null ? '' : ` of ${logged}`}`,
    ...(stamped === null ? [] : [`  timestamp ${stamped}`]),
    ...(statement === null ? [] : [`  ${short(statement.predicateType)} about`]),
    ...subjects.slice(0, SUBJECTS_SHOWN).map(({ name, digest }) => `    ${digest}  ${short(name ?? '-')}`),
    ...(more > 0 ? [`    and ${more} more`] : []),
  ];
}

const NAME_CHARS_SHOWN = 200;

/** A stranger's name on a line of its own. */
function short(text: string): string {
  return printable(text.length > NAME_CHARS_SHOWN ? `${text.slice(0, NAME_CHARS_SHOWN)}…` : text);
}
