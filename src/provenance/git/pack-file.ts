// One packfile and its index: finds an object by id, inflates it, and applies its deltas.
import { inflateSync } from 'node:zlib';

import { GIB, MIB } from '../../base/index.ts';
import { badRepository, type GitFile, openGitFile, readGitFile } from './git-file.ts';
import { type GitObject, idBytes, type ObjectFormat, type ObjectKind } from './git-object.ts';
import { applyDelta } from './pack-delta.ts';

/** Largest index: one of 30 million objects. */
const INDEX_BYTES_MAX = GIB;
const INDEX_MAGIC = 0xff744f63;
const INDEX_VERSION = 2;
const FANOUT_AT = 8;
const NAMES_AT = FANOUT_AT + 256 * 4;

/** Longest chain of deltas. @source git, pack.depth: at most 4095 */
const DELTA_DEPTH_MAX = 4096;

/** Bases of deltas that are kept, in bytes: a walk over a history meets each chain at every of its links. */
const CACHE_BYTES_MAX = 16 * MIB;

/** What inflating asks for at a time: no more than a small object needs. The least is zlib's own. */
const CHUNK_BYTES_MIN = 64;
const CHUNK_BYTES_MAX = MIB;

/** First read of an entry: holds most commits whole. */
const FIRST_READ_BYTES = 2048;

const KINDS: ReadonlyMap<number, ObjectKind> = new Map([
  [1, 'commit'],
  [2, 'tree'],
  [3, 'blob'],
  [4, 'tag'],
]);
const OFFSET_DELTA = 6;
const ID_DELTA = 7;

type Entry =
  | { readonly kind: ObjectKind; readonly content: Buffer }
  | { readonly kind: 'delta'; readonly base: number; readonly content: Buffer };

/** An open pack. */
export class PackFile implements Disposable {
  readonly #path: string;
  readonly #file: GitFile;
  readonly #index: Buffer;
  readonly #idBytes: number;
  readonly #count: number;
  readonly #cache = new Map<number, GitObject>();
  #cacheBytes = 0;

  private constructor(path: string, file: GitFile, index: Buffer, format: ObjectFormat) {
    this.#path = path;
    this.#file = file;
    this.#index = index;
    this.#idBytes = idBytes(format);
    this.#count = index.readUInt32BE(NAMES_AT - 4);
  }

