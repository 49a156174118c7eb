// Talks to one registry by the OCI distribution protocol: challenge, token, redirects, retries. Every answer is bounded in
// size and time; what it means is for registry.ts.
import { setTimeout as delay } from 'node:timers/promises';

import { exitStatus, MIB, messageOf } from '../base/index.ts';
import { ArtifactError } from './digest.ts';
import { unreadable } from './refusal.ts';
import { basicAuthorization, type Challenge, type Credentials, parseChallenge } from './registry-auth.ts';

export interface RegistryOptions {
  readonly host: string;
  readonly repository: string;
  /** Speak http to a host that is not this machine. */
  readonly isInsecure: boolean;
  readonly credentials: Credentials | null;
}

/** From request to headers. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A body that stops flowing for this long is given up. */
const STALL_TIMEOUT_MS = 30_000;
/** Tries of one request that failed for a reason that may pass: no connection, 429, 5xx. */
const TRIES_MAX = 4;
const RETRY_FIRST_MS = 250;
const RETRY_MS_MAX = 10_000;
const REDIRECTS_MAX = 5;
const TOKEN_BYTES_MAX = MIB;

/** True for names of this machine itself, where http is safe from the network. */
function isLoopbackHost(host: string): boolean {
  const name = new URL(`http://${host}`).hostname;
  return name === 'localhost' || name === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Where a registry's API begins: https, but for this machine, or when http was asked for. */
export function registryUrl(host: string, isInsecure: boolean): string {
  return `${isInsecure || isLoopbackHost(host) ? 'http' : 'https'}://${host}/v2/`;
}

/** A registry's API for one repository. Holds the token for as long as it is used. */
export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #base: string;
  #authorization: string | null = null;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#base = registryUrl(options.host, options.isInsecure);
  }

  /**
   * Gets `path` below the repository, with authorisation when the registry asks for it.
   *
   * @returns the answer, of status 200
   * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_REGISTRY_DENIED, ARTIFACT_REGISTRY
   */
  async get(path: string, accept: string): Promise<Response> {
    const url = new URL(`${this.#options.repository}/${path}`, this.#base);
    const first = await this.#follow(url, accept);
    if (first.status !== 401) return this.#accepted(first, url);
    await first.body?.cancel();
    this.#authorization = await this.#authorise(first.headers.get('www-authenticate') ?? '');
    return this.#accepted(await this.#follow(url, accept), url);
  }

  async #accepted(response: Response, url: URL): Promise<Response> {
    if (response.status === 200) return response;
    await response.body?.cancel();
    const what = `${this.#options.host}/${this.#options.repository}`;
    if (response.status === 404) {
      throw new ArtifactError('ARTIFACT_NOT_FOUND', `the registry has no ${url.pathname.slice(0, 200)}`, {
        exit: exitStatus.unavailable,
        hint: 'Check name and tag; a private image may also look as if it did not exist.',
      });
    }
    if (response.status === 401 || response.status === 403)
      throw this.#denied(`it answered ${response.status} for ${what}`);
    throw this.#failed(`it answered ${response.status} for ${what}`);
  }

  /** Follows redirects by hand: each hop is checked, and the authorisation goes to the registry's own host alone. */
  async #follow(start: URL, accept: string): Promise<Response> {
    let url = start;
    for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
      const isOwn = url.origin === start.origin;
      const headers: Record<string, string> = { accept, 'accept-encoding': 'identity' };
      if (isOwn && this.#authorization !== null) headers['authorization'] = this.#authorization;
      const response = await this.#fetch(url, headers);
      const location = response.headers.get('location');
      if (response.status < 300 || response.status > 399 || location === null) return response;
      await response.body?.cancel();
      url = this.#verifiedUrl(URL.canParse(location, url.href) ? new URL(location, url.href) : null, 'redirect');
    }
    throw this.#failed(`it redirects more than ${REDIRECTS_MAX} times`);
  }

  /** A place that the registry sends us to: https, unless the registry itself was reached by http. */
  #verifiedUrl(url: URL | null, what: string): URL {
    const isPlainAllowed = this.#base.startsWith('http:');
    const isSafe = url !== null && (url.protocol === 'https:' || (isPlainAllowed && url.protocol === 'http:'));
    if (!isSafe) throw this.#failed(`its ${what} leads to something that is not https`);
    return url;
  }

  /** One request, tried again while the reason may pass. */
  async #fetch(url: URL, headers: Record<string, string>): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await fetchOnce(url, headers);
      const mayPass = answer instanceof Error || answer.status === 429 || answer.status >= 500;
      if (!mayPass) return answer;
      if (attempt === TRIES_MAX) {
        if (answer instanceof Error) throw this.#failed(`${url.host} cannot be reached: ${reasonOf(answer)}`, answer);
        return answer;
      }
      const retryAfter = answer instanceof Error ? null : answer.headers.get('retry-after');
      if (!(answer instanceof Error)) await answer.body?.cancel();
      await delay(retryDelayMs(attempt, retryAfter));
    }
  }

  async #authorise(header: string): Promise<string> {
    const challenge = parseChallenge(header);
    const { credentials } = this.#options;
    if (challenge === null) throw this.#denied('it asks for a kind of authorisation that is not supported');
    if (challenge.scheme === 'bearer') return `Bearer ${await this.#token(challenge)}`;
    if (credentials === null) throw this.#denied('it asks for name and password');
    return basicAuthorization(credentials);
  }

  async #token(challenge: Challenge & { scheme: 'bearer' }): Promise<string> {
    const url = this.#verifiedUrl(new URL(challenge.realm), 'token server');
    if (challenge.service !== null) url.searchParams.set('service', challenge.service);
    // Our own scope, not the challenge's: a token is never good for more than reading this repository.
    url.searchParams.set('scope', `repository:${this.#options.repository}:pull`);
    const { credentials } = this.#options;
    const headers: Record<string, string> =
      credentials === null ? {} : { authorization: basicAuthorization(credentials) };
    const response = await this.#fetch(url, headers);
    if (response.status !== 200) {
      await response.body?.cancel();
      throw this.#denied(`its token server answered ${response.status}`);
    }
    return tokenOf(await bodyOf(response, TOKEN_BYTES_MAX));
  }

  #denied(why: string): ArtifactError {
    return new ArtifactError('ARTIFACT_REGISTRY_DENIED', `the registry ${this.#options.host} refuses: ${why}`, {
      exit: exitStatus.notAuthorised,
      hint: `Log in (docker login ${this.#options.host}), or check that you may read it.`,
    });
  }

  #failed(why: string, cause?: unknown): ArtifactError {
    return new ArtifactError('ARTIFACT_REGISTRY', `the registry ${this.#options.host} cannot be used: ${why}`, {
      exit: exitStatus.unavailable,
      hint: 'Check its name and your connection, and try again.',
      cause,
    });
  }
}

