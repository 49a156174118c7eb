// Writes tar archives that are the same bytes for the same entries: for image layers made here, and for tests.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

import { invariant } from '../base/index.ts';
import { unsupported } from './refusal.ts';
import { checksumOf, TAR_BLOCK_BYTES } from './tar-entry.ts';
import { paddingOf } from './tar-reader.ts';

/** An entry to write; what is left out is 0, or empty. Owner and time do not come from the host unless given. */
export interface TarInput {
  /** Relative path. Written as it is, so that tests can write what nobody should. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'char-device' | 'block-device';
  /** Permission bits; default 0755 for folders, 0777 for symlinks, else 0644. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Unix seconds. */
  readonly mtime?: number;
  readonly content?: Uint8Array | string;
  readonly linkPath?: string;
  readonly attributes?: ReadonlyMap<string, Uint8Array>;
}

const TYPE_FLAGS: ReadonlyMap<TarInput['type'], string> = new Map([
  ['file', '0'],
  ['hardlink', '1'],
  ['symlink', '2'],
  ['char-device', '3'],
  ['block-device', '4'],
  ['directory', '5'],
  ['fifo', '6'],
]);

/** Largest values of the octal fields; beyond them a pax record carries the number. */
const OWNER_FIELD_MAX = 0o7777777;
const SIZE_FIELD_MAX = 0o77777777777;
const NAME_FIELD_BYTES = 100;

/**
 * Writes entries as one tar archive in pax format, in the order given, ended as POSIX demands. The same entries give the
 * same bytes.
 */
export function tarOf(entries: readonly TarInput[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) blocks.push(...blocksOf(entry));
  blocks.push(Buffer.alloc(2 * TAR_BLOCK_BYTES));
  return Buffer.concat(blocks);
}

function blocksOf(entry: TarInput): Buffer[] {
  const content = entry.content === undefined ? Buffer.alloc(0) : Buffer.from(entry.content);
  const path = entry.type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path;
  const records = paxRecordsOf({ ...entry, path }, content.length);
  const blocks: Buffer[] = [];
  if (records.length > 0) {
    const payload = Buffer.concat(records);
    const header = headerOf({ path: 'pax', type: 'file', mode: 0o644 }, payload.length, 'x');
    blocks.push(header, payload, Buffer.alloc(paddingOf(payload.length)));
  }
  const flag = TYPE_FLAGS.get(entry.type);
  invariant(flag !== undefined, 'a tar type without a flag');
  blocks.push(headerOf({ ...entry, path }, content.length, flag), content, Buffer.alloc(paddingOf(content.length)));
  return blocks;
}

function paxRecordsOf(entry: TarInput, bytes: number): Buffer[] {
  const records: Buffer[] = [];
  const fits = (text: string): boolean => Buffer.byteLength(text) <= NAME_FIELD_BYTES && /^[\x20-\x7e]*$/.test(text);
  if (!fits(entry.path)) records.push(paxRecord('path', Buffer.from(entry.path)));
  if (entry.linkPath !== undefined && !fits(entry.linkPath)) {
    records.push(paxRecord('linkpath', Buffer.from(entry.linkPath)));
  }
  if ((entry.uid ?? 0) > OWNER_FIELD_MAX) records.push(paxRecord('uid', Buffer.from(String(entry.uid))));
  if ((entry.gid ?? 0) > OWNER_FIELD_MAX) records.push(paxRecord('gid', Buffer.from(String(entry.gid))));
  if (bytes > SIZE_FIELD_MAX) records.push(paxRecord('size', Buffer.from(String(bytes))));
  for (const [name, value] of entry.attributes ?? []) {
    records.push(paxRecord(`SCHILY.xattr.${name}`, Buffer.from(value)));
  }
  return records;
}

/** One pax record: its own length is part of what it counts. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function headerOf(entry: TarInput, bytes: number, flag: string): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const mode = entry.mode ?? (entry.type === 'directory' ? 0o755 : entry.type === 'symlink' ? 0o777 : 0o644);
  block.write(entry.path, 0, NAME_FIELD_BYTES, 'utf8');
  block.write(octal(mode, 7), 100, 'latin1');
  block.write(octal(Math.min(entry.uid ?? 0, OWNER_FIELD_MAX), 7), 108, 'latin1');
  block.write(octal(Math.min(entry.gid ?? 0, OWNER_FIELD_MAX), 7), 116, 'latin1');
  block.write(octal(Math.min(bytes, SIZE_FIELD_MAX), 11), 124, 'latin1');
  block.write(octal(Math.max(0, Math.floor(entry.mtime ?? 0)), 11), 136, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write(entry.linkPath ?? '', 157, NAME_FIELD_BYTES, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  block.write(`${octal(checksumOf(block), 6)}\0 `, 148, 'latin1');
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/**
 * Writes a folder of this host as one tar archive: names sorted, owners 0, times 0, so that the same tree gives the same
 * bytes wherever it lies. Hard links become separate files.
 *
 * @throws ArtifactError ARTIFACT_UNSUPPORTED for sockets and device nodes
 */
export function tarOfFolder(dir: string): Buffer {
  return tarOf(folderEntries(dir, ''));
}

function folderEntries(dir: string, inside: string): TarInput[] {
  const entries: TarInput[] = [];
  for (const name of readdirSync(join(dir, inside)).sort()) {
    const path = inside === '' ? name : `${inside}/${name}`;
    const full = join(dir, path);
    const stat = lstatSync(full);
    const mode = stat.mode & 0o7777;
    if (stat.isDirectory()) entries.push({ path, type: 'directory', mode }, ...folderEntries(dir, path));
    else if (stat.isSymbolicLink()) entries.push({ path, type: 'symlink', linkPath: readlinkSync(full) });
    else if (stat.isFile()) entries.push({ path, type: 'file', mode, content: readFileSync(full) });
    else if (stat.isFIFO()) entries.push({ path, type: 'fifo', mode });
    else throw unsupported(`'${full}' is a socket or a device node`, 'Remove it from the folder.');
  }
  return entries;
}
