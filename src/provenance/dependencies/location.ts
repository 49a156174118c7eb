// URLs of strangers, compared by what a client would connect to and ask for, and never as text.

/** The place that a URL names: origin and path, decoded segment by segment. */
export interface Location {
  /** Scheme, host in its ASCII form, port: as a client connects. */
  readonly origin: string;
  readonly segments: readonly string[];
}

const SCHEMES: ReadonlySet<string> = new Set(['https:', 'http:', 'ssh:', 'git:']);
/** A segment may be encoded more than once, for more than one server to decode. */
const DECODE_ROUNDS_MAX = 4;

/**
 * Reads the place that a URL names, or says why it names none that can be judged: a clause.
 *
 * @source https://url.spec.whatwg.org
 */
export function parseLocation(text: string): Location | string {
  // attacker-controlled: the parser of URLs drops white space and turns backslashes, as other parsers do not.
  if (/[\s\\\p{Cc}\p{Cf}]/u.test(text)) return 'has white space, backslashes or characters that do not show';
  // Written with two slashes and an authority, so that no reader takes it for relative.
  const bare = text.replace(/^git\+(?=[a-z]+:\/\/)/i, '');
  if (!/^[a-z]+:\/\/[^/]/i.test(bare)) return 'is no URL with a host';
  const url = URL.parse(bare);
  if (url === null || !SCHEMES.has(url.protocol)) return 'is no URL with a host';
  const authority = /^[^/?#]*/.exec(bare.slice(url.protocol.length + 2))?.[0] ?? '';
  // `git@` is how repositories are reached over ssh; any other user makes a host look like another.
  if (authority.includes('@') && !(url.protocol === 'ssh:' && authority.lastIndexOf('git@') === 0)) {
    return 'names a user in front of its host';
  }
  // Of other schemes than http the parser leaves the host as it is.
  const host = url.host.toLowerCase();
  if (host === '' || /[^a-z0-9.:[\]-]/.test(host)) return 'has a host that is none';
  const segments = segmentsOf(bare);
  return segments === null ? 'has a path that leads elsewhere' : { origin: `${url.protocol}//${host}`, segments };
}

/** From the text, before any parser resolves what leads up. Empty segments at the end do not count; null for bad ones. */
function segmentsOf(text: string): readonly string[] | null {
  const [, path = ''] = /^[a-z]+:\/\/[^/?#]*\/?([^?#]*)/i.exec(text) ?? [];
  const segments = path.replace(/\/$/, '').split('/').map(decoded);
  const isEmpty = segments.length === 1 && segments[0] === '';
  if (isEmpty) return [];
  return segments.every((segment): segment is string => segment !== null && isPlain(segment)) ? segments : null;
}

/** Fully decoded; null for what cannot be decoded, or not in so many rounds. */
function decoded(segment: string): string | null {
  let text = segment;
  for (let round = 0; round < DECODE_ROUNDS_MAX; round += 1) {
    const next = decodeOnce(text);
    if (next === null || next === text) return next;
    text = next;
  }
  return null;
}

function decodeOnce(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that encodes nothing: servers disagree about what it means.
    return null;
  }
}

function isPlain(segment: string): boolean {
  if (/[\\\p{Cc}\p{Cf}]/u.test(segment)) return false;
  // A scope and its package may be one segment, with an encoded slash.
  return segment.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** True when `location` is `place` or lies below it, segment by segment. */
export function isWithin(location: Location, place: Location): boolean {
  return (
    location.origin === place.origin && place.segments.every((segment, index) => location.segments[index] === segment)
  );
}

/** A URL for people and documents: without the user, password, query and fragment that may be secret, however it is written. */
export function publicUrl(text: string): string {
  return text.replace(/[?#].*$/s, '').replace(/^((?:[a-z][a-z0-9+.-]*:)?[/\\]*)[^/\\]*@/i, '$1');
}
