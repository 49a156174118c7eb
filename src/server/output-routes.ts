// A workload's output and audit log, and what a client needs to hold its streams.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';

import { workloadName } from '../api/index.ts';
import type { Engine } from '../engine/index.ts';
import { openJsonLines } from './json-lines.ts';

const params = z.object({ name: workloadName });
const query = z.object({
  follow: z.enum(['true', 'false']).optional(),
  tail: z.coerce.number().int().min(0).max(100_000).optional(),
  audit: z.enum(['true', 'false']).optional(),
  instance: z.enum(['all', 'current']).optional(),
});
const terminalSize = z.strictObject({ columns: z.int().min(1).max(10_000), rows: z.int().min(1).max(10_000) });

/** GET …/logs, and the routes of a client that attaches: where the streams are, that it holds them, how large its terminal is. */
export function outputRoutes(app: FastifyInstance, engine: Engine): void {
  app.get('/v1/workloads/:name/logs', async (request, reply) => {
    const { name } = params.parse(request.params);
    const asked = query.parse(request.query);
    const ended = new AbortController();
    request.raw.socket.once('close', () => ended.abort());
    const lines = engine.output(name, {
      follow: asked.follow === 'true',
      tail: asked.tail ?? null,
      audit: asked.audit === 'true',
      onlyCurrent: asked.instance === 'current',
      signal: ended.signal,
    });
    const out = openJsonLines(reply);
    for await (const line of lines) await out.writeSlowly(line);
    out.end();
  });
  app.get('/v1/workloads/:name/attach', (request) => ({
    socket: engine.attachPath(params.parse(request.params).name),
  }));
  app.post('/v1/workloads/:name/attach', async (request, reply) => {
    engine.attached(params.parse(request.params).name);
    return reply.code(204).send();
  });
  app.post('/v1/workloads/:name/terminal', async (request, reply) => {
    const { columns, rows } = terminalSize.parse(request.body);
    engine.resizeTerminal(params.parse(request.params).name, columns, rows);
    return reply.code(204).send();
  });
}
