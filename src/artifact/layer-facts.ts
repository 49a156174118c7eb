// What one layer, or one folder, holds that a reviewer would ask about; gathered while its bytes pass by anyway.
import type { Digest } from './digest.ts';

/** How many paths a list names; `count` goes on counting. */
const FACT_PATHS_MAX = 100;

/** Files beyond this are not searched for secrets: keys and tokens lie in small files, and the search reads every byte. */
export const SECRET_FILE_BYTES_MAX = 1024 * 1024;

/** Paths relative to the root, without leading slash, at most {@link FACT_PATHS_MAX} of `count`. */
export interface PathList {
  readonly count: number;
  readonly paths: readonly string[];
}

export type SecretKind =
  | 'private-key'
  | 'aws-access-key'
  | 'github-token'
  | 'npm-token'
  | 'ssh-key-file'
  | 'aws-credentials'
  | 'env-file'
  | 'git-credentials'
  | 'docker-credentials';

/** A file that seems to hold a secret. The secret itself is never kept. */
export interface SecretFinding {
  readonly path: string;
  readonly kind: SecretKind;
}

/** Facts about one layer by itself, so also about what a later layer removes. */
export interface LayerFacts {
  /** The layer's diff id; for a folder its tree digest. */
  readonly diffId: Digest;
  readonly entries: number;
  /** Sum of the sizes of its regular files. */
  readonly bytes: number;
  /** Regular files with the setuid or setgid bit that anybody but their owner may run. */
  readonly setuid: PathList;
  /** Regular files that carry file capabilities. */
  readonly capabilities: PathList;
  /** Folders that everybody may write to, without the sticky bit. */
  readonly worldWritableDirs: PathList;
  /** Regular files that everybody may write to. */
  readonly worldWritableFiles: PathList;
  readonly secrets: { readonly count: number; readonly found: readonly SecretFinding[] };
  /** What this layer removes of the layers below: removed paths, and folders made opaque with a trailing slash. */
  readonly removes: PathList;
}

/** One entry, as the collector is told of it. `path` is relative, in UTF-8 text. */
export interface FactEntry {
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'other';
  readonly mode: number;
  readonly bytes: number;
  readonly hasCapability: boolean;
}

interface OpenList {
  count: number;
  readonly paths: string[];
}

const SETUID_OR_SETGID = 0o6000;
const RUNNABLE = 0o111;
const WORLD_WRITABLE = 0o002;
const STICKY = 0o1000;

/** Gathers the facts of one layer: tell it every entry, every small file's content, then take the result. */
export class FactCollector {
  #entries = 0;
  #bytes = 0;
  readonly #setuid = emptyList();
  readonly #capabilities = emptyList();
  readonly #worldWritableDirs = emptyList();
  readonly #worldWritableFiles = emptyList();
  readonly #removes = emptyList();
  readonly #secrets: SecretFinding[] = [];
  #secretCount = 0;

  add(entry: FactEntry): void {
    this.#entries += 1;
    if (entry.kind === 'directory') {
      if ((entry.mode & WORLD_WRITABLE) !== 0 && (entry.mode & STICKY) === 0) note(this.#worldWritableDirs, entry.path);
      return;
    }
    if (entry.kind !== 'file') return;
    this.#bytes += entry.bytes;
    if ((entry.mode & SETUID_OR_SETGID) !== 0 && (entry.mode & RUNNABLE) !== 0) note(this.#setuid, entry.path);
    if (entry.hasCapability) note(this.#capabilities, entry.path);
    if ((entry.mode & WORLD_WRITABLE) !== 0) note(this.#worldWritableFiles, entry.path);
  }

  /** Notes what {@link secretKindOf} said about a file. */
  addSecret(path: string, kind: SecretKind): void {
    this.#secretCount += 1;
    if (this.#secrets.length < FACT_PATHS_MAX) this.#secrets.push({ path, kind });
  }

  addRemoval(path: string): void {
    note(this.#removes, path);
  }

  facts(diffId: Digest): LayerFacts {
    return {
      diffId,
      entries: this.#entries,
      bytes: this.#bytes,
      setuid: this.#setuid,
      capabilities: this.#capabilities,
      worldWritableDirs: this.#worldWritableDirs,
      worldWritableFiles: this.#worldWritableFiles,
      secrets: { count: this.#secretCount, found: this.#secrets },
      removes: this.#removes,
    };
  }
}

function emptyList(): OpenList {
  return { count: 0, paths: [] };
}

function note(list: OpenList, path: string): void {
  list.count += 1;
  if (list.paths.length < FACT_PATHS_MAX) list.paths.push(path);
}
