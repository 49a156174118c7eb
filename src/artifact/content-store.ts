// Keeps content by digest under one folder: blobs, unpacked layers, and what artifacts were called. Only the finished has a name.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { errnoOf, exitStatus, MIB } from '../base/index.ts';
import type { ArtifactKind } from './artifact.ts';
import { ArtifactError, type Digest, digestOf, hexOf, parseDigest } from './digest.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { LayerFacts } from './layer-facts.ts';
import { badDigest, badSize, notFound, tooLarge, unreadable, writeRefusal } from './refusal.ts';

/** Largest blob that {@link ContentStore.get} gives whole: manifests, configs, documents. */
const BLOB_BYTES_MAX = 16 * MIB;

/** What a stream must turn out to be. */
export interface StreamExpectation {
  readonly digest?: Digest;
  readonly bytes?: number;
  readonly bytesMax: number;
}

/** How an artifact was called when it was read. The digest is the key; its content is found again from verified blobs. */
export interface Remembered {
  readonly kind: ArtifactKind;
  readonly name: string;
  readonly reference: string;
}

/** An unpacked layer as it is kept. */
export interface StoredLayer {
  readonly dir: string;
  readonly facts: LayerFacts;
}

/** A layer that is unpacked and checked but has no name yet; `discard` is safe after `commit`. */
export interface PreparedLayer {
  readonly facts: LayerFacts;
  commit(): Promise<StoredLayer>;
  discard(): Promise<void>;
}

/**
 * Opens the content store in `dir`, making it when it is not there, and removes what crashed processes left unfinished.
 * Several processes may have it open: content appears by rename, and whoever comes second finds it there.
 *
 * @throws ArtifactError ARTIFACT_UNREADABLE, ARTIFACT_NO_SPACE
 */
export async function openContentStore(dir: string): Promise<ContentStore> {
  try {
    // 0700: layers hold setuid files of images, which no user of this host may reach.
    for (const part of ['blobs/sha256', 'layers', 'artifacts', 'trees', 'tmp']) {
      await mkdir(join(dir, part), { recursive: true, mode: 0o700 });
    }
    await removeAbandoned(join(dir, 'tmp'));
    const session = join(dir, 'tmp', `${process.pid}-${startTicksOf(process.pid)}-${randomBytes(6).toString('hex')}`);
    await mkdir(session, { mode: 0o700 });
    return new ContentStore(dir, session, openKernel());
  } catch (error) {
    const refusal = writeRefusal(error, `the content store '${dir}'`);
    throw refusal instanceof ArtifactError ? refusal : unreadable(`the content store '${dir}' cannot be opened`, error);
  }
}

/** Content by digest. Made by {@link openContentStore}; disposing of it removes its temporary files. */
export class ContentStore implements AsyncDisposable {
  readonly dir: string;
  readonly kernel: Kernel;
  readonly #session: string;
  readonly #making = new Map<Digest, Promise<unknown>>();

  constructor(dir: string, session: string, kernel: Kernel) {
    this.dir = dir;
    this.#session = session;
    this.kernel = kernel;
  }

  /** Keeps bytes; durable when it resolves. @throws ArtifactError ARTIFACT_NO_SPACE */
  async put(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    if (this.has(digest)) return digest;
    return this.putStream([bytes], { digest, bytes: bytes.length, bytesMax: bytes.length });
  }

  /**
   * Keeps a stream, checked against what is expected of it while it is written; a stream that differs leaves nothing.
   *
   * @throws ArtifactError ARTIFACT_DIGEST, ARTIFACT_TOO_LARGE, ARTIFACT_NO_SPACE
   */
  async putStream(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    expected: StreamExpectation,
  ): Promise<Digest> {
    const temporary = this.temporaryPath();
    try {
      const digest = await writeVerified(temporary, source, expected);
      await rename(temporary, this.blobPath(digest));
      await syncDir(join(this.dir, 'blobs/sha256'));
      return digest;
    } catch (error) {
      await rm(temporary, { force: true });
      throw writeRefusal(error, 'a blob');
    }
  }

  /** True when the blob is kept. */
  has(digest: Digest): boolean {
    return existsSync(this.blobPath(digest));
  }

