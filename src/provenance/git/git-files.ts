// Files of a commit, read from its tree without a working copy.
import { badRepository } from './git-file.ts';
import { FOLDER_MODE, TREE_DEPTH_MAX, TREE_ENTRIES_MAX, treeEntries } from './git-history.ts';
import { idBytes, quoted } from './git-object.ts';
import type { GitRepository } from './git-repository.ts';

/** Regular files, executable or not. Symbolic links and submodules are no files here: nothing is followed. */
const FILE_MODES: ReadonlySet<string> = new Set(['100644', '100755', '100664']);

/** A file of a tree. */
export interface TreeFile {
  /** From the root of the tree, with slashes. Attacker-controlled. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** Which files are read. */
export interface TreeSelection {
  readonly isWanted: (path: string) => boolean;
  readonly filesMax: number;
  /** Of a larger file so many bytes and one more are given, so that it shows. */
  readonly fileBytesMax: number;
}

/**
 * Reads the wanted files of a tree, at most `filesMax`, in the order of their paths in it.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY
 */
export function readTreeFiles(
  repository: GitRepository,
  tree: string,
  { isWanted, filesMax, fileBytesMax }: TreeSelection,
): TreeFile[] {
  const files: TreeFile[] = [];
  let entries = 0;
  const walk = (id: string, folder: string, depth: number): void => {
    if (depth > TREE_DEPTH_MAX) throw badRepository(`tree ${quoted(tree)} is deeper than ${TREE_DEPTH_MAX} folders`);
    const { kind, content } = repository.readObject(id);
    if (kind !== 'tree') throw badRepository(`${quoted(id)} is a ${kind}, not a tree`);
    for (const { head, mode, id: entryId } of treeEntries(content, idBytes(repository.format))) {
      entries += 1;
      if (entries > TREE_ENTRIES_MAX)
        throw badRepository(`tree ${quoted(tree)} has more than ${TREE_ENTRIES_MAX} entries`);
      if (files.length >= filesMax) return;
      const path = folder + head.toString('utf8', mode.length + 1, head.length - 1);
      if (mode === FOLDER_MODE) walk(entryId, `${path}/`, depth + 1);
      else if (FILE_MODES.has(mode) && isWanted(path))
        files.push({ path, bytes: cutTo(repository.readObject(entryId).content, fileBytesMax + 1) });
    }
  };
  walk(tree, '', 0);
  return files;
}

/** A copy when something is cut off, so that the rest is not kept. */
function cutTo(bytes: Buffer, bytesMax: number): Buffer {
  return bytes.length <= bytesMax ? bytes : Buffer.from(bytes.subarray(0, bytesMax));
}
