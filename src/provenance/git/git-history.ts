// A history in the order in which it grew, and trees named by SHA-256.
import { exitStatus } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import type { GitCommit } from './git-commit.ts';
import { badRepository } from './git-file.ts';
import { idBytes, objectId, quoted } from './git-object.ts';
import { type GitRepository } from './git-repository.ts';

/** Commits that one reading walks over. */
export const COMMITS_MAX = 200_000;

/** Entries of a tree with all its folders, and how deep these go. */
export const TREE_ENTRIES_MAX = 1_000_000;
export const TREE_DEPTH_MAX = 256;

export const FOLDER_MODE = '40000';
const SUBMODULE_MODE = '160000';

/** What of a history is read. */
export interface CommitRange {
  /** The newest commit; `HEAD` when left out. */
  readonly to?: string;
  /** What this commit stands on is left out with it, as in `from..to`; null or left out: from the first commit. */
  readonly from?: string | null;
  /** Walked commits, those left out among them. @default {@link COMMITS_MAX} */
  readonly countMax?: number;
}

/** A part of a history. */
export interface CommitHistory {
  /** Parents before children. */
  readonly ids: readonly string[];
  /** Where a shallow clone ends: what came before is not here. Empty for a whole history. */
  readonly cutAt: readonly string[];
  /** The commits of `ids`, read one by one. */
  commits(): Generator<GitCommit, void, undefined>;
}

/**
 * Reads a range of commits, parents before children, as long as the repository is open.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY, PROVENANCE_COMMIT
 */
export function readCommits(repository: GitRepository, range: CommitRange = {}): CommitHistory {
  const { to = 'HEAD', from = null, countMax = COMMITS_MAX } = range;
  const walked = new Set<string>();
  const cutAt = new Set<string>();
  const walk = (revision: string): string[] =>
    walkFrom(repository, repository.resolve(revision), { walked, cutAt, countMax });
  if (from !== null) walk(from);
  // Where the part that is left out ends does not matter to what is read.
  cutAt.clear();
  const ids = walk(to);
  return {
    ids,
    cutAt: [...cutAt],
    *commits() {
      for (const id of ids) yield repository.readCommit(id);
    },
  };
}

interface Walk {
  readonly walked: Set<string>;
  readonly cutAt: Set<string>;
  readonly countMax: number;
}

/** Depth first without recursion, since a history is deeper than any stack: a commit follows when its parents are done. */
function walkFrom(repository: GitRepository, start: string, { walked, cutAt, countMax }: Walk): string[] {
  const order: string[] = [];
  const open: { readonly id: string; readonly parents: readonly string[]; next: number }[] = [];
  const visit = (id: string): void => {
    if (walked.has(id)) return;
    if (walked.size >= countMax) throw tooLong(countMax);
    walked.add(id);
    const isCut = repository.shallow.has(id);
    if (isCut) cutAt.add(id);
    open.push({ id, parents: isCut ? [] : repository.readCommit(id).parents, next: 0 });
  };
  visit(start);
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const parent = top.parents[top.next];
    top.next += 1;
    if (parent !== undefined) {
      visit(parent);
      continue;
    }
    order.push(top.id);
    open.pop();
  }
  return order;
}

function tooLong(countMax: number): ProvenanceError {
  return new ProvenanceError('PROVENANCE_REPOSITORY', `the history has more than ${countMax} commits`, {
    exit: exitStatus.usage,
    hint: 'Read a part of it: --range v1.0..HEAD',
  });
}

/**
 * The id that git would give to a tree in a SHA-256 repository, so that a commit with SHA-1 ids names its files past collisions.
 * Reads every file of the tree.
 *
 * @returns null when the tree holds a submodule, whose commit has no such id
 * @throws ProvenanceError PROVENANCE_REPOSITORY
 * @source git, Documentation/technical/hash-function-transition.txt
 */
export function readTreeSha256(repository: GitRepository, tree: string): string | null {
  const known = new Map<string, string>();
  let entries = 0;
  const convert = (id: string, depth: number): string | null => {
    const done = known.get(id);
    if (done !== undefined) return done;
    if (depth > TREE_DEPTH_MAX) throw badRepository(`tree ${quoted(tree)} is deeper than ${TREE_DEPTH_MAX} folders`);
    const { kind, content } = repository.readObject(id);
    const converted = kind === 'tree' ? rewriteTree(content, depth) : content;
    if (converted === null) return null;
    const name = objectId(kind, converted, 'sha256');
    known.set(id, name);
    return name;
  };
  const rewriteTree = (content: Buffer, depth: number): Buffer | null => {
    const parts: Buffer[] = [];
    for (const { head, mode, id } of treeEntries(content, idBytes(repository.format))) {
      entries += 1;
      if (entries > TREE_ENTRIES_MAX)
        throw badRepository(`tree ${quoted(tree)} has more than ${TREE_ENTRIES_MAX} entries`);
      const name = mode === SUBMODULE_MODE ? null : convert(id, depth + (mode === FOLDER_MODE ? 1 : 0));
      if (name === null) return null;
      parts.push(head, Buffer.from(name, 'hex'));
    }
    return Buffer.concat(parts);
  };
  return convert(tree, 0);
}

/** The entries of a tree: mode, a space, the name, NUL; then the id. */
export function* treeEntries(
  content: Buffer,
  idLength: number,
): Generator<{ readonly head: Buffer; readonly mode: string; readonly id: string }> {
  for (let at = 0; at < content.length;) {
    const idAt = content.indexOf(0, at) + 1;
    if (idAt === 0 || idAt + idLength > content.length) throw badRepository('a tree in it is damaged');
    const head = content.subarray(at, idAt);
    const mode = head.toString('latin1', 0, Math.max(0, head.indexOf(0x20)));
    yield { head, mode, id: content.toString('hex', idAt, idAt + idLength) };
    at = idAt + idLength;
  }
}
