// One tar header: its 512 bytes, the pax and GNU headers before it, and what they say together. Knows no file system.
import { hostile, quoted, tooLarge, unsupported } from './refusal.ts';

/** Tar's unit: headers and padding. @source POSIX.1-2017, pax, "ustar Interchange Format" */
export const TAR_BLOCK_BYTES = 512;

/** Bound of one pax or GNU long-name header, as in Go's archive/tar (maxSpecialFileSize): real ones are under 100 KiB. */
export const TAR_EXTENSION_BYTES_MAX = 1024 * 1024;

/** Longest path inside an archive: leaves room under PATH_MAX (4096) for the folder that it is unpacked in. */
const PATH_BYTES_MAX = 3072;
/** NAME_MAX of Linux. */
const NAME_BYTES_MAX = 255;
/** Deepest nesting of folders. Real images stay under 40. */
const PATH_DEPTH_MAX = 128;

/** All attributes of one entry: with more, ext4 says that the disk is full (they share one block of 4096 bytes). */
const ATTRIBUTE_BYTES_MAX = 3072;

/** (uid_t)-1 means "leave it" to chown, so it is never an owner. */
const OWNER_MAX = 0xff_ff_ff_fe;

type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo';

/** One entry. Texts are binary strings (one char a byte), because names in archives need not be UTF-8. */
export interface TarEntry {
  /** Relative and normal: no empty, `.` or `..` component; empty for the root itself. */
  readonly path: string;
  readonly type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Content bytes that follow; 0 unless a file. */
  readonly size: number;
  /** Unix seconds. */
  readonly mtime: number;
  /** A symlink's target as written; a hard link's target as a normal path. */
  readonly linkPath: string;
  /** Extended attributes by name; only those that may be kept. */
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/** What the 512 bytes say by themselves. */
export interface RawHeader {
  readonly name: string;
  readonly typeFlag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkName: string;
}

/** True for a block of zeros: two of them end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block.equals(ZERO_BLOCK);
}
const ZERO_BLOCK = Buffer.alloc(TAR_BLOCK_BYTES);

/**
 * Parses one header block.
 *
 * @param block 512 bytes, attacker-controlled
 * @throws ArtifactError ARTIFACT_HOSTILE for a wrong checksum or field; ARTIFACT_UNSUPPORTED for a tar older than POSIX
 */
export function parseTarHeader(block: Buffer): RawHeader {
  const text = block.toString('latin1');
  if (octal(text, 148, 8) !== checksumOf(block))
    throw hostile('the tar archive is damaged: a header has a wrong checksum');
  const magic = text.slice(257, 263);
  if (magic !== 'ustar\0' && magic !== 'ustar ') {
    throw unsupported('the tar archive has the form from before POSIX', 'Write it again with a current tar.');
  }
  const name = untilNul(text, 0, 100);
  // GNU's form keeps times where POSIX has the prefix of the name.
  const prefix = magic === 'ustar\0' ? untilNul(text, 345, 155) : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    typeFlag: text[156] ?? '',
    mode: number(block, text, { at: 100, length: 8 }),
    uid: number(block, text, { at: 108, length: 8 }),
    gid: number(block, text, { at: 116, length: 8 }),
    size: number(block, text, { at: 124, length: 12 }),
    mtime: number(block, text, { at: 136, length: 12 }),
    linkName: untilNul(text, 157, 100),
  };
}

/** The checksum of a header: the sum of its bytes with the checksum itself taken as spaces. */
export function checksumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < 148; at += 1) sum += block[at] ?? 0;
  for (let at = 156; at < TAR_BLOCK_BYTES; at += 1) sum += block[at] ?? 0;
  return sum;
}

function untilNul(text: string, at: number, length: number): string {
  const end = text.indexOf('\0', at);
  return text.slice(at, end === -1 ? at + length : Math.min(end, at + length));
}

function octal(text: string, at: number, length: number): number {
  const digits = untilNul(text, at, length).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw hostile('the tar archive is damaged: a number in a header is not octal');
  return Number.parseInt(digits, 8);
}

