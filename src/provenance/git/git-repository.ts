// A repository on disk: where its parts are, what its names stand for. Only reads, and runs nothing that its configuration names.
import { join, resolve } from 'node:path';

import { GIB, KIB, MIB } from '../../base/index.ts';
import { type GitCommit, parseCommit } from './git-commit.ts';
import { badRepository, readGitFile, statGit } from './git-file.ts';
import { COMMIT_BYTES_MAX, type GitObject, isObjectId, type ObjectFormat, quoted } from './git-object.ts';
import { ObjectStore } from './object-store.ts';

const SMALL_FILE_BYTES_MAX = 64 * KIB;
const PACKED_REFS_BYTES_MAX = 256 * MIB;
const SHALLOW_BYTES_MAX = 64 * MIB;

/** Names that name names, and tags that tag tags. @source git, refs.c: SYMREF_MAXDEPTH 5 */
const INDIRECTIONS_MAX = 5;

/** Steps back that one revision may ask for, as in `HEAD~3^2`. */
const STEPS_MAX = 10_000;

/** Largest object other than a commit. */
export const OBJECT_BYTES_MAX = GIB;

/** An open repository. */
export interface GitRepository extends Disposable {
  readonly format: ObjectFormat;
  /** Commits whose parents a shallow clone left out. */
  readonly shallow: ReadonlySet<string>;
  /**
   * The commit that a revision names: `HEAD`, a branch, a tag, a whole id, each perhaps with `~N` and `^N`.
   *
   * @throws ProvenanceError PROVENANCE_REPOSITORY
   */
  resolve(revision: string): string;
  /** @throws ProvenanceError PROVENANCE_REPOSITORY, PROVENANCE_COMMIT */
  readCommit(id: string): GitCommit;
  /** @throws ProvenanceError PROVENANCE_REPOSITORY */
  readObject(id: string): GitObject;
}

/**
 * Opens a repository: a working tree, a linked one, or a bare repository, with SHA-1 or SHA-256 ids, loose objects, packs and
 * alternates. Replacements (`git replace`) and grafts are not followed: the history is what its ids say.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY
 */
export function openRepository(dir: string): GitRepository {
  const gitDir = findGitDir(dir);
  const commonDir = commonDirOf(gitDir);
  const format = formatOf(commonDir);
  const shallow = shallowOf(commonDir, format);
  const objects = ObjectStore.open(join(commonDir, 'objects'), format);
  const names = { gitDir, commonDir, format };
  const readCommit = (id: string): GitCommit => {
    const { kind, content } = objects.read(id, COMMIT_BYTES_MAX);
    if (kind !== 'commit') throw badRepository(`${id} is a ${kind}, not a commit`);
    return parseCommit(content, format);
  };
  const readObject = (id: string): GitObject => objects.read(id, OBJECT_BYTES_MAX);
  return {
    format,
    shallow,
    readCommit,
    readObject,
    resolve: (revision) => resolveRevision(revision, { names, objects, readCommit }),
    [Symbol.dispose]: () => objects[Symbol.dispose](),
  };
}

function findGitDir(dir: string): string {
  const inside = join(dir, '.git');
  const stat = statGit(inside);
  if (stat?.isDirectory() === true) return inside;
  if (stat === null) {
    if (statGit(join(dir, 'objects'))?.isDirectory() === true) return dir;
    throw badRepository(`${dir} holds no repository`);
  }
  const link = readGitFile(inside, SMALL_FILE_BYTES_MAX)?.toString('utf8').trim() ?? '';
  if (!link.startsWith('gitdir: ')) throw badRepository(`${inside} names no repository`);
  return resolve(dir, link.slice('gitdir: '.length));
}

/** A linked working tree has its own HEAD, and all else where the main one has it. */
function commonDirOf(gitDir: string): string {
  const link = readGitFile(join(gitDir, 'commondir'), SMALL_FILE_BYTES_MAX);
  return link === null ? gitDir : resolve(gitDir, link.toString('utf8').trim());
}

