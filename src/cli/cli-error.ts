// What can go wrong in a command before or beside the supervisor.
import { ProvostError } from '../base/index.ts';

export type CliErrorCode =
  | 'CLI_USAGE'
  | 'CLI_NOT_ROOT'
  | 'CLI_NO_ACCESS'
  | 'CLI_NO_SUPERVISOR'
  | 'CLI_REPLY'
  | 'CLI_FILE'
  | 'CLI_DEMO'
  | 'CLI_COMMAND'
  | 'CLI_GIT';

export class CliError extends ProvostError<CliErrorCode> {}
