// The HTTP API: what the commands use over the Unix socket, and others over TCP with a token.
import { timingSafeEqual } from 'node:crypto';

import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { z } from 'zod';

import { incidentNote, overrideRequest, reasonNote, runRequest, stopRequest } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import type { Engine } from '../engine/index.ts';
import { baselineRoutes } from './baseline-routes.ts';
import { envelopeRoute } from './envelope-routes.ts';
import { errorReply } from './error-reply.ts';
import { ServerError } from './server-error.ts';
import { eventRoutes } from './event-routes.ts';
import { logFileRoutes } from './log-server.ts';
import { openApiDocument } from './open-api.ts';
import { outputRoutes } from './output-routes.ts';
import { openJsonLines } from './json-lines.ts';

/** A request body may carry secrets and a policy, nothing larger. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

export interface HttpOptions {
  readonly engine: Engine;
  /** Null on the Unix socket, whose file mode is the authorisation. */
  readonly token: string | null;
  readonly shutdown: (options: { readonly stopWorkloads: boolean }) => Promise<void>;
}

const nameParam = z.object({ name: z.string().max(64) });
const idParam = z.object({ id: z.string().max(64) });

/** Builds the server; the caller listens and closes. */
export function httpServer(options: HttpOptions): FastifyInstance {
  const app = fastify({ bodyLimit: BODY_BYTES_MAX, logger: false, forceCloseConnections: true });
  app.setErrorHandler((error, _request, reply) => errorReply(error, reply));
  app.setNotFoundHandler((request, reply) =>
    errorReply(
      new ServerError('SERVER_NO_ROUTE', `there is no ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}`, {
        exit: exitStatus.usage,
        hint: 'GET /openapi.json lists what there is.',
      }),
      reply,
    ),
  );
  if (options.token !== null) guardWithToken(app, options.token);
  workloadRoutes(app, options.engine);
  incidentRoutes(app, options.engine);
  artifactRoutes(app, options.engine);
  baselineRoutes(app, options.engine);
  eventRoutes(app, options.engine);
  outputRoutes(app, options.engine);
  logFileRoutes(app, '/log', (path) => options.engine.logFile(path));
  envelopeRoute(app, '/log/add', (envelope) => options.engine.admitEnvelope(envelope));
  systemRoutes(app, options);
  return app;
}

function guardWithToken(app: FastifyInstance, token: string): void {
  const expected = Buffer.from(`Bearer ${token}`);
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    if (request.url === '/healthz' || request.url === '/readyz') return;
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length === expected.length && timingSafeEqual(given, expected)) return;
    await errorReply(
      new ServerError('SERVER_TOKEN', 'the token is missing or wrong', {
        exit: exitStatus.notAuthorised,
        hint: 'Send Authorization: Bearer and the token that serve was given.',
      }),
      reply,
    );
  });
}

function workloadRoutes(app: FastifyInstance, engine: Engine): void {
  app.get('/v1/workloads', () => engine.list());
  app.get('/v1/workloads/:name', (request) => engine.inspect(nameParam.parse(request.params).name));
  app.post('/v1/workloads', async (request, reply) => {
    const body = runRequest.parse(request.body);
    const lines = openJsonLines(reply);
    await lines.finish(() => engine.run(body, (event) => lines.write(event)));
  });
  app.post('/v1/workloads/:name/stop', (request) =>
    engine.stop(nameParam.parse(request.params).name, stopRequest.parse(request.body).timeoutMs),
  );
  app.delete('/v1/workloads/:name', async (request, reply) => {
    const force = z.object({ force: z.string().optional() }).parse(request.query).force === 'true';
    await engine.remove(nameParam.parse(request.params).name, { force });
    return reply.code(204).send();
  });
  app.post('/v1/workloads/:name/rollback', (request) =>
    engine.rollback(nameParam.parse(request.params).name, reasonNote.parse(request.body).reason),
  );
  app.post('/v1/workloads/:name/override', (request) =>
    engine.override(nameParam.parse(request.params).name, overrideRequest.parse(request.body)),
  );
  app.delete('/v1/workloads/:name/override', (request) => {
    const { key = null } = z.object({ key: z.string().max(128).optional() }).parse(request.query);
    return engine.clearOverride(nameParam.parse(request.params).name, key);
  });
  app.post('/v1/workloads/:name/deployment', (request) => engine.recordDeploy(nameParam.parse(request.params).name));
}

