// Raw commit objects: parsed as strictly as git's own fsck does it, and split into what was signed and the signature.
import { type Digest, digestOf } from '../../artifact/index.ts';
import { exitStatus } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { COMMIT_BYTES_MAX, idBytes, objectId, type ObjectFormat, quoted, textOf } from './git-object.ts';

/** Parents of one commit that are read: Linux has merges of 66. */
const PARENTS_MAX = 1024;

/** Header lines after the committer; an armored signature has some 20, a merged signed tag some 40. */
const HEADER_LINES_MAX = 16_384;

/** Longest line about a person, in bytes. */
const PERSON_BYTES_MAX = 4096;

/** Latest second that a date can hold. @source ECMA-262, section 21.4.1.1 */
const SECONDS_MAX = 8_640_000_000_000;

/** Who wrote or committed, as the commit says: claims that anyone can make. */
export interface GitPerson {
  readonly name: string;
  readonly email: string;
  /** Unix time in seconds. */
  readonly seconds: number;
  /** Such as `+0200`. */
  readonly zone: string;
}

/** A commit that git's fsck accepts. */
export interface GitCommit {
  readonly id: string;
  readonly format: ObjectFormat;
  /** SHA-256 of the commit's bytes, without git's header: a name that SHA-1 collisions do not touch. */
  readonly digest: Digest;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: GitPerson;
  readonly committer: GitPerson;
  /** The `encoding` header; null when the message is UTF-8, as by default. */
  readonly encoding: string | null;
  /** The signed tags that were merged, as they are. */
  readonly mergeTags: readonly Buffer[];
  readonly message: string;
  /** The commit's bytes without signature headers: what was signed. */
  readonly payload: Buffer;
  /** The armored signature; null when there is none. */
  readonly signature: Buffer | null;
}

/**
 * Parses the bytes of a commit object, without the header `commit <size>\0`. Tree, parents, author and committer are those
 * in their places at the head; later headers of these names mean nothing, to git neither.
 *
 * @throws ProvenanceError PROVENANCE_COMMIT for what `git fsck` calls an error, and beyond the limits
 * @source git 2.39, fsck.c: fsck_commit, fsck_ident, verify_headers
 */
export function parseCommit(bytes: Uint8Array, format: ObjectFormat = 'sha1'): GitCommit {
  if (bytes.length > COMMIT_BYTES_MAX) throw badCommit(`it has more than ${COMMIT_BYTES_MAX} bytes`);
  const content = Buffer.from(bytes);
  const { header, message } = splitHeader(content);
  const lines = new HeaderLines(header);
  const tree = parseId(lines.take('tree'), format, 'tree');
  const parents: string[] = [];
  while (lines.isNext('parent')) {
    if (parents.length === PARENTS_MAX) throw badCommit(`it has more than ${PARENTS_MAX} parents`);
    parents.push(parseId(lines.take('parent'), format, 'parent'));
  }
  const author = parsePerson(lines.take('author'), 'author');
  if (lines.isNext('author')) throw badCommit('it has two authors');
  const committer = parsePerson(lines.take('committer'), 'committer');
  const { encoding, mergeTags } = parseRest(lines);
  return {
    id: objectId('commit', content, format),
    format,
    digest: digestOf(content),
    tree,
    parents,
    author,
    committer,
    encoding,
    mergeTags,
    message: textOf(message),
    ...splitSignature(content, format),
  };
}

/**
 * Takes the signature out of a commit, byte for byte as git does: several signature headers are one after another one
 * signature, those of the other object format are left out of what was signed.
 *
 * @source git 2.39, commit.c: parse_buffer_signed_by_header
 */
export function splitSignature(content: Buffer, format: ObjectFormat): Pick<GitCommit, 'payload' | 'signature'> {
  const ours = Buffer.from(format === 'sha1' ? 'gpgsig ' : 'gpgsig-sha256 ');
  const payload: Buffer[] = [];
  const signature: Buffer[] = [];
  let within: 'payload' | 'ours' | 'other' = 'payload';
  for (let at = 0; at < content.length;) {
    const end = endOfLine(content, at);
    const isContinued: boolean = content[at] === 0x20 && within !== 'payload';
    if (!isContinued) within = startsAt(content, at, ours) ? 'ours' : startsAt(content, at, ANY) ? 'other' : 'payload';
    if (within === 'ours') signature.push(content.subarray(isContinued ? at + 1 : at + ours.length, end));
    const isMessage: boolean = within === 'payload' && content[at] === 0x0a;
    if (within === 'payload') payload.push(content.subarray(at, isMessage ? content.length : end));
    at = isMessage ? content.length : end;
  }
  return {
    payload: Buffer.concat(payload),
    signature: signature.length === 0 ? null : Buffer.concat(signature),
  };
}

