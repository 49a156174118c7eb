// verify: whether an artifact is what those who are trusted here signed.
import { type Command, InvalidArgumentError } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { BundleDocument, BundleOptions } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { printable } from './output.ts';
import { absoluteReference, readInput } from './run-flags.ts';

const EXAMPLES = `
Examples:
  provost verify oci:./web
  provost verify ./app.tar --json
  provost verify ./app.tar --bundle app.sigstore.json --trusted-root trusted_root.json \\
    --identity "https://token.actions.githubusercontent.com=https://github.com/shop/web/.github/workflows/*@refs/tags/*"
`;

type Identity = BundleOptions['identities'][number];

interface VerifyFlags {
  readonly rootfs?: boolean;
  readonly bundle?: string;
  readonly trustedRoot?: string;
  readonly identity: readonly Identity[];
}

/** Adds `verify`. */
export function addVerify(program: Command, finish: Finish): void {
  program
    .command('verify')
    .summary('check who signed an artifact: exit 0 verified, 4 failed, 5 nothing trusted signed it')
    .argument('<artifact>')
    .option('--rootfs', 'the folder is a root file system')
    .option('--bundle <file>', 'verify this Sigstore bundle about it instead, offline')
    .option('--trusted-root <file>', 'trusted_root.json of the Sigstore instance, for --bundle')
    .option('--identity <issuer=pattern>', 'who may have signed the bundle; may be repeated', identityFlag, [])
    .addHelpText('before', EXAMPLES)
    .action(async (artifact: string, flags: VerifyFlags, command: Command) => {
      const context = contextOf(command);
      refuseIncomplete(flags);
      finish(await (flags.bundle === undefined ? verifyHere : verifyByBundle)(context, artifact, flags));
    });
}

/** `ISSUER=PATTERN`: whom the certificate names, and who says so. A pattern longer than these matches nobody. */
const PATTERN_CHARS_MAX = 512;

function identityFlag(text: string, before: readonly Identity[]): Identity[] {
  const match = /^(https?:\/\/[^\s=]+)=(.+)$/.exec(text);
  const [, issuer = '', subjectPattern = ''] = match ?? [];
  if (match === null || subjectPattern.length > PATTERN_CHARS_MAX) {
    throw new InvalidArgumentError('write ISSUER=PATTERN, like https://accounts.google.com=alice@example.com');
  }
  return [...before, { issuer, subjectPattern }];
}

function refuseIncomplete({ bundle, trustedRoot, identity }: VerifyFlags): void {
  if (bundle === undefined) {
    if (trustedRoot === undefined && identity.length === 0) return;
    throw usage('--trusted-root and --identity are about a bundle', 'Give the bundle: --bundle FILE.');
  }
  if (trustedRoot === undefined) {
    throw usage(
      'a Sigstore bundle proves nothing without the root that its instance is trusted by',
      'Give --trusted-root FILE: the trusted_root.json of the instance that signed, from a place that you trust.',
    );
  }
  if (identity.length > 0) return;
  throw usage(
    'anyone can make a Sigstore bundle: say who must have',
    'Give --identity ISSUER=PATTERN, like https://token.actions.githubusercontent.com=https://github.com/shop/web/**',
  );
}

async function verifyHere({ out, home }: CliContext, artifact: string, flags: VerifyFlags): Promise<number> {
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
  return result.exit;
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

function usage(message: string, hint: string): CliError {
  return new CliError('CLI_USAGE', message, { exit: exitStatus.usage, hint });
}
