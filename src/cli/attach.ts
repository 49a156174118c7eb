// `run -i -t`: our terminal or pipe joined to the workload's streams, past the supervisor, so that they outlive it.
import { isatty } from 'node:tty';

import { z } from 'zod';

import type { Client } from './client.ts';

export interface AttachOptions {
  readonly client: Client;
  readonly workload: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
}

const attachReply = z.object({ socket: z.string() });

/** Joins the streams; resolves when the workload closes its side. */
export async function attachStreams(options: AttachOptions): Promise<void> {
  const path = `/v1/workloads/${encodeURIComponent(options.workload)}/attach`;
  const { socket } = attachReply.parse(await options.client.call({ method: 'GET', path }));
  const { openAttachment } = await import('../engine/index.ts');
  using attachment = openAttachment(socket);
  await options.client.call({ method: 'POST', path });
  const restore = options.terminal && isatty(0) ? rawTerminal(options) : () => {};
  if (options.stdin) {
    // Lines that the workload no longer takes are lost with it.
    process.stdin.on('data', (bytes: Buffer) => void attachment.write(bytes).catch(() => undefined));
    process.stdin.once('end', () => attachment.endInput());
  }
  try {
    for await (const { stream, bytes } of attachment.output)
      (stream === 'stderr' ? process.stderr : process.stdout).write(bytes);
  } finally {
    restore();
    process.stdin.pause();
  }
}

function rawTerminal({ client, workload }: AttachOptions): () => void {
  process.stdin.setRawMode(true);
  const resize = (): void => {
    const { columns, rows } = process.stdout;
    const path = `/v1/workloads/${encodeURIComponent(workload)}/terminal`;
    // A size that does not arrive is repeated at the next change.
    client.call({ method: 'POST', path, body: { columns, rows } }).catch(() => undefined);
  };
  resize();
  process.stdout.on('resize', resize);
  return () => {
    process.stdout.off('resize', resize);
    process.stdin.setRawMode(false);
  };
}
