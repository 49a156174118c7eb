// A work tree as a build sees it: whose commit it is, and which of its files a command made.
import { lstatSync, type BigIntStats, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { exitStatus } from '../base/index.ts';
import { type GitCommit, openRepository } from '../provenance/index.ts';
import { EngineError } from './errors.ts';

/** Entries of a work tree that are looked at, what git ignores among them. */
const ENTRIES_MAX = 1_000_000;
/** Folders looked at before the event loop gets its turn. */
const FOLDERS_A_TURN = 50;
/** Changed files that a message names. */
const CHANGED_SHOWN = 5;

/** What git says of a work tree; the edge asks it. Paths are relative to the top, with slashes. */
export interface WorkTreeGit {
  /** What differs from the commit, and what git neither knows nor ignores. */
  changed(top: string): Promise<readonly string[]>;
  tracked(top: string): Promise<readonly string[]>;
  /** Where it came from, as its configuration has it; null without. */
  remote(top: string): Promise<string | null>;
}

/** A folder in a work tree. */
export interface WorkTree {
  readonly top: string;
  readonly dir: string;
  /** From the top to the folder, with slashes; empty for the top. */
  readonly workdir: string;
}

/** Finds the work tree that a folder lies in. @throws EngineError ENGINE_WORK_TREE */
export function findWorkTree(start: string): WorkTree {
  const dir = resolve(start);
  for (let top = dir; ; top = dirname(top)) {
    if (lstatSync(join(top, '.git'), { throwIfNoEntry: false }) !== undefined)
      return { top, dir, workdir: relative(top, dir) };
    if (top === '/') break;
  }
  throw new EngineError('ENGINE_WORK_TREE', `${dir} lies in no git work tree`, {
    exit: exitStatus.usage,
    hint: 'Build in a clone: provenance begins with a commit.',
  });
}

/** The commit that is checked out. @throws ProvenanceError PROVENANCE_REPOSITORY, PROVENANCE_COMMIT */
export function readHead({ top }: WorkTree): GitCommit {
  using repository = openRepository(top);
  return repository.readCommit(repository.resolve('HEAD'));
}

/** Whether the work tree is the commit's. @throws EngineError ENGINE_WORK_TREE when it is not, and may not be */
export async function checkClean(
  { top }: WorkTree,
  git: WorkTreeGit,
  { mayBeDirty }: { readonly mayBeDirty: boolean },
): Promise<boolean> {
  const changed = await git.changed(top);
  if (changed.length === 0 || mayBeDirty) return changed.length === 0;
  const more = changed.length - CHANGED_SHOWN;
  const named = changed.slice(0, CHANGED_SHOWN).join(', ');
  throw new EngineError(
    'ENGINE_WORK_TREE',
    `the work tree is not what the commit says: ${named}${more > 0 ? `, and ${more} more` : ''}`,
    {
      exit: exitStatus.denied,
      hint: 'Commit or ignore them; or build with --allow-dirty, which the statement then says.',
    },
  );
}

/** Regular files by path from the folder, each with what changes when it is written. */
export type Snapshot = ReadonlyMap<string, string>;

/**
 * Looks at every regular file below a folder that git does not track. Follows no link, and enters no repository's own files.
 *
 * @throws EngineError ENGINE_WORK_TREE beyond a million entries
 */
export async function takeSnapshot({ top, dir }: WorkTree, tracked: ReadonlySet<string>): Promise<Snapshot> {
  const found = new Map<string, string>();
  const waiting = [''];
  let [entries, folders] = [0, 0];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    folders += 1;
    if (folders % FOLDERS_A_TURN === 0) await nextTurn();
    for (const entry of readdirSync(join(dir, folder), { withFileTypes: true })) {
      entries += 1;
      if (entries > ENTRIES_MAX) throw tooMany(dir);
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && entry.name !== '.git') waiting.push(path);
      if (!entry.isFile() || tracked.has(relative(top, join(dir, path)))) continue;
      const stat = lstatSync(join(dir, path), { bigint: true, throwIfNoEntry: false });
      if (stat !== undefined) found.set(path, stampOf(stat));
    }
  }
  return found;
}

/** A file that is written, replaced or renamed has another one. */
function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Paths of files that are new or changed, in order. */
export function changedFiles(before: Snapshot, after: Snapshot): string[] {
  return [...after].flatMap(([path, stamp]) => (before.get(path) === stamp ? [] : [path])).sort();
}

function tooMany(dir: string): EngineError {
  return new EngineError('ENGINE_WORK_TREE', `${dir} holds more than ${ENTRIES_MAX} files`, {
    exit: exitStatus.usage,
    hint: 'Name what is built with --product.',
  });
}
