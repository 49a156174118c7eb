// Logs and witnesses over HTTP: static files by their paths, entries and checkpoints as bodies. @source https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-witness
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

import {
  type EnvelopeLog,
  type GoSumLog,
  type PublicLog,
  readServedFile,
  type ServedFile,
  type ServedLog,
  type Witness,
} from '../engine/index.ts';
import { exitStatus } from '../base/index.ts';
import { envelopeRoute } from './envelope-routes.ts';
import { errorDocumentOf, errorReply, statusOf } from './error-reply.ts';
import { ServerError } from './server-error.ts';

/** An entry has at most 65,535 bytes; one byte more shows that it is too large. */
const ENTRY_BODY_MAX = 64 * 1024;
/** A checkpoint with its proof. */
const CHECKPOINT_BODY_MAX = 128 * 1024;
const YEAR_S = 31_536_000;
const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** Serves a log by what it takes; its files are in `dir`. */
export function servedLogServer(served: ServedLog, dir: string): FastifyInstance {
  switch (served.format) {
    case 'provost':
      return envelopeLogServer(served.log, dir);
    case 'raw':
      return logServer(served.log, dir);
    case 'gosum':
      return goSumServer(served.log);
    default:
      return served satisfies never;
  }
}

/** Serves a log of envelopes: GET its files, POST /add an envelope. */
function envelopeLogServer(log: EnvelopeLog, dir: string): FastifyInstance {
  const app = bareServer(ENTRY_BODY_MAX);
  logFileRoutes(app, '', (path) => readServedFile(dir, path));
  envelopeRoute(app, '/add', log.admit);
  return app;
}

/** Serves a log: GET its files, POST /add an entry; the answer is the index, once the entry is durable. */
export function logServer(log: PublicLog, dir: string): FastifyInstance {
  const app = bareServer(ENTRY_BODY_MAX);
  logFileRoutes(app, '', (path) => readServedFile(dir, path));
  app.post('/add', async (request, reply) => sendText(reply, `${await log.add(bodyOf(request))}`));
  return app;
}

/** Serves a checksum database: as a log, and by the paths of the go command, which shows what it is told in plain text. @source golang.org/x/mod, sumdb/server.go */
export function goSumServer(log: GoSumLog): FastifyInstance {
  const app = bareServer(ENTRY_BODY_MAX);
  logFileRoutes(app, '', (path) => log.file(path));
  app.post('/add', async (request, reply) => sendText(reply, `${await log.add(bodyOf(request))}`));
  app.get('/latest', { errorHandler: textError }, (_request, reply) => sendText(reply, log.latest()));
  app.get<{ Params: { '*': string } }>('/lookup/*', { errorHandler: textError }, async (request, reply) =>
    sendText(reply, await log.lookup(request.params['*'])),
  );
  return app;
}

/** Serves a witness: POST /add-checkpoint. */
export function witnessServer(witness: Witness): FastifyInstance {
  const app = bareServer(CHECKPOINT_BODY_MAX);
  app.post('/add-checkpoint', async (request, reply) => {
    const answer = await witness.addCheckpoint(bodyOf(request));
    return reply.code(answer.status).type(answer.mediaType).send(answer.body);
  });
  return app;
}

/** Adds the files of a log below `prefix`. */
export function logFileRoutes(app: FastifyInstance, prefix: string, read: (path: string) => ServedFile | null): void {
  const send = (path: string, reply: FastifyReply): FastifyReply => {
    const file = read(path);
    // Readers of logs go by the status.
    if (file === null) return reply.code(404).send(errorDocumentOf(noFile(path)));
    const caching = file.isImmutable ? `public, max-age=${YEAR_S}, immutable` : 'no-cache';
    return reply.header('cache-control', caching).type(file.mediaType).send(file.bytes);
  };
  app.get(`${prefix}/checkpoint`, (_request, reply) => send('checkpoint', reply));
  app.get<{ Params: { '*': string } }>(`${prefix}/tile/*`, (request, reply) =>
    send(`tile/${request.params['*']}`, reply),
  );
}

function bodyOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function sendText(reply: FastifyReply, text: string | Buffer): FastifyReply {
  return reply.header('cache-control', 'no-cache').type(PLAIN_TEXT).send(text);
}

function textError(error: unknown, _request: FastifyRequest, reply: FastifyReply): void {
  const { error: told } = errorDocumentOf(error);
  // What is not there, by Go's client, is 404 and nothing else.
  const status = told.code === 'LEDGER_NO_RECORD' ? 404 : statusOf(told.exit);
  void sendText(reply.code(status), `${told.message} (${told.code})\n`);
}

/** Bodies are bytes, whatever their type says. */
function bareServer(bodyLimit: number): FastifyInstance {
  const app = fastify({ bodyLimit, logger: false, forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, _request, reply) => errorReply(error, reply));
  app.setNotFoundHandler((request, reply) => errorReply(noFile(request.url), reply));
  return app;
}

function noFile(path: string): ServerError {
  return new ServerError('SERVER_NO_ROUTE', `there is no ${path.slice(0, 200)}`, {
    exit: exitStatus.usage,
    hint: 'A log serves checkpoint, tile/… and POST add; a witness POST add-checkpoint.',
  });
}