/** An octal number, or GNU's base-256 form, whose first byte has its high bit set. */
function number(block: Buffer, text: string, field: { at: number; length: number }): number {
  const first = block[field.at] ?? 0;
  if (first < 0x80) return octal(text, field.at, field.length);
  if (first !== 0x80) throw hostile('the tar archive holds a negative or overflowing number');
  let value = 0;
  for (let at = field.at + 1; at < field.at + field.length; at += 1) value = value * 256 + (block[at] ?? 0);
  if (!Number.isSafeInteger(value)) throw hostile('the tar archive holds an overflowing number');
  return value;
}

/** What a pax header says of the entry after it. */
export interface PaxFields {
  readonly path?: string;
  readonly linkPath?: string;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/**
 * Parses the payload of a pax header: `LENGTH KEY=VALUE\n`, repeated. Keys that say nothing of what is unpacked are skipped.
 *
 * @throws ArtifactError ARTIFACT_HOSTILE for a malformed record, a bad number, a reserved attribute;
 * ARTIFACT_UNSUPPORTED for sparse files
 */
export function parsePax(payload: Buffer): PaxFields {
  const text = payload.toString('latin1');
  const fields: { -readonly [Key in keyof PaxFields]: PaxFields[Key] } = { attributes: new Map() };
  const attributes = new Map<string, Buffer>();
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(' ', at);
    const lengthText = text.slice(at, space === -1 ? at : space);
    const end = at + Number(lengthText);
    const equals = text.indexOf('=', space);
    const isWhole = /^[1-9]\d{0,6}$/.test(lengthText) && end <= text.length && text[end - 1] === '\n';
    if (!isWhole || equals === -1 || equals >= end) throw hostile('the tar archive holds a malformed pax header');
    const key = text.slice(space + 1, equals);
    const value = text.slice(equals + 1, end - 1);
    if (key.startsWith(ATTRIBUTE_KEY)) keepAttribute(attributes, key.slice(ATTRIBUTE_KEY.length), value);
    else readPaxField(fields, key, value);
    at = end;
  }
  fields.attributes = attributes;
  return fields;
}

const ATTRIBUTE_KEY = 'SCHILY.xattr.';

function readPaxField(
  fields: { -readonly [Key in keyof PaxFields]: PaxFields[Key] },
  key: string,
  value: string,
): void {
  switch (key) {
    case 'path':
      fields.path = value;
      return;
    case 'linkpath':
      fields.linkPath = value;
      return;
    case 'size':
      fields.size = decimal(value);
      return;
    case 'uid':
      fields.uid = decimal(value);
      return;
    case 'gid':
      fields.gid = decimal(value);
      return;
    case 'mtime':
      fields.mtime = seconds(value);
      return;
    default:
      if (key.startsWith('GNU.sparse.')) throw sparse();
  }
}

function decimal(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw hostile('the tar archive holds an overflowing number in a pax header');
  return Number(value);
}

function seconds(value: string): number {
  if (!/^-?\d{1,15}(\.\d{1,20})?$/.test(value)) throw hostile('the tar archive holds a malformed time in a pax header');
  return Number(value);
}

function sparse(): Error {
  return unsupported('the tar archive holds a sparse file in a form of GNU tar', 'Write it again without --sparse.');
}

/**
 * Keeps what an image may set: file capabilities and user attributes. `trusted.` steers overlayfs itself, so an archive that
 * brings it wants to be more than files; labels and access lists of the building host mean nothing here.
 */
function keepAttribute(attributes: Map<string, Buffer>, name: string, value: string): void {
  if (name.startsWith('trusted.') || name.startsWith('user.overlay.')) {
    throw hostile(`the tar archive sets the reserved attribute ${quoted(name)}`);
  }
  const isKept = name === 'security.capability' || name.startsWith('user.');
  if (!isKept) return;
  if (name.length > NAME_BYTES_MAX || name.includes('\0')) throw hostile('the tar archive names an attribute too long');
  attributes.set(name, Buffer.from(value, 'latin1'));
  const bytes = [...attributes].reduce((sum, [key, kept]) => sum + key.length + kept.length, 0);
  if (bytes > ATTRIBUTE_BYTES_MAX) {
    throw tooLarge(`the tar archive gives an entry ${bytes} bytes of attributes (at most ${ATTRIBUTE_BYTES_MAX})`);
  }
}

