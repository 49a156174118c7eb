// Unpacks one layer: plain bytes in, a folder and its facts out, under strict limits. Anything odd ends it.
import { createHash } from 'node:crypto';

import { GIB, MIB } from '../base/index.ts';
import { type Digest, hexOf } from './digest.ts';
import type { Kernel } from './kernel.ts';
import { FactCollector, type LayerFacts, SECRET_FILE_BYTES_MAX } from './layer-facts.ts';
import { type ByteSource, type Compression, plainBytes } from './layer-source.ts';
import { badDigest, hostile, tooLarge, unsupported, writeRefusal } from './refusal.ts';
import { secretKindOf } from './secret-scan.ts';
import type { TarEntry } from './tar-entry.ts';
import { type TarHandler, TarReader } from './tar-reader.ts';
import { TreeWriter } from './tree-writer.ts';

export interface UnpackLimits {
  /** Uncompressed bytes of one layer. */
  readonly layerBytesMax: number;
  /** Bytes of the files of all layers together. */
  readonly imageBytesMax: number;
  readonly entriesMax: number;
  /** Uncompressed bytes per compressed byte, once past `ratioFreeBytes`. */
  readonly ratioMax: number;
  readonly ratioFreeBytes: number;
}

/**
 * Bounds far above real images (the largest public ones have layers of about 10 GB and 300,000 files) and far below harm.
 * Gzip reaches 1032:1 on zeros; program files compress to about a third, logs to a fiftieth.
 */
export const unpackLimits: UnpackLimits = {
  layerBytesMax: 32 * GIB,
  imageBytesMax: 64 * GIB,
  entriesMax: 1_000_000,
  ratioMax: 200,
  ratioFreeBytes: 64 * MIB,
};

export interface UnpackInput {
  readonly source: ByteSource;
  readonly compression: Compression;
  /** What the uncompressed bytes must be. */
  readonly diffId: Digest;
  /** An existing, empty folder that only we write to; thrown away whole by the caller on any error. */
  readonly dir: string;
  readonly kernel: Kernel;
  readonly limits: UnpackLimits;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Unpacks a layer into `dir` and gathers its facts.
 *
 * @throws ArtifactError ARTIFACT_HOSTILE, ARTIFACT_TOO_LARGE, ARTIFACT_UNSUPPORTED, ARTIFACT_DIGEST, ARTIFACT_NO_SPACE
 */
export async function unpackLayer(input: UnpackInput): Promise<LayerFacts> {
  const writer = new TreeWriter(Buffer.from(input.dir).toString('latin1'), input.kernel);
  const facts = new FactCollector();
  try {
    await readInto(input, new LayerHandler(writer, facts, input.limits));
    writer.finish();
  } catch (error) {
    throw writeRefusal(error, `layer ${input.diffId}`);
  } finally {
    writer.close();
  }
  return facts.facts(input.diffId);
}

async function readInto(input: UnpackInput, handler: LayerHandler): Promise<void> {
  const { source, limits } = input;
  const reader = new TarReader(handler);
  const hash = createHash('sha256');
  const ratioBytesMax = Math.max(limits.ratioFreeBytes, source.bytes * limits.ratioMax);
  let bytes = 0;
  for await (const piece of plainBytes(source, input.compression)) {
    bytes += piece.length;
    if (bytes > limits.layerBytesMax)
      throw tooLarge(`layer ${input.diffId} unpacks to more than ${limits.layerBytesMax} bytes`);
    if (bytes > ratioBytesMax)
      throw hostile(`layer ${input.diffId} unpacks to more than ${limits.ratioMax} times its size`);
    hash.update(piece);
    reader.push(piece);
    input.onBytes?.(bytes);
  }
  const got = hash.digest('hex');
  if (got !== hexOf(input.diffId)) throw badDigest('an uncompressed layer', input.diffId, `sha256:${got}`);
  reader.end();
}

const WHITEOUT_PREFIX = '.wh.';
/** Names of AUFS's own. @source OCI image-spec, layer.md, "Whiteouts" and "Opaque Whiteout" */
const WHITEOUT_META_PREFIX = '.wh..wh.';
const OPAQUE_NAME = '.wh..wh..opq';

/** Hands each entry to the writer, and what it says to the facts. */
class LayerHandler implements TarHandler {
  readonly #writer: TreeWriter;
  readonly #facts: FactCollector;
  readonly #limits: UnpackLimits;
  #entries = 0;
  #file: TarEntry | null = null;
  /** Content of a file small enough to be searched; null for a large one, which is written as it comes. */
  #pieces: Buffer[] | null = null;

