// Reads a tar archive as its bytes come: entries, their content, and a strict end. Writes nothing.
import { invariant } from '../base/index.ts';
import { hostile, tooLarge } from './refusal.ts';
import {
  composeEntry,
  isZeroBlock,
  type LongNames,
  parsePax,
  parseTarHeader,
  type PaxFields,
  type RawHeader,
  TAR_BLOCK_BYTES,
  TAR_EXTENSION_BYTES_MAX,
  type TarEntry,
} from './tar-entry.ts';

/** Who is told of what is in the archive, in its order. An error thrown here ends the reading. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** A piece of the content of the last entry; only valid during the call. */
  content(piece: Buffer): void;
  entryEnd(): void;
}

/** What a header that describes the next one is. */
export type ExtensionType = 'pax' | 'pax-global' | 'long-name' | 'long-link';

/** The type of a header that only describes the entry after it, or null for an entry. */
export function extensionTypeOf(raw: RawHeader): ExtensionType | null {
  const type = EXTENSION_TYPES.get(raw.typeFlag) ?? null;
  if (type !== null && raw.size > TAR_EXTENSION_BYTES_MAX) {
    throw tooLarge(
      `the tar archive holds an extended header of ${raw.size} bytes (at most ${TAR_EXTENSION_BYTES_MAX})`,
    );
  }
  return type;
}

const EXTENSION_TYPES: ReadonlyMap<string, ExtensionType> = new Map([
  ['x', 'pax'],
  ['g', 'pax-global'],
  ['L', 'long-name'],
  ['K', 'long-link'],
]);

/** Collects the extensions before an entry, each at most once, and then makes the entry. */
export class Extensions {
  #pax: PaxFields | null = null;
  #long: LongNames = {};

  add(type: ExtensionType, payload: Buffer): void {
    switch (type) {
      case 'pax':
        if (this.#pax !== null) throw hostile('the tar archive holds two pax headers for one entry');
        this.#pax = parsePax(payload);
        return;
      case 'pax-global':
        this.#refuseGlobal(parsePax(payload));
        return;
      case 'long-name':
        if (this.#long.name !== undefined) throw hostile('the tar archive holds two long names for one entry');
        this.#long = { ...this.#long, name: untilNul(payload) };
        return;
      case 'long-link':
        if (this.#long.linkName !== undefined) throw hostile('the tar archive holds two long links for one entry');
        this.#long = { ...this.#long, linkName: untilNul(payload) };
    }
  }

  /** The entry that `raw` and all that came before it describe. */
  compose(raw: RawHeader): TarEntry {
    const entry = composeEntry(raw, this.#pax, this.#long);
    this.#pax = null;
    this.#long = {};
    return entry;
  }

  isEmpty(): boolean {
    return this.#pax === null && this.#long.name === undefined && this.#long.linkName === undefined;
  }

  /** Global headers carry comments (git archive). One that renames or resizes what follows has only hostile uses. */
  #refuseGlobal(fields: PaxFields): void {
    const { attributes, mtime: _, ...rest } = fields;
    if (Object.keys(rest).length > 0 || attributes.size > 0) {
      throw hostile('the tar archive holds a global header that changes every entry after it');
    }
  }
}

function untilNul(payload: Buffer): string {
  const end = payload.indexOf(0);
  return payload.toString('latin1', 0, end === -1 ? payload.length : end);
}

/** Bytes that follow a content of `size` bytes up to the next block. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

type State = 'header' | 'extension' | 'content' | 'padding' | 'trailer';

/** Push bytes in pieces of any size, then call {@link TarReader.end}. */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #extensions = new Extensions();
  readonly #block = Buffer.alloc(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  #state: State = 'header';
  /** Bytes left of the content or padding. */
  #left = 0;
  #paddingAfter = 0;
  #extension: { readonly type: ExtensionType; readonly payload: Buffer } | null = null;
  #zeroBlocks = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** @throws ArtifactError as the parsers of tar-entry.ts, and whatever the handler throws */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      switch (this.#state) {
        case 'header':
          at += this.#pushHeader(bytes, at);
          break;
        case 'extension':
        case 'content':
          at += this.#pushContent(bytes, at);
          break;
        case 'padding':
          at += this.#pushPadding(bytes.length - at);
          break;
        case 'trailer':
          // Anything here could be a second archive that another reader would unpack.
          if (!isAllZero(bytes.subarray(at))) throw hostile('the tar archive goes on after its end');
          return;
      }
    }
  }

  /** @throws ArtifactError ARTIFACT_HOSTILE when the archive did not end as tar demands: with two blocks of zeros */
  end(): void {
    if (this.#state !== 'trailer') throw hostile('the tar archive is truncated');
  }

  #pushHeader(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#block, this.#blockBytes, at, at + TAR_BLOCK_BYTES - this.#blockBytes);
    this.#blockBytes += taken;
    if (this.#blockBytes === TAR_BLOCK_BYTES) {
      this.#blockBytes = 0;
      this.#readHeader();
    }
    return taken;
  }

  #readHeader(): void {
    if (isZeroBlock(this.#block)) {
      this.#zeroBlocks += 1;
      if (!this.#extensions.isEmpty()) throw hostile('the tar archive ends after a header that describes an entry');
      if (this.#zeroBlocks === 2) this.#state = 'trailer';
      return;
    }
    if (this.#zeroBlocks > 0) throw hostile('the tar archive goes on after its end');
    const raw = parseTarHeader(this.#block);
    const type = extensionTypeOf(raw);
    if (type !== null) {
      this.#extension = { type, payload: Buffer.alloc(raw.size) };
      this.#expect('extension', raw.size);
      return;
    }
    const entry = this.#extensions.compose(raw);
    this.#handler.entry(entry);
    this.#expect('content', entry.size);
  }

  #expect(state: 'extension' | 'content', size: number): void {
    this.#state = state;
    this.#left = size;
    this.#paddingAfter = paddingOf(size);
    if (size === 0) this.#finishContent();
  }

  #pushContent(bytes: Buffer, at: number): number {
    const piece = bytes.subarray(at, at + Math.min(this.#left, bytes.length - at));
    if (this.#extension === null) this.#handler.content(piece);
    else piece.copy(this.#extension.payload, this.#extension.payload.length - this.#left);
    this.#left -= piece.length;
    if (this.#left === 0) this.#finishContent();
    return piece.length;
  }

  #finishContent(): void {
    const extension = this.#extension;
    this.#extension = null;
    if (extension === null) this.#handler.entryEnd();
    else this.#extensions.add(extension.type, extension.payload);
    this.#left = this.#paddingAfter;
    this.#state = this.#left === 0 ? 'header' : 'padding';
  }

  #pushPadding(available: number): number {
    const taken = Math.min(this.#left, available);
    this.#left -= taken;
    if (this.#left === 0) this.#state = 'header';
    invariant(this.#left >= 0, 'padding below zero');
    return taken;
  }
}

function isAllZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += TAR_BLOCK_BYTES) {
    const block = bytes.subarray(at, at + TAR_BLOCK_BYTES);
    if (!block.equals(ZEROS.subarray(0, block.length))) return false;
  }
  return true;
}
const ZEROS = Buffer.alloc(TAR_BLOCK_BYTES);