/** The answer's headers, or the error that kept them away. */
async function fetchOnce(url: URL, headers: Record<string, string>): Promise<Response | Error> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error('it did not answer in time')), ANSWER_TIMEOUT_MS);
  try {
    return await fetch(url, { headers, redirect: 'manual', signal: abort.signal });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** fetch hides the reason, such as ECONNREFUSED, in the cause. */
function reasonOf(error: Error): string {
  return error.cause === undefined ? error.message : messageOf(error.cause);
}

/** Doubles with each try; the registry's own wish is followed as far as the bound. */
export function retryDelayMs(attempt: number, retryAfter: string | null): number {
  const wished = retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0;
  return Math.min(RETRY_MS_MAX, Math.max(wished, RETRY_FIRST_MS * 2 ** (attempt - 1)));
}

/** The pieces of a body; a body that stops flowing is an error. */
export async function* piecesOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await withinStallTime(reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // The body is given up either way; its error was thrown above.
  }
}

async function withinStallTime<Value>(waited: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(bodyLost('it stopped sending')), STALL_TIMEOUT_MS);
  });
  try {
    return await Promise.race([waited, stalled]);
  } catch (error) {
    throw error instanceof ArtifactError ? error : bodyLost(messageOf(error), error);
  } finally {
    clearTimeout(timer);
  }
}

function bodyLost(why: string, cause?: unknown): ArtifactError {
  return new ArtifactError('ARTIFACT_REGISTRY', `the registry's answer broke off: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Try again.',
    cause,
  });
}

/** A small body whole. @throws ArtifactError ARTIFACT_UNREADABLE beyond `bytesMax` */
export async function bodyOf(response: Response, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(response)) {
    bytes += piece.length;
    if (bytes > bytesMax) throw unreadable(`the registry answers with more than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function tokenOf(body: Buffer): string {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    // A JSON error repeats the text, which may hold the token.
    throw unreadable("the token server's answer is not JSON");
  }
  const fields = new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}));
  const token: unknown = fields.get('token') ?? fields.get('access_token');
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,65536}$/.test(token))
    throw unreadable("the token server's answer holds no token");
  return token;
}