  constructor(writer: TreeWriter, facts: FactCollector, limits: UnpackLimits) {
    this.#writer = writer;
    this.#facts = facts;
    this.#limits = limits;
  }

  entry(entry: TarEntry): void {
    this.#entries += 1;
    // The writer's count holds folders that no entry describes too.
    if (Math.max(this.#entries, this.#writer.madeCount) > this.#limits.entriesMax)
      throw tooLarge(`the layer has more than ${this.#limits.entriesMax} entries`);
    const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
    if (name.startsWith(WHITEOUT_PREFIX)) return this.#whiteout(entry, name);
    if (entry.path === '' && entry.type !== 'directory') throw hostile('the layer replaces its own root');
    this.#write(entry);
    this.#facts.add({
      path: utf8(entry.path),
      kind: entry.type === 'file' || entry.type === 'directory' ? entry.type : 'other',
      mode: entry.mode,
      bytes: entry.size,
      hasCapability: entry.attributes.has('security.capability'),
    });
  }

  content(piece: Buffer): void {
    if (this.#file === null) return;
    // Copied: the reader's piece is only valid during this call.
    if (this.#pieces === null) this.#writer.write(piece);
    else this.#pieces.push(Buffer.from(piece));
  }

  entryEnd(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    if (this.#pieces !== null) this.#writeSmall(file, this.#pieces);
    this.#pieces = null;
    this.#writer.endFile();
  }

  #writeSmall(file: TarEntry, pieces: readonly Buffer[]): void {
    const content = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    this.#writer.write(content);
    const path = utf8(file.path);
    const kind = secretKindOf(path, content);
    if (kind !== null) this.#facts.addSecret(path, kind);
  }

  #write(entry: TarEntry): void {
    switch (entry.type) {
      case 'file':
        this.#writer.beginFile(entry);
        this.#file = entry;
        this.#pieces = entry.size <= SECRET_FILE_BYTES_MAX ? [] : null;
        return;
      case 'directory':
        return this.#writer.directory(entry);
      case 'symlink':
        return this.#writer.symlink(entry);
      case 'hardlink':
        return this.#writer.hardLink(entry);
      case 'fifo':
        return this.#writer.fifo(entry);
    }
  }

  #whiteout(entry: TarEntry, name: string): void {
    if (entry.type !== 'file' || entry.size !== 0) throw hostile('a whiteout in the layer is no empty file');
    const parent = entry.path.slice(0, Math.max(0, entry.path.length - name.length - 1));
    if (name === OPAQUE_NAME) {
      this.#writer.opaque(parent);
      this.#facts.addRemoval(`${utf8(parent)}/`);
      return;
    }
    if (name.startsWith(WHITEOUT_META_PREFIX)) {
      throw unsupported(
        'the layer holds files of the AUFS driver itself',
        'Build the image again with a current tool.',
      );
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..') throw hostile('a whiteout in the layer hides no name');
    const path = parent === '' ? hidden : `${parent}/${hidden}`;
    this.#writer.whiteout(path);
    this.#facts.addRemoval(utf8(path));
  }
}

/** Names for facts are text: bytes that are not UTF-8 show as the replacement character. */
function utf8(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
