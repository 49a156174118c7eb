// Finds the files inside an image archive (a tar on the disk) without unpacking it: name → where its bytes lie.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { rm } from 'node:fs/promises';

import { GIB, MIB } from '../base/index.ts';
import type { ContentStore } from './content-store.ts';
import { type ByteSource, type Compression, compressionOf, fileSource, plainBytes } from './layer-source.ts';
import { hostile, notFound, quoted, tooLarge, unreadable } from './refusal.ts';
import { isZeroBlock, parseTarHeader, TAR_BLOCK_BYTES, type TarEntry } from './tar-entry.ts';
import { Extensions, extensionTypeOf, paddingOf } from './tar-reader.ts';

/** An archive of an image holds a few files a layer. */
const ARCHIVE_ENTRIES_MAX = 20_000;
/** Links to links inside an archive; `docker save` makes one step. */
const LINK_STEPS_MAX = 8;
/** Bound of a compressed archive once plain. */
const ARCHIVE_BYTES_MAX = 64 * GIB;
const ARCHIVE_RATIO_MAX = 200;
const ARCHIVE_RATIO_FREE_BYTES = 64 * MIB;

type Member =
  | { readonly kind: 'file'; readonly start: number; readonly bytes: number }
  | { readonly kind: 'link'; readonly target: string };

/** An image archive, open for reading by name. Disposing of it removes the plain copy of a compressed one. */
export class ArchiveFile implements AsyncDisposable {
  readonly #path: string;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #isCopy: boolean;

