// The supervisor as the commands see it: HTTP over its Unix socket, started on demand.
import { existsSync, readFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { type ErrorDocument, errorDocument, type HomeLayout } from '../api/index.ts';
import { errnoOf, type ExitStatus, exitStatus, ProvostError } from '../base/index.ts';
import { CliError } from './cli-error.ts';

/** A fresh supervisor opens its ledger, adopts what runs, and then listens; longer than this and something is wrong. */
const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 15;
/** Lines of the supervisor's log that an error shows: a policy's problems come a line each. */
const LOG_LINES_SHOWN = 8;
/** A reply that is read whole is never larger. */
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** An error that the supervisor sent, with its own code and exit status. */
export class RemoteError extends ProvostError {
  constructor({ error }: ErrorDocument) {
    super(error.code, error.message, {
      exit: error.exit as ExitStatus,
      ...(error.hint === null ? {} : { hint: error.hint }),
      details: error.details,
    });
  }
}

export class Client {
  readonly socketPath: string;

  constructor(socket: string) {
    this.socketPath = socket;
  }

  /** Sends one request; resolves when the headers are there, whatever the status. */
  open(call: Call): Promise<IncomingMessage> {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest(
      {
        socketPath: this.socketPath,
        method: call.method,
        path: call.path,
        headers:
          body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      },
      resolve,
    );
    request.once('error', reject);
    request.end(body);
    return promise;
  }

  /**
   * Sends one request and parses the JSON reply.
   *
   * @throws RemoteError with what the supervisor said
   */
  async call<T>(call: Call): Promise<T> {
    const reply = await this.open(call);
    const text = await readAll(reply);
    const value: unknown = text === '' ? null : JSON.parse(text);
    if ((reply.statusCode ?? 500) >= 400) throw new RemoteError(errorDocument.parse(value));
    return value as T;
  }

  /** The lines of a JSON Lines reply, parsed as they come. */
  async *lines(call: Call): AsyncGenerator {
    const reply = await this.#openStream(call);
    for await (const line of textLines(reply)) if (line !== '') yield JSON.parse(line);
  }

  /** The data of a stream of server-sent events, parsed, with the number to resume from. */
  async *events(path: string, signal?: AbortSignal): AsyncGenerator<{ seq: number; value: unknown }> {
    const reply = await this.#openStream({ method: 'GET', path, ...(signal === undefined ? {} : { signal }) });
    let seq = 0;
    for await (const line of textLines(reply)) {
      if (line.startsWith('id: ')) seq = Number(line.slice(4));
      else if (line.startsWith('data: ')) yield { seq, value: JSON.parse(line.slice(6)) };
    }
  }

  /** A reply that is read as it comes; a refusal is whole at once. */
  async #openStream(call: Call): Promise<IncomingMessage> {
    const reply = await this.open(call);
    if ((reply.statusCode ?? 500) >= 400) throw new RemoteError(errorDocument.parse(JSON.parse(await readAll(reply))));
    return reply;
  }

  async isUp(): Promise<boolean> {
    try {
      await this.call({ method: 'GET', path: '/healthz' });
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EACCES') throw noAccess(this.socketPath);
      return false;
    }
  }
}

async function readAll(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > REPLY_BYTES_MAX) throw new CliError('CLI_REPLY', 'the supervisor sent more than a reply may hold');
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* textLines(reply: IncomingMessage): AsyncGenerator<string> {
  reply.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of reply) {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  } catch (error) {
    throw errnoOf(error) === 'ECONNRESET' ? lostSupervisor(error) : error;
  }
  if (rest !== '') yield rest;
}

function lostSupervisor(cause: unknown): CliError {
  return new CliError('CLI_NO_SUPERVISOR', 'the supervisor went away; its workloads go on', {
    exit: exitStatus.unavailable,
    hint: 'The next command brings it back: provost ps.',
    cause,
  });
}

function noAccess(socket: string): CliError {
  return new CliError('CLI_NO_ACCESS', `this user may not use ${socket}`, {
    exit: exitStatus.notAuthorised,
    hint: 'Run the command as root, or as a member of the group that owns the socket.',
  });
}

/** A client of a supervisor that runs already, or null. */
export async function findClient(home: HomeLayout): Promise<Client | null> {
  if (!existsSync(home.socket)) return null;
  const client = new Client(home.socket);
  return (await client.isUp()) ? client : null;
}

/**
 * A client of this home's supervisor, started when there is none.
 *
 * @throws CliError CLI_NOT_ROOT, CLI_NO_SUPERVISOR with the last lines of its log
 */
export async function openClient(home: HomeLayout): Promise<Client> {
  const running = await findClient(home);
  if (running !== null) {
    const { restoreGuard } = await import('../server/index.ts');
    if (process.getuid?.() === 0) restoreGuard(home);
    return running;
  }
  if (process.getuid?.() !== 0) throw notRoot();
  const { launchGuard } = await import('../server/index.ts');
  const { openHome } = await import('../engine/index.ts');
  openHome(home.dir);
  const guard = launchGuard({ home, leavesWhenIdle: true, listen: null });
  const client = new Client(home.socket);
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && !guard.hasFailed()) {
    if (existsSync(home.socket) && existsSync(home.pidFile) && (await client.isUp())) return client;
    await delay(START_POLL_MS);
  }
  throw noSupervisor(home);
}

function notRoot(): CliError {
  return new CliError('CLI_NOT_ROOT', 'a supervisor needs root: it makes cgroups, namespaces and mounts', {
    exit: exitStatus.notAuthorised,
    hint: 'Run the command with sudo.',
  });
}

function noSupervisor(home: HomeLayout): CliError {
  const log = existsSync(home.supervisorLog) ? readFileSync(home.supervisorLog, 'utf8') : '';
  const last = log.trim().split('\n').slice(-LOG_LINES_SHOWN).join('\n  ');
  return new CliError(
    'CLI_NO_SUPERVISOR',
    `the supervisor did not come up${last === '' ? '' : `; its log ends with\n  ${last}`}`,
    {
      exit: exitStatus.unavailable,
      hint: `Look at ${home.supervisorLog}, or run provost serve to see it start.`,
    },
  );
}
