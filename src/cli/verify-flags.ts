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
  if (bundle === undefined) {
    if (trustedRoot === undefined && identity.length === 0) return;
    throw usage('--trusted-root and --identity are about a bundle', 'Give the bundle: --bundle FILE.');
  }
  if ([attestations, flags.export, vsa].some((flag) => flag !== undefined)) {
    throw usage(
      'a Sigstore bundle is verified by itself, beside what this home knows',
      'Leave out --attestations, --export and --vsa, or --bundle.',
    );
  }
  refuseCredulous(flags);
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
