// The flags of `verify`, from text to what is asked for; what is incomplete or would not be looked at is refused.
import { InvalidArgumentError } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { BundleOptions } from '../engine/index.ts';
import { CliError } from './cli-error.ts';

type Identity = BundleOptions['identities'][number];

export interface VerifyFlags {
  readonly rootfs?: boolean;
  readonly bundle?: string;
  readonly trustedRoot?: string;
  readonly identity: readonly Identity[];
  readonly attestations?: string;
  readonly export?: string;
  readonly receipts?: string;
  readonly logKey?: string;
  readonly graph?: string;
  readonly vsa?: string;
  readonly key?: string;
}

/** A longer pattern matches nobody. */
const PATTERN_CHARS_MAX = 512;

/** `ISSUER=PATTERN`: who vouches for the signer, and how the signer may be called. */
export function identityFlag(text: string, before: readonly Identity[]): Identity[] {
  const match = /^(https?:\/\/[^\s=]+)=(.+)$/.exec(text);
  const [, issuer = '', subjectPattern = ''] = match ?? [];
  if (match === null || subjectPattern.length > PATTERN_CHARS_MAX) {
    throw new InvalidArgumentError('write ISSUER=PATTERN, like https://accounts.google.com=alice@example.com');
  }
  return [...before, { issuer, subjectPattern }];
}

/** Flags that nobody would look at would be taken for what was checked. */
export function refuseIncomplete(flags: VerifyFlags): void {
  const { bundle, trustedRoot, identity, attestations, vsa, key } = flags;
  if ((vsa === undefined) !== (key === undefined))
    throw usage('a summary needs a file and a key that signs it', 'Give both: --vsa FILE --key NAME.');
  refuseReceiptless(flags);
  if (flags.graph !== undefined) graphFormOf(flags.graph);
  if (bundle === undefined) {
    if (trustedRoot === undefined && identity.length === 0) return;
    throw usage('--trusted-root and --identity are about a bundle', 'Give the bundle: --bundle FILE.');
  }
  if ([attestations, flags.export, flags.graph, vsa].some((flag) => flag !== undefined)) {
    throw usage(
      'a Sigstore bundle is verified by itself, beside what this home knows',
      'Leave out --attestations, --export, --graph and --vsa, or --bundle.',
    );
  }
  refuseCredulous(flags);
}

/** Receipts go out with what this home has, or come in with what is in a file: then under the key of the log that gave them. */
function refuseReceiptless({ attestations, receipts, logKey, ...flags }: VerifyFlags): void {
  if (receipts === undefined && logKey === undefined) return;
  if (receipts === undefined)
    throw usage('--log-key is about receipts', 'Give them: --attestations FILE --receipts FILE --log-key KEY.');
  if ((attestations === undefined) === (flags.export === undefined)) {
    throw usage(
      'receipts are written beside --export, or read beside --attestations',
      'Give one of the two: --export FILE --receipts FILE, or --attestations FILE --receipts FILE --log-key KEY.',
    );
  }
  if (attestations !== undefined && logKey === undefined) {
    throw usage(
      'a receipt proves nothing without the key of the log that gave it',
      'Give --log-key KEY, as the log’s operator publishes it: NAME+ID+BASE64.',
    );
  }
  if (flags.export !== undefined && logKey !== undefined)
    throw usage('--log-key is about receipts that are read', 'Leave it out: this home gives receipts of its own log.');
}

/** How a graph is written, by the name of its file. */
export function graphFormOf(path: string): 'svg' | 'dot' {
  if (path.endsWith('.svg')) return 'svg';
  if (path.endsWith('.dot')) return 'dot';
  throw usage('a graph is an SVG or a DOT file', 'Name it so: --graph chain.svg, or --graph chain.dot.');
}

function refuseCredulous({ trustedRoot, identity }: VerifyFlags): void {
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

function usage(message: string, hint: string): CliError {
  return new CliError('CLI_USAGE', message, { exit: exitStatus.usage, hint });
}
