// Who visits the web server of the demo: requests over loopback to the published port, each noted with who answered.
import { type IncomingMessage, get } from 'node:http';

/** Often enough that each window of telemetry is an active one and that a gap in service shows. */
const VISIT_EVERY_MS = 100;
/** A page of some bytes over loopback takes milliseconds, on a busy host some more; a server that was cut off never answers. */
const ANSWER_WITHIN_MS = 1000;
const PAGE_BYTES_MAX = 64 * 1024 * 1024;

/** One visit. */
export interface Visit {
  /** `performance.now()` when it began and when it was answered, or given up. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Revision of the page that came; null without an answer. */
  readonly revision: number | null;
}

export interface Page {
  readonly status: number;
  readonly bytes: number;
  readonly text: string;
}

/** Asks for a page; null when no answer came in time. */
export async function visit(port: number, path: string, withinMs = ANSWER_WITHIN_MS): Promise<Page | null> {
  const { promise, resolve } = Promise.withResolvers<Page | null>();
  const request = get(
    { host: '127.0.0.1', port, path, agent: false, signal: AbortSignal.timeout(withinMs) },
    (reply) => void pageOf(reply).then(resolve, () => resolve(null)),
  );
  // Refused, reset or too late: no answer, whatever the reason.
  request.once('error', () => resolve(null));
  return promise;
}

async function pageOf(reply: IncomingMessage): Promise<Page> {
  let bytes = 0;
  let text = '';
  for await (const chunk of reply) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (text === '') text = buffer.toString('latin1').slice(0, 200);
    if (bytes > PAGE_BYTES_MAX) throw new Error('the page does not end');
  }
  return { status: reply.statusCode ?? 0, bytes, text };
}

/** Bits a second at which a page came; null when it did not come whole. */
export async function measureRate(port: number, path: string, bytes: number, withinMs: number): Promise<number | null> {
  const fromMs = performance.now();
  const page = await visit(port, path, withinMs);
  if (page === null || page.status !== 200 || page.bytes < bytes) return null;
  return (page.bytes * 8 * 1000) / (performance.now() - fromMs);
}

/** Visits again and again until it is finished or disposed. */
export class Visitor implements Disposable {
  readonly visits: Visit[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;

  constructor(port: number) {
    this.#port = port;
    this.#timer = setInterval(() => {
      const visited: Promise<void> = this.#visit().finally(() => this.#pending.delete(visited));
      this.#pending.add(visited);
    }, VISIT_EVERY_MS);
  }

  /** Begins no more visits; resolves when each that was begun is answered or given up. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  async #visit(): Promise<void> {
    const fromMs = performance.now();
    const page = await visit(this.#port, '/');
    const revision = page?.status === 200 ? Number(/revision (\d+)/.exec(page.text)?.[1] ?? 0) : null;
    this.visits.push({ fromMs, toMs: performance.now(), revision });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