function incidentRoutes(app: FastifyInstance, engine: Engine): void {
  const query = z.object({ workload: z.string().optional(), open: z.string().optional() });
  app.get('/v1/incidents', (request) => {
    const asked = query.parse(request.query);
    return engine.listIncidents({ workload: asked.workload ?? null, openOnly: asked.open === 'true' });
  });
  app.get('/v1/incidents/:id', (request) => engine.incident(idParam.parse(request.params).id));
  app.post('/v1/incidents/:id/acknowledge', (request) =>
    engine.noteIncident(idParam.parse(request.params).id, 'acknowledged', incidentNote.parse(request.body)),
  );
  app.post('/v1/incidents/:id/resolve', (request) =>
    engine.noteIncident(idParam.parse(request.params).id, 'resolved', incidentNote.parse(request.body)),
  );
}

const keyCommand = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('generate'), name: z.string().max(64) }),
  z.strictObject({
    do: z.literal('trust'),
    key: z.string().max(128),
    publicKeyPem: z.string().max(8192).nullable(),
    role: z.enum(['publisher', 'builder', 'reviewer', 'operator']),
    scope: z.string().max(512),
    predicateTypes: z.array(z.string().max(512)).max(64),
    sinceIndex: z.int().min(0).nullable().optional(),
  }),
  z.strictObject({ do: z.literal('rotate'), key: z.string().max(128) }),
  z.strictObject({
    do: z.literal('revoke'),
    key: z.string().max(128),
    reason: z.string().max(1000),
    lastValidIndex: z.int().min(0).nullable().optional(),
  }),
]);

const attestBody = z.strictObject({
  reference: z.string().max(4096),
  rootfs: z.boolean(),
  predicateType: z.string().max(512),
  predicate: z.json(),
  key: z.string().max(128),
  digest: z.string().max(128).optional(),
});

const aboutSchema = z.strictObject({ name: z.string().max(4096), digest: z.string().max(80) });

const statementsBody = z.strictObject({
  key: z.string().max(128),
  statements: z
    .array(
      z.strictObject({
        ...aboutSchema.shape,
        alsoAbout: z.array(aboutSchema).max(31).optional(),
        predicateType: z.string().max(512),
        predicate: z.json(),
      }),
    )
    .min(1)
    .max(500),
});

function artifactRoutes(app: FastifyInstance, engine: Engine): void {
  const query = z.object({ reference: z.string().max(4096), rootfs: z.string().optional() });
  app.get('/v1/artifacts/score', (request) => {
    const asked = query.parse(request.query);
    return engine.score(asked.reference, { rootfs: asked.rootfs === 'true' });
  });
  app.post('/v1/attestations', (request) => engine.attest(attestBody.parse(request.body)));
  app.post('/v1/statements', (request) => {
    const { key, statements } = statementsBody.parse(request.body);
    return engine.recordStatements(key, statements);
  });
  app.post('/v1/keys', (request) => engine.changeKeys(keyCommand.parse(request.body)));
}

function systemRoutes(app: FastifyInstance, options: HttpOptions): void {
  app.get('/v1/policy', async (_request, reply) => reply.type('application/yaml').send(options.engine.policyText));
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4').send(await options.engine.metrics()),
  );
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', () => ({ status: 'ready' }));
  app.get('/openapi.json', () => openApiDocument());
  app.post('/v1/shutdown', async (request, reply) => {
    const { stopWorkloads } = z.strictObject({ stopWorkloads: z.boolean() }).parse(request.body);
    await options.shutdown({ stopWorkloads });
    return reply.code(202).send({ status: 'ending' });
  });
}
