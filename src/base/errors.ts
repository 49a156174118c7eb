// Errors that a person or a program can act on: a code, a message in three parts, an exit status.

/** Exit statuses of the command line, as the interface contract lists them. */
export const exitStatus = {
  done: 0,
  internal: 1,
  usage: 2,
  denied: 3,
  verificationFailed: 4,
  evidenceMissing: 5,
  unavailable: 6,
  notAuthorised: 7,
  differences: 8,
  limit: 9,
  timeLimit: 124,
  memoryLimit: 137,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

export interface ErrorOptionsOf {
  /** What the command line exits with. */
  readonly exit?: ExitStatus;
  /** What the reader can do about it; one sentence. */
  readonly hint?: string;
  /** Facts for programs; never secrets or payloads. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * An operating error: something outside the program is not as it must be. Each domain derives one class and
 * closes the set of codes; `docs/errors.md` lists them all.
 */
export class ProvostError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly exit: ExitStatus;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: ErrorOptionsOf = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.exit = options.exit ?? exitStatus.internal;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

export type BaseErrorCode = 'BASE_CANONICAL_JSON' | 'BASE_UNIT' | 'BASE_DEPTH';

export class BaseError extends ProvostError<BaseErrorCode> {}

/** A broken invariant: a defect of ours. The process must end rather than go on with a false belief. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws {@link InvariantError} unless `condition` holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The errno name (`ENOENT` …) that Node put on a system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