  /**
   * Gives a small blob whole, its digest checked.
   *
   * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_TOO_LARGE, ARTIFACT_DIGEST
   */
  async get(digest: Digest): Promise<Buffer> {
    const path = this.blobPath(digest);
    const found = await stat(path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT')
        throw notFound(`${digest} is not in the content store`, 'Read the artifact again.');
      throw error;
    });
    if (found.size > BLOB_BYTES_MAX) throw tooLarge(`${digest} has ${found.size} bytes (at most ${BLOB_BYTES_MAX})`);
    const bytes = await readFile(path);
    const got = digestOf(bytes);
    if (got !== digest) throw badDigest('a blob in the content store', digest, got);
    return bytes;
  }

  /** Where a blob's file lies; it exists only when {@link has} says so. */
  blobPath(digest: Digest): string {
    return join(this.dir, 'blobs/sha256', hexOf(digest));
  }

  /** A path for a temporary file or folder of this process; gone with the store. */
  temporaryPath(): string {
    return join(this.#session, randomBytes(8).toString('hex'));
  }

  /**
   * Writes a stream to a temporary path, checked as by {@link putStream}; one that differs leaves nothing.
   *
   * @throws ArtifactError ARTIFACT_DIGEST, ARTIFACT_TOO_LARGE, ARTIFACT_NO_SPACE
   */
  async writeTemporary(path: string, source: AsyncIterable<Uint8Array>, expected: StreamExpectation): Promise<void> {
    try {
      await writeVerified(path, source, expected);
    } catch (error) {
      await rm(path, { force: true });
      throw writeRefusal(error, 'a temporary file');
    }
  }

  /** Drops a temporary file before the store is closed. */
  async removeTemporary(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** The unpacked layer, or null when it is not unpacked yet. */
  layer(diffId: Digest): StoredLayer | null {
    const dir = join(this.dir, 'layers', hexOf(diffId));
    if (!existsSync(dir)) return null;
    return { dir, facts: readFacts(`${dir}.json`) };
  }

  /**
   * Makes a layer that is not there yet with `unpack`, into a temporary folder. It gets its name by `commit` alone, so that
   * an image can be taken whole or not at all.
   *
   * @throws whatever `unpack` throws, with nothing left behind; ArtifactError ARTIFACT_NO_SPACE
   */
  async prepareLayer(diffId: Digest, unpack: (dir: string) => Promise<LayerFacts>): Promise<PreparedLayer> {
    const existing = this.layer(diffId);
    if (existing !== null) {
      return { facts: existing.facts, commit: async () => existing, discard: async () => undefined };
    }
    const temporary = this.temporaryPath();
    const discard = async (): Promise<void> => {
      await rm(temporary, { recursive: true, force: true });
      await rm(`${temporary}.json`, { force: true });
    };
    try {
      await mkdir(temporary, { mode: 0o700 });
      const facts = await unpack(temporary);
      await writeFile(`${temporary}.json`, JSON.stringify(facts), { mode: 0o600 });
      await this.kernel.sync(temporary);
      return { facts, commit: () => this.#commitLayer(diffId, temporary, facts), discard };
    } catch (error) {
      await discard();
      throw writeRefusal(error, `layer ${diffId}`);
    }
  }

  async #commitLayer(diffId: Digest, temporary: string, facts: LayerFacts): Promise<StoredLayer> {
    const dir = join(this.dir, 'layers', hexOf(diffId));
    // Facts first: a folder with its final name always has them.
    await rename(`${temporary}.json`, `${dir}.json`);
    await renameUnlessThere(temporary, dir);
    await syncDir(join(this.dir, 'layers'));
    return { dir, facts };
  }

  /** Makes what `key` names once, for all who ask at the same time. */
  once<Value>(key: Digest, make: () => Promise<Value>): Promise<Value> {
    const running = this.#making.get(key) as Promise<Value> | undefined;
    if (running !== undefined) return running;
    const mine = make().finally(() => this.#making.delete(key));
    this.#making.set(key, mine);
    return mine;
  }

  /** Remembers what an artifact was called. */
  async remember(digest: Digest, called: Remembered): Promise<void> {
    const path = join(this.dir, 'artifacts', `${hexOf(digest)}.json`);
    const text = JSON.stringify(called);
    // Nearly always so: a start of a known artifact does not wait for the disk.
    if (!holds(path, text)) await this.#writeSmall(path, text);
  }

  /** What an artifact was called, or null when it is not known. */
  async remembered(digest: Digest): Promise<Remembered | null> {
    return (await this.#readSmall(join(this.dir, 'artifacts', `${hexOf(digest)}.json`))) as Remembered | null;
  }

  /** Keeps what is known of a folder of the host, so that it is read faster the next time; null when nothing is. */
  async treeCache(root: string): Promise<unknown> {
    return this.#readSmall(this.#treePath(root));
  }

  async saveTreeCache(root: string, value: unknown): Promise<void> {
    await this.#writeSmall(this.#treePath(root), JSON.stringify(value));
  }

  /** Facts of a folder by its tree digest. */
  async treeFacts(digest: Digest): Promise<LayerFacts | null> {
    return (await this.#readSmall(join(this.dir, 'trees', `${hexOf(digest)}.facts.json`))) as LayerFacts | null;
  }

  async saveTreeFacts(facts: LayerFacts): Promise<void> {
    await this.#writeSmall(join(this.dir, 'trees', `${hexOf(facts.diffId)}.facts.json`), JSON.stringify(facts));
  }

  #treePath(root: string): string {
    return join(this.dir, 'trees', `${hexOf(digestOf(root))}.json`);
  }

  async #writeSmall(path: string, text: string): Promise<void> {
    const temporary = this.temporaryPath();
    try {
      await writeFile(temporary, text, { mode: 0o600, flush: true });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw writeRefusal(error, `'${path}'`);
    }
  }

  async #readSmall(path: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(path, 'utf8'));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return null;
      throw unreadable(`'${path}' in the content store is damaged`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#session, { recursive: true, force: true });
  }
}

/**
 * The hygiene facts of one of an artifact's layers, or of its folder; null when none were gathered, as for the host's own root.
 *
 * @throws ArtifactError ARTIFACT_UNREADABLE when they are damaged
 */
export async function layerFacts(store: ContentStore, diffId: Digest): Promise<LayerFacts | null> {
  return store.layer(diffId)?.facts ?? (await store.treeFacts(diffId));
}

function readFacts(path: string): LayerFacts {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LayerFacts;
  } catch (error) {
    throw unreadable(`the facts of a layer, '${path}', are missing or damaged`, error);
  }
}

async function writeVerified(
  path: string,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  expected: StreamExpectation,
): Promise<Digest> {
  await using file = await open(path, 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (expected.bytes !== undefined && bytes > expected.bytes) throw badSize('a blob', expected.bytes, bytes);
    if (bytes > expected.bytesMax) throw tooLarge(`a blob has more than ${expected.bytesMax} bytes`);
    hash.update(piece);
    await file.writeFile(piece);
  }
  if (expected.bytes !== undefined && bytes !== expected.bytes) throw badSize('a blob', expected.bytes, bytes);
  const digest = parseDigest(`sha256:${hash.digest('hex')}`);
  if (expected.digest !== undefined && digest !== expected.digest) throw badDigest('a blob', expected.digest, digest);
  await file.sync();
  return digest;
}

function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text;
  } catch {
    // Not there, or damaged: it is written anew.
    return false;
  }
}

async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    // Another process was first: what it made has the same digest.
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Makes a rename in `dir` survive a power cut. */
async function syncDir(dir: string): Promise<void> {
  await using handle = await open(dir, 'r');
  await handle.sync();
}

/** Removes the temporary folders of processes that are gone. */
async function removeAbandoned(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const [pid, ticks] = name.split('-');
    const isAlive = ticks !== undefined && startTicksOf(Number(pid)) === ticks;
    if (!isAlive) await rm(join(dir, name), { recursive: true, force: true });
  }
}

/** When a process started, field 22 of its stat: with the pid it names one process for ever. Empty when it is gone. */
function startTicksOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program, in parentheses, may hold anything: count from its end.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return '';
    throw error;
  }
}

/** For callers that must be root before they can keep ownership. */
export function requireRoot(what: string): void {
  if (process.geteuid?.() === 0) return;
  throw new ArtifactError(
    'ARTIFACT_NOT_ROOT',
    `${what} needs root: its files keep the owners that the image gives them`,
    {
      exit: exitStatus.notAuthorised,
      hint: 'Run the command as root.',
    },
  );
}