function formatOf(commonDir: string): ObjectFormat {
  const config = readGitFile(join(commonDir, 'config'), MIB)?.toString('utf8') ?? '';
  const extensions = config.split(/^[ \t]*(?=\[)/m).filter((section) => /^\[extensions\]/i.test(section));
  const valueOf = (name: string): string | undefined =>
    extensions
      .flatMap((section) => [...section.matchAll(/^[ \t]*([a-z]+)[ \t]*=[ \t]*"?([^\s"]*)"?[ \t]*$/gim)])
      .findLast(([, key]) => key?.toLowerCase() === name)?.[2];
  const refs = valueOf('refstorage') ?? 'files';
  if (refs !== 'files') throw badRepository(`its names are stored as ${quoted(refs)}, which is not supported`);
  const format = valueOf('objectformat') ?? 'sha1';
  if (format !== 'sha1' && format !== 'sha256') throw badRepository(`its object format ${quoted(format)} is not known`);
  return format;
}

function shallowOf(commonDir: string, format: ObjectFormat): ReadonlySet<string> {
  const list = readGitFile(join(commonDir, 'shallow'), SHALLOW_BYTES_MAX)?.toString('latin1') ?? '';
  return new Set(list.split('\n').filter((line) => isObjectId(line, format)));
}

interface Names {
  readonly gitDir: string;
  readonly commonDir: string;
  readonly format: ObjectFormat;
}

interface Reading {
  readonly names: Names;
  readonly objects: ObjectStore;
  readonly readCommit: (id: string) => GitCommit;
}

function resolveRevision(revision: string, { names, objects, readCommit }: Reading): string {
  const [, name = '', steps = ''] = /^([^~^]+)((?:[~^]\d{0,5})*)$/.exec(revision.slice(0, SMALL_FILE_BYTES_MAX)) ?? [];
  const start = isObjectId(name, names.format) ? name : findName(names, name);
  if (start === null) throw badRepository(`there is no ${quoted(revision)} in it`);
  let id = peel(objects, start);
  let taken = 0;
  for (const [, mark, digits] of steps.matchAll(/([~^])(\d*)/g)) {
    const count = digits === '' ? 1 : Number(digits);
    const parents = mark === '~' ? Array.from({ length: Math.min(count, STEPS_MAX + 1) }, () => 1) : [count];
    for (const parent of parents) {
      taken += 1;
      const next = parent === 0 ? id : readCommit(id).parents[parent - 1];
      if (next === undefined || taken > STEPS_MAX) throw badRepository(`there is no ${quoted(revision)} in it`);
      id = next;
    }
  }
  return id;
}

/** Follows tags to the commit. */
function peel(objects: ObjectStore, start: string): string {
  let id = start;
  for (let step = 0; step <= INDIRECTIONS_MAX; step += 1) {
    const { kind, content } = objects.read(id, COMMIT_BYTES_MAX);
    if (kind === 'commit') return id;
    const [, target] = /^object ([0-9a-f]+)\n/.exec(content.toString('latin1', 0, 80)) ?? [];
    if (kind !== 'tag' || target === undefined) throw badRepository(`${start} is a ${kind}, not a commit`);
    id = target;
  }
  throw badRepository(`${start} is a tag of too many tags`);
}

/** In git's order: the name as it is, then as a tag, a branch, a branch elsewhere. @source gitrevisions(7) */
function findName(names: Names, name: string): string | null {
  for (const full of [name, `refs/${name}`, `refs/tags/${name}`, `refs/heads/${name}`, `refs/remotes/${name}`]) {
    const id = readRef(names, full);
    if (id !== null) return id;
  }
  return null;
}

const REF_NAME = /^(?!\/)(?!.*(?:^|\/)\.)(?!.*\.\.)(?!.*\/\/)(?!.*\/$)[^\0-\x20\x7f~^:?*[\\]{1,1024}$/;

function readRef(names: Names, name: string): string | null {
  let current = name;
  for (let step = 0; step <= INDIRECTIONS_MAX; step += 1) {
    // attacker-controlled: a HEAD may name any path. It must be a name below refs, or one of git's own in capitals.
    if (!REF_NAME.test(current) || !/^(?:refs\/.|[A-Z_]+$)/.test(current)) return null;
    const folder = current.startsWith('refs/') ? names.commonDir : names.gitDir;
    const path = join(folder, current);
    // A folder of names is not a name: `release` beside `release/1.0`.
    const isFile = statGit(path)?.isFile() === true;
    const text = isFile ? readGitFile(path, SMALL_FILE_BYTES_MAX)?.toString('latin1').trim() : undefined;
    if (text === undefined) return findPacked(names, current);
    if (isObjectId(text, names.format)) return text;
    // What the file holds is not shown: a link may lead anywhere.
    if (!text.startsWith('ref: ')) throw badRepository(`${quoted(current)} is damaged`);
    current = text.slice('ref: '.length).trim();
  }
  throw badRepository(`${quoted(name)} is a name of too many names`);
}

function findPacked({ commonDir, format }: Names, name: string): string | null {
  const list = readGitFile(join(commonDir, 'packed-refs'), PACKED_REFS_BYTES_MAX)?.toString('latin1') ?? '';
  const bytes = Buffer.from(name).toString('latin1');
  const line = list.split('\n').find((entry) => entry.endsWith(` ${bytes}`) && !entry.startsWith('#'));
  const id = line?.slice(0, line.length - bytes.length - 1) ?? '';
  return isObjectId(id, format) ? id : null;
}
