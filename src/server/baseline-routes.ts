// Baselines over HTTP: what is normal for an artifact is shown, learnt, signed and taken over.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';

import { exportBaselineRequest, importBaselineRequest, learnRequest } from '../api/index.ts';
import type { Engine } from '../engine/index.ts';
import { openJsonLines } from './json-lines.ts';

const query = z.object({
  subject: z.string().max(4096),
  reference: z.string().max(4096),
  rootfs: z.string().optional(),
});

/** Adds the routes. */
export function baselineRoutes(app: FastifyInstance, engine: Engine): void {
  app.get('/v1/baselines', (request) => {
    const { subject, reference, rootfs } = query.parse(request.query);
    return engine.showBaselines({ subject, reference, rootfs: rootfs === 'true' });
  });
  app.post('/v1/baselines/learn', async (request, reply) => {
    const body = learnRequest.parse(request.body);
    const leaving = new AbortController();
    // Who asked for it vouches while it is there to see: a phase that nobody watches ends.
    reply.raw.once('close', () => leaving.abort());
    const lines = openJsonLines(reply);
    await lines.finish(() =>
      engine.learnBaseline(body, { report: (line) => lines.write(line), signal: leaving.signal }),
    );
  });
  app.post('/v1/baselines/export', (request) => engine.exportBaseline(exportBaselineRequest.parse(request.body)));
  app.post('/v1/baselines/import', (request) => engine.importBaseline(importBaselineRequest.parse(request.body)));
}
