// Names a folder by what is in it, and gathers its facts on the way. Content that did not change since is not read again.
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIB } from '../base/index.ts';
import type { ContentStore } from './content-store.ts';
import { ArtifactError, type Digest, parseDigest } from './digest.ts';
import { FactCollector, type LayerFacts, SECRET_FILE_BYTES_MAX, type SecretKind } from './layer-facts.ts';
import { quoted, tooLarge, unreadable, unsupported } from './refusal.ts';
import { secretKindOf } from './secret-scan.ts';

/** A root file system has at most this many entries, as a layer does. */
const ENTRIES_MAX = 1_000_000;
/** Entries handled before the event loop gets its turn: about a millisecond each hundred. */
const ENTRIES_A_TURN = 200;
const READ_BYTES = 256 * KIB;
/**
 * A file that changed less than this before it was read may change again within the same tick of the file system's clock,
 * and look the same: it is read again the next time. Kernel timestamps advance every 4 ms (CONFIG_HZ=250) to 10 ms.
 */
const SETTLED_NS = 2_000_000_000n;

/** Form of the cache file; another number is not read. */
const CACHE_VERSION = 1;

/** ino, size, mtimeNs, ctimeNs (which a new capability changes too), content digest in hex, kind of secret, capability in hex. */
type CachedFile = readonly [string, string, string, string, string, SecretKind | null, string];

interface Cache {
  readonly version: number;
  readonly device: string;
  readonly files: Readonly<Record<string, CachedFile>>;
}

interface FileContent {
  readonly hex: string;
  readonly secret: SecretKind | null;
  /** Value of security.capability in hex, empty without. */
  readonly capability: string;
}

/**
 * Reads a folder and names it: SHA-256 over one line an entry, in the order of their paths, with type, mode, owner, size, content
 * digest, link target, device number and file capabilities. Times are not part of it.
 *
 * @param root absolute path of a folder; links in it are named, not followed
 * @throws ArtifactError ARTIFACT_UNREADABLE, ARTIFACT_TOO_LARGE
 */
export async function readTree(root: string, store: ContentStore): Promise<LayerFacts> {
  const walk = new TreeWalk(root, store, await loadCache(root, store));
  const digest = await walk.run();
  await store.saveTreeCache(root, { version: CACHE_VERSION, device: walk.device, files: walk.cached() });
  const facts = walk.facts.facts(digest);
  await store.saveTreeFacts(facts);
  return facts;
}

async function loadCache(root: string, store: ContentStore): Promise<Cache | null> {
  const cache = (await store.treeCache(root)) as Cache | null;
  return cache?.version === CACHE_VERSION && cache.device === String(lstatSync(root, { bigint: true }).dev)
    ? cache
    : null;
}

class TreeWalk {
  readonly facts = new FactCollector();
  readonly device: string;
  readonly #root: string;
  readonly #store: ContentStore;
  readonly #known: ReadonlyMap<string, CachedFile>;
  readonly #files = new Map<string, CachedFile>();
  readonly #hash = createHash('sha256');
  readonly #startNs = BigInt(Date.now()) * 1_000_000n;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  #entries = 0;

  constructor(root: string, store: ContentStore, cache: Cache | null) {
    // Names on the disk are bytes: as binary strings they stay what they are, and sort the same everywhere.
    this.#root = Buffer.from(root).toString('latin1');
    this.#store = store;
    this.#known = new Map(Object.entries(cache?.files ?? {}));
    this.device = String(lstatSync(root, { bigint: true }).dev);
  }

