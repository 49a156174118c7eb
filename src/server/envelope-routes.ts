// POST add of a log that takes verified envelopes alone: the body is the envelope, the answer its index once it is durable.
import type { FastifyInstance } from 'fastify';

import { MIB } from '../base/index.ts';
import type { AdmitEnvelope } from '../engine/index.ts';
import { errorReply } from './error-reply.ts';
import { Intake } from './intake.ts';
import { ServerError } from './server-error.ts';

/** As large as envelopes are read. */
const ENVELOPE_BODY_MAX = 8 * MIB;
/** Four of the largest at a time, or a thousand of a usual size: each is kept in memory with its payload decoded. */
const INTAKE = { requestsMax: 1024, bytesMax: 32 * MIB };

/** Adds the route at `path`. */
export function envelopeRoute(app: FastifyInstance, path: string, admit: AdmitEnvelope): void {
  const intake = new Intake(INTAKE);
  // A scope of its own: here bodies are bytes, whatever their type says, since the bytes that are verified are those that are parsed.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    scope.setErrorHandler((error, _request, reply) => {
      if (error instanceof ServerError && error.code === 'SERVER_OVERLOADED') reply.header('retry-after', '1');
      return errorReply(error, reply);
    });
    // Before the body is read.
    scope.addHook('onRequest', async (request, reply) => {
      const declared = Number(request.headers['content-length'] ?? ENVELOPE_BODY_MAX);
      const held = intake.take(Math.min(declared, ENVELOPE_BODY_MAX));
      reply.raw.once('close', () => held[Symbol.dispose]());
    });
    scope.post(path, { bodyLimit: ENVELOPE_BODY_MAX }, async (request, reply) => {
      const { body } = request;
      const logged = await admit(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
      return request.headers.accept?.includes('application/json') === true
        ? reply.send(logged)
        : reply.type('text/plain; charset=utf-8').send(`${logged.logIndex}`);
    });
  });
}
