// Answers a registry's challenge: a token from its token server, or name and password, from Docker's own config file.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { errnoOf } from '../base/index.ts';
import { unreadable } from './refusal.ts';

/** Name and password for one registry. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What a registry asks for. @source RFC 7235, section 4.1; Distribution "Token Authentication Specification" */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | null };

const HEADER_CHARS_MAX = 4096;

/**
 * Parses a `WWW-Authenticate` header; null for a scheme that we cannot answer.
 *
 * @param header attacker-controlled
 */
export function parseChallenge(header: string): Challenge | null {
  if (header.length > HEADER_CHARS_MAX) return null;
  if (/^basic(\s|$)/i.test(header)) return { scheme: 'basic' };
  if (!/^bearer\s/i.test(header)) return null;
  const parameters = new Map<string, string>();
  for (const match of header.slice('bearer '.length).matchAll(/([a-z_]{1,20})="([^"]{0,2048})"/gi)) {
    parameters.set((match[1] ?? '').toLowerCase(), match[2] ?? '');
  }
  const realm = parameters.get('realm');
  if (realm === undefined || !URL.canParse(realm)) return null;
  return { scheme: 'bearer', realm, service: parameters.get('service') ?? null };
}

/** The `Authorization` value of name and password. */
export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Where `docker login` keeps what it was told. */
export function dockerConfigPath(): string {
  return join(process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
}

/** Docker's own registry keeps its old name in that file. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'docker.io', 'registry-1.docker.io'];

/**
 * Finds the credentials for a registry's host in Docker's config file; null when there are none. Credential helpers are
 * programs, which this room does not start.
 *
 * @throws ArtifactError ARTIFACT_UNREADABLE when the file is there and cannot be read
 */
export function loadCredentials(path: string, host: string): Credentials | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
    throw unreadable(`'${path}' cannot be read`, error);
  }
  const auths = authsOf(path, text);
  const keys = host === 'registry-1.docker.io' ? HUB_KEYS : [host, `https://${host}`, `http://${host}`];
  for (const key of keys) {
    const credentials = Object.hasOwn(auths, key) ? decoded(auths[key]) : null;
    if (credentials !== null) return credentials;
  }
  return null;
}

function authsOf(path: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The message of a JSON error repeats the text, which holds passwords: it is not passed on.
    throw unreadable(`'${path}' is not JSON`);
  }
  const auths = typeof value === 'object' && value !== null && 'auths' in value ? value.auths : null;
  return typeof auths === 'object' && auths !== null ? (auths as Record<string, unknown>) : {};
}

function decoded(entry: unknown): Credentials | null {
  if (typeof entry !== 'object' || entry === null || !('auth' in entry) || typeof entry.auth !== 'string') return null;
  const text = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