  /** Opens `<base>.pack` with `<base>.idx`. @throws ProvenanceError PROVENANCE_REPOSITORY */
  static open(base: string, format: ObjectFormat): PackFile {
    const path = `${base}.pack`;
    const index = readGitFile(`${base}.idx`, INDEX_BYTES_MAX);
    const isWhole = index !== null && index.length >= NAMES_AT && isIndex(index, idBytes(format));
    if (!isWhole) throw badRepository(`${base}.idx is no index of version 2; git repack -ad writes one`);
    const file = openGitFile(path);
    if (file === null) throw badRepository(`${path} is missing`);
    return new PackFile(path, file, index, format);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  /** Where the object begins; null when it is not in this pack. */
  find(id: Buffer): number | null {
    const first = id[0] ?? 0;
    let low = first === 0 ? 0 : this.#index.readUInt32BE(FANOUT_AT + (first - 1) * 4);
    let high = this.#index.readUInt32BE(FANOUT_AT + first * 4);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = NAMES_AT + middle * this.#idBytes;
      const order = id.compare(this.#index, at, at + this.#idBytes);
      if (order === 0) return this.#offsetOf(middle);
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    return null;
  }

  #offsetOf(position: number): number {
    const offsetsAt = NAMES_AT + this.#count * (this.#idBytes + 4);
    const offset = this.#index.readUInt32BE(offsetsAt + position * 4);
    if (offset < 0x80000000) return offset;
    const at = offsetsAt + this.#count * 4 + (offset - 0x80000000) * 8;
    if (at + 8 > this.#index.length) throw this.#damaged('its index points past its end');
    return Number(this.#index.readBigUInt64BE(at));
  }

  /** The object at an offset; not checked against its id. @throws ProvenanceError PROVENANCE_REPOSITORY */
  read(offset: number, bytesMax: number): GitObject {
    const deltas: { readonly at: number; readonly delta: Buffer }[] = [];
    let at = offset;
    let object = this.#cache.get(at);
    while (object === undefined) {
      const entry = this.#readEntry(at, bytesMax);
      if (entry.kind !== 'delta') {
        object = entry;
        break;
      }
      if (deltas.length === DELTA_DEPTH_MAX) throw this.#damaged('its deltas have no end');
      deltas.push({ at, delta: entry.content });
      at = entry.base;
      object = this.#cache.get(at);
    }
    // What is no delta and the base of none is seldom met again.
    if (deltas.length > 0) this.#keep(at, object);
    for (const { at: deltaAt, delta } of deltas.toReversed()) {
      object = { kind: object.kind, content: applyDelta(object.content, delta, bytesMax) };
      this.#keep(deltaAt, object);
    }
    return object;
  }

  #keep(offset: number, object: GitObject): void {
    if (this.#cache.has(offset) || object.content.length > CACHE_BYTES_MAX) return;
    if (this.#cacheBytes + object.content.length > CACHE_BYTES_MAX) {
      this.#cache.clear();
      this.#cacheBytes = 0;
    }
    this.#cache.set(offset, object);
    this.#cacheBytes += object.content.length;
  }

  #readEntry(offset: number, bytesMax: number): Entry {
    const start = this.#file.read(offset, FIRST_READ_BYTES);
    const { type, size, length } = this.#parseHeader(start);
    if (size > bytesMax) throw badRepository(`an object in ${this.#path} has more than ${bytesMax} bytes`);
    const kind = KINDS.get(type);
    if (kind !== undefined) return { kind, content: this.#inflate({ offset, start, skip: length, size }) };
    const { base, length: baseLength } = this.#parseBase(type, offset, start.subarray(length));
    return { kind: 'delta', base, content: this.#inflate({ offset, start, skip: length + baseLength, size }) };
  }

  #parseHeader(start: Buffer): { readonly type: number; readonly size: number; readonly length: number } {
    const first = start[0] ?? 0;
    let size = first & 0x0f;
    let length = 1;
    for (let weight = 16, byte = first; byte >= 0x80; weight *= 128, length += 1) {
      byte = start[length] ?? 0;
      size += (byte & 0x7f) * weight;
      if (weight > 2 ** 49) throw this.#damaged('an object has no size');
    }
    return { type: (first >> 4) & 7, size, length };
  }

  #parseBase(type: number, offset: number, start: Buffer): { readonly base: number; readonly length: number } {
    if (type === ID_DELTA) {
      const base = start.length < this.#idBytes ? null : this.find(start.subarray(0, this.#idBytes));
      if (base === null) throw this.#damaged('a delta’s base is missing');
      return { base, length: this.#idBytes };
    }
    if (type !== OFFSET_DELTA) throw this.#damaged('an object has no kind');
    let distance = 0;
    let length = 0;
    for (let isLast = false; !isLast; length += 1) {
      const byte = start[length] ?? 0;
      distance = (length === 0 ? 0 : (distance + 1) * 128) + (byte & 0x7f);
      isLast = byte < 0x80;
      if (distance > offset) throw this.#damaged('a delta’s base lies before its beginning');
    }
    if (distance === 0) throw this.#damaged('a delta is its own base');
    return { base: offset - distance, length };
  }

  /** Inflates from after the entry's header; how long the deflated bytes are is not written anywhere. */
  #inflate({
    offset,
    start,
    skip,
    size,
  }: {
    readonly offset: number;
    readonly start: Buffer;
    readonly skip: number;
    readonly size: number;
  }): Buffer {
    // Deflate grows incompressible bytes by 0.03 %; this leaves much room, and the end of a pack is no harm.
    const deflatedMax = size + Math.ceil(size / 4) + 256;
    const isThere = start.length >= skip + deflatedMax;
    const deflated = isThere ? start.subarray(skip) : this.#file.read(offset + skip, deflatedMax);
    return inflate(deflated, size) ?? this.#fail();
  }

  #fail(): never {
    throw this.#damaged('an object cannot be inflated');
  }

  #damaged(why: string): Error {
    return badRepository(`${this.#path} is damaged: ${why}`);
  }
}

function isIndex(index: Buffer, idLength: number): boolean {
  if (index.readUInt32BE(0) !== INDEX_MAGIC || index.readUInt32BE(4) !== INDEX_VERSION) return false;
  const counts = Array.from({ length: 256 }, (_, first) => index.readUInt32BE(FANOUT_AT + first * 4));
  const isRising = counts.every((count, first) => first === 0 || count >= (counts[first - 1] ?? 0));
  return isRising && index.length >= NAMES_AT + (counts[255] ?? 0) * (idLength + 8) + 2 * idLength;
}

/** Inflates to exactly `size` bytes; null for anything else. */
export function inflate(deflated: Buffer, size: number): Buffer | null {
  try {
    // One more than the size, so that a longer object is not taken for a whole one.
    const chunkSize = Math.min(Math.max(CHUNK_BYTES_MIN, size + 1), CHUNK_BYTES_MAX);
    const content = inflateSync(deflated, { maxOutputLength: size + 1, chunkSize });
    return content.length === size ? content : null;
  } catch {
    // Damaged, or longer than it says: the caller names the object.
    return null;
  }
}