const ANY = Buffer.from('gpgsig');

/** Where the next line begins. */
function endOfLine(content: Buffer, at: number): number {
  const newline = content.indexOf(0x0a, at);
  return newline < 0 ? content.length : newline + 1;
}

function startsAt(content: Buffer, at: number, prefix: Buffer): boolean {
  return content.subarray(at, at + prefix.length).equals(prefix);
}

/** The header's lines in Latin 1, one character a byte, and the message's bytes. */
function splitHeader(content: Buffer): { header: readonly string[]; message: Buffer } {
  const gap = content.indexOf('\n\n');
  const headerEnd = gap < 0 ? content.length : gap + 1;
  const header = content.subarray(0, headerEnd);
  if (header.includes(0)) throw badCommit('its header holds a NUL byte');
  if (header.at(-1) !== 0x0a) throw badCommit('its header does not end');
  const lines = header.subarray(0, -1).toString('latin1').split('\n');
  return { header: lines, message: content.subarray(headerEnd + 1) };
}

/** A walk over the lines that have their places. */
class HeaderLines {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  isNext(key: string): boolean {
    return this.#lines[this.#at]?.startsWith(`${key} `) === true;
  }

  take(key: string): string {
    if (!this.isNext(key)) throw badCommit(`its header has no ${key} where one must be`);
    const line = this.#lines[this.#at] ?? '';
    this.#at += 1;
    return line.slice(key.length + 1);
  }

  rest(): readonly string[] {
    return this.#lines.slice(this.#at);
  }
}

function parseId(text: string, format: ObjectFormat, what: string): string {
  const isHex = text.length === 2 * idBytes(format) && /^[0-9a-fA-F]+$/.test(text);
  if (!isHex) throw badCommit(`its ${what} ${quoted(text)} is no object id`);
  // Git reads upper-case digits too; they name the same object. A copy, since a part of a string keeps the whole of it in memory.
  return Buffer.from(text, 'hex').toString('hex');
}

const PERSON = /^(?<name>[^<>]*) <(?<email>[^<>]*)> (?<seconds>0|[1-9]\d*) (?<zone>[+-]\d{4})$/;

function parsePerson(line: string, what: string): GitPerson {
  if (line.length > PERSON_BYTES_MAX) throw badCommit(`its ${what} has more than ${PERSON_BYTES_MAX} bytes`);
  const { name = '', email = '', seconds = '', zone = '' } = PERSON.exec(line)?.groups ?? {};
  if (zone === '') throw badCommit(`its ${what} ${quoted(line)} is not 'name <e-mail> seconds zone'`);
  if (Number(seconds) > SECONDS_MAX) throw badCommit(`its ${what}'s time is past all dates`);
  return { name: fromLatin1(name), email: fromLatin1(email), seconds: Number(seconds), zone };
}

function parseRest(lines: HeaderLines): Pick<GitCommit, 'encoding' | 'mergeTags'> {
  const rest = lines.rest();
  if (rest.length > HEADER_LINES_MAX) throw badCommit(`its header has more than ${HEADER_LINES_MAX} lines`);
  let encoding: string | null = null;
  const mergeTags: string[][] = [];
  let open: string[] = [];
  for (const line of rest) {
    if (line.startsWith(' ')) {
      open.push(line.slice(1));
      continue;
    }
    open = [];
    if (line.startsWith('encoding ')) encoding ??= fromLatin1(line.slice('encoding '.length));
    if (line.startsWith('mergetag ')) mergeTags.push((open = [line.slice('mergetag '.length)]));
  }
  return { encoding, mergeTags: mergeTags.map((tag) => Buffer.from(`${tag.join('\n')}\n`, 'latin1')) };
}

function fromLatin1(text: string): string {
  return textOf(Buffer.from(text, 'latin1'));
}

function badCommit(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_COMMIT', `the commit cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'git fsck names damaged commits; get the repository again from where it is kept.',
  });
}
