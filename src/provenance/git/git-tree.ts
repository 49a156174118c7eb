// A whole tree of a commit, entry by entry, for writing it somewhere else. Reads objects alone.
import { badRepository } from './git-file.ts';
import { FOLDER_MODE, TREE_DEPTH_MAX, TREE_ENTRIES_MAX, treeEntries } from './git-history.ts';
import { idBytes, quoted } from './git-object.ts';
import type { GitRepository } from './git-repository.ts';

const KINDS: ReadonlyMap<string, TreeEntry['kind']> = new Map([
  [FOLDER_MODE, 'folder'],
  ['100644', 'file'],
  ['100664', 'file'],
  ['100755', 'executable'],
  ['120000', 'link'],
]);

/** An entry of a tree. A folder comes before what is in it; a link's bytes are its target, which may lead anywhere. */
export interface TreeEntry {
  readonly kind: 'folder' | 'file' | 'executable' | 'link';
  /** From the root of the tree, with slashes; below its root by every file system's rules. */
  readonly path: string;
  /** Empty for a folder. */
  readonly bytes: Buffer;
}

/**
 * Reads every entry of a tree, in its order.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY, also for a submodule, whose files are elsewhere, and for a name that git refuses to check
 * out
 */
export function* readTree(repository: GitRepository, tree: string): Generator<TreeEntry, void, undefined> {
  const waiting: { id: string; folder: string; depth: number }[] = [{ id: tree, folder: '', depth: 0 }];
  let entries = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { id, folder, depth } = next;
    refuseBeyond(TREE_DEPTH_MAX, depth, 'levels of folders');
    const { kind, content } = repository.readObject(id);
    if (kind !== 'tree') throw badRepository(`${quoted(id)} is a ${kind}, not a tree`);
    const names = new Set<string>();
    for (const { head, mode, id: entryId } of treeEntries(content, idBytes(repository.format))) {
      entries += 1;
      refuseBeyond(TREE_ENTRIES_MAX, entries, 'entries');
      const entry = KINDS.get(mode);
      const name = head.toString('utf8', mode.length + 1, head.length - 1);
      if (entry === undefined) throw badRepository(`${quoted(folder + name)} in it is a submodule, or no file`);
      refuseName(folder, name, names);
      const path = folder + name;
      if (entry === 'folder') waiting.push({ id: entryId, folder: `${path}/`, depth: depth + 1 });
      yield { kind: entry, path, bytes: entry === 'folder' ? Buffer.alloc(0) : repository.readObject(entryId).content };
    }
  }
}

function refuseBeyond(max: number, count: number, what: string): void {
  if (count > max) throw badRepository(`the tree has more than ${max} ${what}`);
}

/** attacker-controlled: a name must stay in its folder, out of git's own, and be there once. @source git, path.c: is_ntfs_dotgit; read-cache.c: verify_path */
function refuseName(folder: string, name: string, names: Set<string>): void {
  const isBad = name === '' || name === '.' || name === '..' || /^\.git$/i.test(name) || /[/\0\ufffd]/.test(name);
  if (isBad || names.has(name)) throw badRepository(`${quoted(folder + name)} in it cannot be checked out`);
  names.add(name);
}
