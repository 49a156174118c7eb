// The objects of a repository: loose ones and packs, its own and those it borrows; each checked against its id.
import { readdirSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { inflateSync } from 'node:zlib';

import { errnoOf, GIB, KIB, messageOf, MIB } from '../../base/index.ts';
import { badRepository, readGitFile } from './git-file.ts';
import { type GitObject, objectId, type ObjectFormat, type ObjectKind } from './git-object.ts';
import { PackFile } from './pack-file.ts';

/** Folders of objects that borrow from each other. @source git, object-file.c: depth 5 */
const ALTERNATES_MAX = 16;

/** Packs that are opened: git gc leaves one, and starts at 50. */
const PACKS_MAX = 512;

const HEADER_BYTES_MAX = 64;

/** The objects of one repository. */
export class ObjectStore implements Disposable {
  readonly #format: ObjectFormat;
  readonly #folders: readonly string[];
  readonly #packs: PackFile[] = [];

  private constructor(format: ObjectFormat, folders: readonly string[]) {
    this.#format = format;
    this.#folders = folders;
  }

  /** @param folder `objects` of the repository. @throws ProvenanceError PROVENANCE_REPOSITORY */
  static open(folder: string, format: ObjectFormat): ObjectStore {
    const store = new ObjectStore(format, foldersOf(folder));
    try {
      for (const base of store.#folders.flatMap(packsIn)) {
        if (store.#packs.length === PACKS_MAX)
          throw badRepository(`it has more than ${PACKS_MAX} packs; git gc joins them`);
        store.#packs.push(PackFile.open(base, format));
      }
      return store;
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const pack of this.#packs) pack[Symbol.dispose]();
  }

  /**
   * Reads an object.
   *
   * @throws ProvenanceError PROVENANCE_REPOSITORY when it is missing, larger than `bytesMax`, damaged, or not what its id says
   */
  read(id: string, bytesMax: number): GitObject {
    const object = this.#readPacked(id, bytesMax) ?? this.#readLoose(id, bytesMax);
    if (object === null) throw badRepository(`object ${id} is missing`);
    if (objectId(object.kind, object.content, this.#format) !== id)
      throw badRepository(`object ${id} is damaged: its content has another id`);
    return object;
  }

  #readPacked(id: string, bytesMax: number): GitObject | null {
    const bytes = Buffer.from(id, 'hex');
    for (const pack of this.#packs) {
      const offset = pack.find(bytes);
      if (offset !== null) return pack.read(offset, bytesMax);
    }
    return null;
  }

  #readLoose(id: string, bytesMax: number): GitObject | null {
    for (const folder of this.#folders) {
      const path = join(folder, id.slice(0, 2), id.slice(2));
      const deflated = readGitFile(path, Math.min(2 * GIB, 2 * bytesMax + KIB));
      if (deflated !== null) return parseLoose(inflateLoose(deflated, bytesMax, path), path);
    }
    return null;
  }
}

function inflateLoose(deflated: Buffer, bytesMax: number, path: string): Buffer {
  try {
    return inflateSync(deflated, { maxOutputLength: bytesMax + HEADER_BYTES_MAX });
  } catch (error) {
    throw badRepository(`${path} cannot be inflated to at most ${bytesMax} bytes: ${messageOf(error)}`, error);
  }
}

function parseLoose(bytes: Buffer, path: string): GitObject {
  const end = bytes.subarray(0, HEADER_BYTES_MAX).indexOf(0);
  const [, kind, size] =
    /^(commit|tree|blob|tag) (\d{1,15})$/.exec(bytes.toString('latin1', 0, Math.max(0, end))) ?? [];
  const content = bytes.subarray(end + 1);
  if (kind === undefined || Number(size) !== content.length) throw badRepository(`${path} is no object`);
  return { kind: kind as ObjectKind, content };
}

/** The repository's own folder of objects and those of its alternates. */
function foldersOf(own: string): readonly string[] {
  const folders = new Set([own]);
  // A set that grows while it is walked is walked to its new end.
  for (const folder of folders) {
    const list = readGitFile(join(folder, 'info/alternates'), MIB)?.toString('utf8') ?? '';
    for (const line of list.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      if (folders.size === ALTERNATES_MAX) throw badRepository(`it borrows from more than ${ALTERNATES_MAX} others`);
      folders.add(isAbsolute(line) ? line : resolve(folder, line));
    }
  }
  return [...folders];
}

/** Paths of the packs in a folder of objects, without their endings. */
function packsIn(folder: string): string[] {
  const dir = join(folder, 'pack');
  try {
    const names = readdirSync(dir).filter((name) => name.endsWith('.idx'));
    return names.toSorted().map((name) => join(dir, name.slice(0, -'.idx'.length)));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw badRepository(messageOf(error), error);
  }
}
