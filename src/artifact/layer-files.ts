// Finds files of an artifact by their paths, as its layers lie on top of each other, and reads them. Follows no link.
import { closeSync, constants, type Dirent, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Artifact } from './artifact.ts';
import type { ContentStore } from './content-store.ts';
import { ArtifactError } from './digest.ts';
import { quoted, tooLarge, unreadable } from './refusal.ts';

/** Names of all layers together: as many as one layer may have. */
const ENTRIES_MAX = 1_000_000;
/** Folders handled before the event loop gets its turn. */
const FOLDERS_A_TURN = 100;
const OPAQUE_ATTRIBUTE = 'trusted.overlay.opaque';

/** What to look for, by paths relative to the root, without leading slash. Paths are attacker-controlled. */
export interface FileSearch {
  readonly isWanted: (path: string) => boolean;
  /** Whether to look into a folder; default into all. */
  readonly isEntered?: (path: string) => boolean;
  readonly filesMax: number;
  /** Of all files together. */
  readonly bytesMax: number;
}

export interface ArtifactFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** What a search came to, in the order of paths; `unread` are wanted names that are no regular file, or no text. */
export interface FoundFiles {
  readonly files: readonly ArtifactFile[];
  readonly unread: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Reads the files of an artifact that `search` wants: of an image those that a container of it would see, whatever its
 * lower layers held. Of an artifact without layers there are none.
 *
 * @throws ArtifactError ARTIFACT_TOO_LARGE, ARTIFACT_UNREADABLE
 */
export async function findFiles(
  artifact: Pick<Artifact, 'layers'>,
  search: FileSearch,
  store: Pick<ContentStore, 'kernel'>,
): Promise<FoundFiles> {
  const walk = new LayerWalk(search, store);
  try {
    await walk.run(artifact.layers.map(({ dir }) => Buffer.from(dir).toString('latin1')).toReversed());
  } catch (error) {
    if (error instanceof ArtifactError) throw error;
    throw unreadable('the artifact cannot be read whole', error);
  }
  return { files: walk.files.toSorted(byPath), unread: walk.unread.toSorted(byPath) };
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

/** A folder of the artifact and where its layers have it, topmost first. Paths on the disk are binary strings. */
interface Folder {
  readonly path: string;
  readonly dirs: readonly string[];
}

/** What one name stands for. Layers below add to a folder until one of them has something else there. */
interface Entry {
  readonly kind: 'folder' | 'file' | 'hidden' | 'other';
  readonly dirs: string[];
  isOpen: boolean;
}

class LayerWalk {
  readonly files: ArtifactFile[] = [];
  readonly unread: { path: string; reason: string }[] = [];
  readonly #search: FileSearch;
  readonly #store: Pick<ContentStore, 'kernel'>;
  #entries = 0;
  #folders = 0;
  #bytes = 0;

  constructor(search: FileSearch, store: Pick<ContentStore, 'kernel'>) {
    this.#search = search;
    this.#store = store;
  }

  /** A stack of our own: depth is whatever is on the disk. */
  async run(roots: readonly string[]): Promise<void> {
    const waiting: Folder[] = [{ path: '', dirs: roots }];
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      this.#folders += 1;
      if (this.#folders % FOLDERS_A_TURN === 0) await nextTurn();
      for (const [name, entry] of this.#merge(folder)) {
        const path = folder.path === '' ? name : `${folder.path}/${name}`;
        if (entry.kind !== 'folder') this.#take(path, entry);
        else if (this.#search.isEntered?.(utf8(path)) ?? true) waiting.push({ path, dirs: entry.dirs });
      }
    }
  }

  /** @source Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories" */
  #merge({ dirs }: Folder): Map<string, Entry> {
    const names = new Map<string, Entry>();
    for (const [depth, dir] of dirs.entries()) {
      const found = readdirSync(onDisk(dir), { encoding: 'latin1', withFileTypes: true });
      this.#entries += found.length;
      if (this.#entries > ENTRIES_MAX) throw tooLarge(`the artifact has more than ${ENTRIES_MAX} entries`);
      for (const entry of found) addTo(names, `${dir}/${entry.name}`, entry);
      const isLast = depth === dirs.length - 1;
      if (!isLast && this.#store.kernel.getAttribute(onDisk(dir), OPAQUE_ATTRIBUTE)?.toString() === 'y') break;
    }
    return names;
  }

  #take(binaryPath: string, { kind, dirs: [full = ''] }: Entry): void {
    const path = utf8(binaryPath);
    if (kind === 'hidden' || !this.#search.isWanted(path)) return;
    if (this.files.length + this.unread.length >= this.#search.filesMax)
      throw tooLarge(`the artifact has more than ${this.#search.filesMax} files to read`);
    if (kind === 'other') this.unread.push({ path, reason: 'it is a link or no regular file' });
    else if (Buffer.from(path).toString('latin1') !== binaryPath)
      this.unread.push({ path, reason: 'its path is not UTF-8' });
    else this.files.push({ path, bytes: this.#read(full, binaryPath) });
  }

  #read(full: string, path: string): Buffer {
    const fd = openSync(onDisk(full), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw unreadable(`${quoted(path)} changes while it is read`);
      this.#bytes += stat.size;
      if (this.#bytes > this.#search.bytesMax)
        throw tooLarge(`with ${quoted(path)} there are more than ${this.#search.bytesMax} bytes to read`);
      const bytes = Buffer.alloc(stat.size);
      let at = 0;
      for (let taken = -1; taken !== 0 && at < bytes.length; at += taken)
        taken = readSync(fd, bytes, at, bytes.length - at, at);
      if (at !== bytes.length) throw unreadable(`${quoted(path)} changes while it is read`);
      return bytes;
    } finally {
      closeSync(fd);
    }
  }
}

/** Adds what a layer has under a name to what the layers above it have there. */
function addTo(names: Map<string, Entry>, full: string, entry: Dirent): void {
  const above = names.get(entry.name);
  if (above === undefined) {
    const kind = kindOf(full, entry);
    names.set(entry.name, { kind, dirs: [full], isOpen: kind === 'folder' });
  } else if (above.isOpen && entry.isDirectory()) above.dirs.push(full);
  else above.isOpen = false;
}

/** The device 0/0 hides a name of the layers below. */
function kindOf(full: string, entry: Dirent): Entry['kind'] {
  if (entry.isDirectory()) return 'folder';
  if (entry.isFile()) return 'file';
  return entry.isCharacterDevice() && lstatSync(onDisk(full)).rdev === 0 ? 'hidden' : 'other';
}

function onDisk(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

function utf8(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
