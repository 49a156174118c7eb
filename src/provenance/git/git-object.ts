// What a git object is called: the hash of its kind, size and bytes, in either of the two formats that a repository may have.
import { createHash } from 'node:crypto';

import { MIB } from '../../base/index.ts';

/** The hash that names the objects of a repository. */
export type ObjectFormat = 'sha1' | 'sha256';

/** What an object can be. */
export type ObjectKind = 'commit' | 'tree' | 'blob' | 'tag';

/** An object, checked against its id. */
export interface GitObject {
  readonly kind: ObjectKind;
  readonly content: Buffer;
}

/** Largest commit that is read. Git has no limit; a merge of many signed tags has some hundred KiB. */
export const COMMIT_BYTES_MAX = 4 * MIB;

/** Characters of a stranger's text that a message shows. */
const QUOTED_CHARS_MAX = 80;

const HASH_BYTES: Readonly<Record<ObjectFormat, number>> = { sha1: 20, sha256: 32 };

/** Bytes of an object id. */
export function idBytes(format: ObjectFormat): number {
  return HASH_BYTES[format];
}

/** True for a whole object id as git writes it, in lower-case hex. */
export function isObjectId(text: string, format: ObjectFormat): boolean {
  return text.length === 2 * HASH_BYTES[format] && /^[0-9a-f]+$/.test(text);
}

/** The id that git gives to an object. */
export function objectId(kind: ObjectKind, content: Uint8Array, format: ObjectFormat): string {
  return createHash(format).update(`${kind} ${content.length}\0`).update(content).digest('hex');
}

/** A stranger's text for a message: short, and nothing in it that moves a cursor. */
export function quoted(text: string): string {
  const shown = text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text;
  return `'${shown.replaceAll(/[^\x20-\x7e…]/g, '?')}'`;
}

/** Text of bytes that should be UTF-8; in Latin 1 where they are not, so that different bytes stay different. */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Git stores any bytes as names and messages; what they mean matters to people only.
    return Buffer.from(bytes).toString('latin1');
  }
}
