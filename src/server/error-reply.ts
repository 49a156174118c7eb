// Any thrown thing as the one error form of the wire, with a fitting HTTP status.
import type { FastifyReply } from 'fastify';
import { ZodError } from 'zod';

import type { ErrorDocument } from '../api/index.ts';
import { type ExitStatus, exitStatus, messageOf, ProvostError } from '../base/index.ts';
import { ServerError } from './server-error.ts';

const statusOfExit: ReadonlyMap<ExitStatus, number> = new Map([
  [exitStatus.usage, 400],
  [exitStatus.denied, 403],
  [exitStatus.verificationFailed, 422],
  [exitStatus.evidenceMissing, 422],
  [exitStatus.unavailable, 503],
  [exitStatus.notAuthorised, 401],
  [exitStatus.differences, 409],
]);

/** The wire form of anything that was thrown; messages of unforeseen errors are kept, stacks are not. */
export function errorDocumentOf(error: unknown): ErrorDocument {
  if (error instanceof ZodError) return errorDocumentOf(badRequest(error));
  if (error instanceof ProvostError) {
    return {
      error: {
        code: error.code,
        message: error.message,
        hint: error.hint ?? null,
        exit: error.exit,
        details: { ...error.details },
      },
    };
  }
  if (isClientFault(error)) return errorDocumentOf(badBody(error));
  return {
    error: { code: 'INTERNAL', message: messageOf(error), hint: null, exit: exitStatus.internal, details: {} },
  };
}

/** What the HTTP server itself found wrong with a request: too large, not JSON. */
function isClientFault(error: unknown): error is Error {
  return error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500;
}

function badBody(error: Error): ServerError {
  return new ServerError('SERVER_REQUEST', `the request cannot be read: ${error.message}`, {
    exit: exitStatus.usage,
    hint: 'GET /openapi.json has the schemas.',
  });
}

function badRequest(error: ZodError): ServerError {
  const first = error.issues[0];
  const where = first === undefined || first.path.length === 0 ? 'the request' : first.path.join('.');
  return new ServerError('SERVER_REQUEST', `${where}: ${first?.message ?? 'not as it must be'}`, {
    exit: exitStatus.usage,
    hint: 'GET /openapi.json has the schemas.',
  });
}

/** Sends the error as JSON. */
export function errorReply(error: unknown, reply: FastifyReply): FastifyReply {
  const document = errorDocumentOf(error);
  return reply.code(statusOf(document.error.exit)).send(document);
}

/** The HTTP status of an error by the exit status of a command that meets it. */
export function statusOf(exit: number): number {
  return [...statusOfExit].find(([known]) => known === exit)?.[1] ?? 500;
}
