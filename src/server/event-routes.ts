// Events as server-sent events, with ids that resume.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';

import type { Engine, NumberedEvent } from '../engine/index.ts';

/** A reader that lags this far behind is cut off: it resumes with Last-Event-ID. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** Keeps proxies from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;

const query = z.object({
  workload: z.string().max(64).optional(),
  after: z.coerce.number().int().min(0).optional(),
});

/** GET /v1/events: kept events after `after` or Last-Event-ID first, then live ones. */
export function eventRoutes(app: FastifyInstance, engine: Engine): void {
  app.get('/v1/events', (request, reply) => {
    const asked = query.parse(request.query);
    const lastId = z.coerce.number().int().min(0).safeParse(request.headers['last-event-id']);
    const afterSeq = lastId.success ? lastId.data : (asked.after ?? null);
    reply.hijack();
    const stream = reply.raw;
    stream.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    stream.write(': open\n\n');
    const send = ({ seq, event }: NumberedEvent): void => {
      if (stream.writableLength > BACKLOG_BYTES_MAX) stream.destroy();
      else stream.write(`id: ${seq}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
    };
    const subscription = engine.subscribe({ workload: asked.workload ?? null, afterSeq }, send);
    const heartbeat = setInterval(() => stream.write(': still here\n\n'), HEARTBEAT_MS);
    stream.once('close', () => {
      clearInterval(heartbeat);
      subscription[Symbol.dispose]();
    });
  });
}
