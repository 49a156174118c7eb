// What can go wrong at the server edge.
import { ProvostError } from '../base/index.ts';

export type ServerErrorCode =
  | 'SERVER_NO_ROUTE'
  | 'SERVER_REQUEST'
  | 'SERVER_TOKEN'
  | 'SERVER_RUNNING'
  | 'SERVER_LISTEN'
  | 'SERVER_OVERLOADED'
  | 'SERVER_BUSY';

export class ServerError extends ProvostError<ServerErrorCode> {}