  cached(): Record<string, CachedFile> {
    return Object.fromEntries(this.#files);
  }

  async run(): Promise<Digest> {
    try {
      await this.#visit('');
    } catch (error) {
      // Whatever changes or cannot be read while the tree is read leaves it without a name.
      if (error instanceof ArtifactError) throw error;
      throw unreadable(`'${Buffer.from(this.#root, 'latin1').toString()}' cannot be read whole`, error);
    }
    return parseDigest(`sha256:${this.#hash.digest('hex')}`);
  }

  /** Depth first, names sorted by their bytes. A stack of our own: depth is whatever is on the disk. */
  async #visit(start: string): Promise<void> {
    const waiting = [start];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      this.#entries += 1;
      if (this.#entries > ENTRIES_MAX) throw tooLarge(`the folder has more than ${ENTRIES_MAX} entries`);
      if (this.#entries % ENTRIES_A_TURN === 0) await nextTurn();
      const isDirectory = await this.#entry(path);
      if (!isDirectory) continue;
      const names = readdirSync(this.#full(path), { encoding: 'latin1' }).sort().reverse();
      for (const name of names) waiting.push(path === '' ? name : `${path}/${name}`);
    }
  }

  /** Adds one entry to the digest and the facts; true when it is a folder. */
  async #entry(path: string): Promise<boolean> {
    const full = this.#full(path);
    const stat = lstatSync(full, { bigint: true });
    if (String(stat.dev) !== this.device) {
      throw unsupported(`something else is mounted in the folder, at ${quoted(path)}`, 'Unmount it first.');
    }
    const mode = Number(stat.mode & 0o7777n);
    const line: (string | number)[] = [path, typeOf(stat), mode, Number(stat.uid), Number(stat.gid)];
    let hasCapability = false;
    if (stat.isFile()) {
      const content = await this.#content(path, stat);
      hasCapability = content.capability !== '';
      line.push(Number(stat.size), content.hex, content.capability);
      if (content.secret !== null) this.facts.addSecret(utf8(path), content.secret);
    } else if (stat.isSymbolicLink()) {
      line.push(readlinkSync(full, { encoding: 'latin1' }));
    } else if (stat.isCharacterDevice() || stat.isBlockDevice()) {
      line.push(String(stat.rdev));
    }
    this.#hash.update(`${JSON.stringify(line)}\n`);
    this.facts.add({ path: utf8(path), kind: kindOf(stat), mode, bytes: Number(stat.size), hasCapability });
    return stat.isDirectory();
  }

  async #content(path: string, stat: BigIntStats): Promise<FileContent> {
    const known = this.#known.get(path);
    const found = [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].map(String);
    const isSame = known !== undefined && found.every((value, index) => known[index] === value);
    const content = isSame ? { hex: known[4], secret: known[5], capability: known[6] } : await this.#read(path, stat);
    if (stat.ctimeNs + SETTLED_NS < this.#startNs && stat.mtimeNs + SETTLED_NS < this.#startNs) {
      const [ino = '', size = '', mtime = '', ctime = ''] = found;
      this.#files.set(path, [ino, size, mtime, ctime, content.hex, content.secret, content.capability]);
    }
    return content;
  }

  async #read(path: string, stat: BigIntStats): Promise<FileContent> {
    const fd = openSync(this.#full(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (fstatSync(fd, { bigint: true }).ino !== stat.ino) throw unreadable('the folder changes while it is read');
      return await this.#digestOpen(fd, path, Number(stat.size));
    } finally {
      closeSync(fd);
    }
  }

  async #digestOpen(fd: number, path: string, bytes: number): Promise<FileContent> {
    const hash = createHash('sha256');
    const pieces: Buffer[] = [];
    let at = 0;
    for (;;) {
      const taken = readSync(fd, this.#buffer, 0, READ_BYTES, at);
      if (taken === 0) break;
      const piece = this.#buffer.subarray(0, taken);
      hash.update(piece);
      if (bytes <= SECRET_FILE_BYTES_MAX) pieces.push(Buffer.from(piece));
      at += taken;
      if (at > bytes) break;
      if (taken === READ_BYTES) await nextTurn();
    }
    if (at !== bytes) throw unreadable('the folder changes while it is read');
    const secret = bytes <= SECRET_FILE_BYTES_MAX ? secretKindOf(utf8(path), Buffer.concat(pieces)) : null;
    const capability = this.#store.kernel.getAttribute(this.#full(path), 'security.capability');
    return { hex: hash.digest('hex'), secret, capability: capability?.toString('hex') ?? '' };
  }

  #full(path: string): Buffer {
    return Buffer.from(path === '' ? this.#root : `${this.#root}/${path}`, 'latin1');
  }
}

function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isCharacterDevice() ? 'char-device' : 'block-device';
}

function kindOf(stat: BigIntStats): 'file' | 'directory' | 'other' {
  if (stat.isFile()) return 'file';
  return stat.isDirectory() ? 'directory' : 'other';
}

function utf8(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
