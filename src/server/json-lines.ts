// A reply of JSON Lines: events while something long is done, then one last line, its result or its error.
import { once } from 'node:events';

import type { FastifyReply } from 'fastify';

import { errorDocumentOf } from './error-reply.ts';

export interface JsonLines {
  write(value: unknown): void;
  /** As `write`, but waits while the reader is behind. */
  writeSlowly(value: unknown): Promise<void>;
  end(): void;
  /** Runs `work` and writes `{"result": …}` or the error form as the last line. */
  finish(work: () => Promise<unknown>): Promise<void>;
}

/** Takes the reply over; nothing else may write to it afterwards. */
export function openJsonLines(reply: FastifyReply): JsonLines {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'application/jsonl', 'cache-control': 'no-store' });
  const write = (value: unknown): void => void reply.raw.write(`${JSON.stringify(value)}\n`);
  return {
    write,
    writeSlowly: async (value) => {
      const isReady = reply.raw.write(`${JSON.stringify(value)}\n`);
      // A reader that goes away while it is behind ends the wait, too.
      if (!isReady && !reply.raw.destroyed) await Promise.race([once(reply.raw, 'drain'), once(reply.raw, 'close')]);
    },
    end: () => void reply.raw.end(),
    finish: async (work) => {
      try {
        write({ result: await work() });
      } catch (error) {
        write(errorDocumentOf(error));
      }
      reply.raw.end();
    },
  };
}