  constructor(path: string, members: ReadonlyMap<string, Member>, isCopy: boolean) {
    this.#path = path;
    this.#members = members;
    this.#isCopy = isCopy;
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** The bytes of a file inside; links inside the archive are followed. @throws ArtifactError ARTIFACT_NOT_FOUND */
  file(name: string): ByteSource {
    let at = name;
    for (let step = 0; step <= LINK_STEPS_MAX; step += 1) {
      const member = this.#members.get(at);
      if (member === undefined) break;
      if (member.kind === 'file') return fileSource(this.#path, member.start, member.bytes);
      at = member.target;
    }
    throw notFound(`the archive holds no file ${quoted(name)}`, 'The archive is incomplete: save the image again.');
  }

  /** The first bytes of a file inside. */
  head(name: string): Promise<Buffer> {
    return headOf(this.file(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isCopy) await rm(this.#path, { force: true });
  }
}

/** The first bytes of a source, enough to tell its compression. */
async function headOf(source: ByteSource): Promise<Buffer> {
  for await (const piece of source.open() as AsyncIterable<Buffer>) return piece.subarray(0, TAR_BLOCK_BYTES);
  return Buffer.alloc(0);
}

/**
 * Opens an image archive, plain or compressed with gzip or zstd.
 *
 * @throws ArtifactError ARTIFACT_UNREADABLE, ARTIFACT_HOSTILE, ARTIFACT_TOO_LARGE, ARTIFACT_NO_SPACE
 */
export async function openArchive(path: string, store: ContentStore): Promise<ArchiveFile> {
  const { bytes, head } = openingOf(path);
  const compression = compressionOf(head);
  if (compression === 'none') return new ArchiveFile(path, indexTar(path), false);
  const plain = store.temporaryPath();
  try {
    await writePlain({ source: fileSource(path, 0, bytes), compression, plain }, store);
    return new ArchiveFile(plain, indexTar(plain), true);
  } catch (error) {
    await rm(plain, { force: true });
    throw error;
  }
}

/** Size and first block of a file. @throws ArtifactError ARTIFACT_UNREADABLE */
export function openingOf(path: string): { bytes: number; head: Buffer } {
  return withFile(path, (fd) => {
    const head = Buffer.alloc(TAR_BLOCK_BYTES);
    const taken = readSync(fd, head, 0, head.length, 0);
    return { bytes: fstatSync(fd).size, head: head.subarray(0, taken) };
  });
}

interface PlainCopy {
  readonly source: ByteSource;
  readonly compression: Compression;
  readonly plain: string;
}

async function writePlain({ source, compression, plain }: PlainCopy, store: ContentStore): Promise<void> {
  const bytesMax = Math.min(ARCHIVE_BYTES_MAX, Math.max(ARCHIVE_RATIO_FREE_BYTES, source.bytes * ARCHIVE_RATIO_MAX));
  await store.writeTemporary(plain, plainBytes(source, compression), { bytesMax });
}

function withFile<Result>(path: string, use: (fd: number) => Result): Result {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unreadable(`'${path}' cannot be opened`, error);
  }
  try {
    if (!fstatSync(fd).isFile()) throw unreadable(`'${path}' is no regular file`);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function indexTar(path: string): ReadonlyMap<string, Member> {
  return withFile(path, (fd) => {
    const index = new TarIndex(fd, fstatSync(fd).size);
    return index.read();
  });
}

/** Walks over the headers of a tar, from one to the next. */
class TarIndex {
  readonly #fd: number;
  readonly #bytes: number;
  readonly #members = new Map<string, Member>();
  readonly #extensions = new Extensions();
  #at = 0;

  constructor(fd: number, bytes: number) {
    this.#fd = fd;
    this.#bytes = bytes;
  }

  read(): ReadonlyMap<string, Member> {
    for (let entries = 0; ; entries += 1) {
      if (entries > ARCHIVE_ENTRIES_MAX) throw tooLarge(`the archive has more than ${ARCHIVE_ENTRIES_MAX} entries`);
      const block = this.#take(TAR_BLOCK_BYTES);
      if (isZeroBlock(block)) break;
      this.#readEntry(block);
    }
    if (!isZeroBlock(this.#take(TAR_BLOCK_BYTES))) throw hostile('the tar archive goes on after its end');
    return this.#members;
  }

  #readEntry(block: Buffer): void {
    const raw = parseTarHeader(block);
    const extension = extensionTypeOf(raw);
    if (extension !== null) {
      this.#extensions.add(extension, this.#take(raw.size));
      this.#at += paddingOf(raw.size);
      return;
    }
    const entry = this.#extensions.compose(raw);
    const start = this.#at;
    this.#at += entry.size + paddingOf(entry.size);
    if (this.#at > this.#bytes) throw hostile('the tar archive is truncated');
    this.#add(entry, start);
  }

  #add(entry: TarEntry, start: number): void {
    if (entry.type === 'directory') return;
    if (this.#members.has(entry.path)) throw hostile(`the archive holds ${quoted(entry.path)} twice`);
    if (entry.type === 'file') this.#members.set(entry.path, { kind: 'file', start, bytes: entry.size });
    else if (entry.type === 'hardlink') this.#members.set(entry.path, { kind: 'link', target: entry.linkPath });
    else if (entry.type === 'symlink') this.#members.set(entry.path, { kind: 'link', target: besideOf(entry) });
    else throw hostile(`the archive holds ${quoted(entry.path)}, which is no file`);
  }

  #take(bytes: number): Buffer {
    const taken = Buffer.alloc(bytes);
    const count = readSync(this.#fd, taken, 0, bytes, this.#at);
    if (count !== bytes) throw hostile('the tar archive is truncated');
    this.#at += bytes;
    return taken;
  }
}

/** A symlink's target as a name inside the archive; one that leaves the archive names nothing in it. */
function besideOf(entry: TarEntry): string {
  const parts = entry.path.split('/').slice(0, -1);
  for (const part of entry.linkPath.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** Reads a whole small file inside an archive or folder. */
export function bytesOf(source: ByteSource, bytesMax: number, what: string): Buffer {
  if (source.bytes > bytesMax) throw tooLarge(`${what} has ${source.bytes} bytes (at most ${bytesMax})`);
  return source.whole();
}
