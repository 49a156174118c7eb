// The errors of this room in the words that a person reads: what happened, why, what to do.
import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { ArtifactError, type Digest } from './digest.ts';

/** Longest piece of untrusted text that a message repeats. */
const QUOTED_CHARS_MAX = 120;
const MESSAGE_CHARS_MAX = 1000;

/** Controls, and the marks that turn the direction of text: what a terminal would obey rather than show. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Text from outside made safe for a terminal: bounded, and with `?` for what is not to be printed. */
export function printable(text: string, charsMax = MESSAGE_CHARS_MAX): string {
  const shown = text.slice(0, charsMax).replaceAll(UNPRINTABLE, '?');
  return text.length > charsMax ? `${shown}…` : shown;
}

/** A name out of an archive, which is a binary string, as a message shows it. */
export function quoted(name: string): string {
  return `'${printable(Buffer.from(name, 'latin1').toString('utf8'), QUOTED_CHARS_MAX)}'`;
}

export function hostile(message: string, cause?: unknown): ArtifactError {
  return new ArtifactError('ARTIFACT_HOSTILE', printable(message), {
    exit: exitStatus.verificationFailed,
    hint: 'Do not use this artifact; rebuild it with a current tool, from a source that you trust.',
    cause,
  });
}

export function tooLarge(message: string): ArtifactError {
  return new ArtifactError('ARTIFACT_TOO_LARGE', printable(message), {
    exit: exitStatus.denied,
    hint: 'Make the artifact smaller, or split it.',
  });
}

export function unsupported(message: string, hint: string): ArtifactError {
  return new ArtifactError('ARTIFACT_UNSUPPORTED', printable(message), { exit: exitStatus.usage, hint });
}

export function unreadable(message: string, cause?: unknown): ArtifactError {
  const because = cause === undefined ? '' : `: ${messageOf(cause)}`;
  return new ArtifactError('ARTIFACT_UNREADABLE', printable(`${message}${because}`), {
    exit: exitStatus.usage,
    hint: 'Check that the file or folder is complete and may be read.',
    cause,
  });
}

export function notFound(message: string, hint: string): ArtifactError {
  return new ArtifactError('ARTIFACT_NOT_FOUND', printable(message), { exit: exitStatus.usage, hint });
}

export function badDigest(what: string, expected: Digest, got: string): ArtifactError {
  return new ArtifactError('ARTIFACT_DIGEST', `${what} is not what its digest says: expected ${expected}, got ${got}`, {
    exit: exitStatus.verificationFailed,
    hint: 'The content was changed or damaged on its way; get it again from its source.',
    details: { expected, got },
  });
}

export function badSize(what: string, expectedBytes: number, gotBytes: number): ArtifactError {
  return new ArtifactError(
    'ARTIFACT_DIGEST',
    `${what} has ${gotBytes} bytes or more where ${expectedBytes} are named`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'The content was changed or damaged on its way; get it again from its source.',
      details: { expectedBytes, gotBytes },
    },
  );
}

/** Turns a system error met while writing under our own folder into one of this room's errors; others pass unchanged. */
export function writeRefusal(error: unknown, what: string): unknown {
  switch (errnoOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new ArtifactError('ARTIFACT_NO_SPACE', `no space is left to write ${what}`, {
        exit: exitStatus.unavailable,
        hint: 'Free space in PROVOST_HOME, or put it on a larger file system.',
        cause: error,
      });
    case 'EEXIST':
    case 'ENAMETOOLONG':
    case 'ELOOP':
    case 'ENOTDIR':
    case 'ENOTEMPTY':
    case 'EMLINK':
    // Also for file capabilities that are none.
    case 'EINVAL':
      return hostile(`${what} holds an entry that cannot be written: ${messageOf(error)}`, error);
    case 'EPERM':
      return new ArtifactError(
        'ARTIFACT_NOT_ROOT',
        `this process may not write ${what} as it must be: ${messageOf(error)}`,
        {
          exit: exitStatus.notAuthorised,
          hint: 'Run the command as root of the host, not of a user namespace.',
          cause: error,
        },
      );
    case 'EOPNOTSUPP':
    case 'ENOTSUP':
      return unsupported(
        `the file system of PROVOST_HOME cannot hold ${what}: ${messageOf(error)}`,
        'Put PROVOST_HOME on ext4, XFS or Btrfs.',
      );
    default:
      return error;
  }
}