/** Names that a GNU header of its own gave to the entry after it. */
export interface LongNames {
  readonly name?: string;
  readonly linkName?: string;
}

/**
 * Puts a header and the extensions before it together.
 *
 * @throws ArtifactError ARTIFACT_HOSTILE for a name outside the root, an owner out of range, a device node;
 * ARTIFACT_UNSUPPORTED for a type that is not known; ARTIFACT_TOO_LARGE for a name beyond the limits
 */
export function composeEntry(raw: RawHeader, pax: PaxFields | null, long: LongNames): TarEntry {
  const name = pax?.path ?? long.name ?? raw.name;
  const path = parseEntryPath(name);
  const type = entryType(raw.typeFlag, name);
  const size = pax?.size ?? raw.size;
  if (type !== 'file' && size !== 0) {
    throw hostile(`the tar archive gives content to ${quoted(name)}, which is no regular file`);
  }
  const link = pax?.linkPath ?? long.linkName ?? raw.linkName;
  if (type === 'symlink' && (link === '' || link.length >= PATH_BYTES_MAX || link.includes('\0'))) {
    throw hostile(`the symbolic link ${quoted(name)} has no valid target`);
  }
  return {
    path,
    type,
    mode: raw.mode & 0o7777,
    uid: owner(pax?.uid ?? raw.uid, name),
    gid: owner(pax?.gid ?? raw.gid, name),
    size,
    mtime: pax?.mtime ?? raw.mtime,
    linkPath: type === 'hardlink' ? parseEntryPath(link) : link,
    attributes: pax?.attributes ?? NO_ATTRIBUTES,
  };
}

const NO_ATTRIBUTES: ReadonlyMap<string, Buffer> = new Map();

function owner(id: number, name: string): number {
  if (id > OWNER_MAX) throw hostile(`${quoted(name)} has the owner ${id}, which no Linux system has`);
  return id;
}

function entryType(flag: string, name: string): TarEntryType {
  switch (flag) {
    case '0':
    case '\0':
    case '7':
      // Before POSIX a folder was a file whose name ends with a slash; GNU tar still reads it so, and so do we.
      return name.endsWith('/') ? 'directory' : 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '5':
      return 'directory';
    case '6':
      return 'fifo';
    case '3':
    case '4':
      throw hostile(`the tar archive holds the device node ${quoted(name)}; images do not need any`);
    case 'S':
      throw sparse();
    default:
      throw unsupported(
        `the tar archive holds an entry of unknown type ${quoted(flag)}`,
        'Write it again in pax format.',
      );
  }
}

/**
 * Parses the name of an entry into a normal relative path; the root itself is the empty text.
 *
 * @param name attacker-controlled binary string
 * @throws ArtifactError ARTIFACT_HOSTILE for an absolute name, `..` or NUL; ARTIFACT_TOO_LARGE for too long or too deep
 */
function parseEntryPath(name: string): string {
  if (name === '' || name.includes('\0')) throw hostile('the tar archive holds an entry with no valid name');
  if (name.startsWith('/')) throw hostile(`the tar archive holds the absolute name ${quoted(name)}`);
  if (name.length > PATH_BYTES_MAX)
    throw tooLarge(`the tar archive holds a name of ${name.length} bytes (at most ${PATH_BYTES_MAX})`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw hostile(`the tar archive holds the name ${quoted(name)}, which leaves its root`);
  if (parts.length > PATH_DEPTH_MAX) throw tooLarge(`the tar archive nests deeper than ${PATH_DEPTH_MAX} folders`);
  if (parts.some((part) => part.length > NAME_BYTES_MAX)) {
    throw tooLarge(`the tar archive holds a name with a part of more than ${NAME_BYTES_MAX} bytes`);
  }
  return parts.join('/');
}
