// Which entries a log has already: an index beside it, which can be made again from it.
import { readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Bytes of a leaf hash that name an entry here: chance makes two alike once in 2^64 entries. */
const KEY_BYTES = 16;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** Finds entries by their leaf hash. */
export interface DuplicateIndex extends Disposable {
  /** Entries below this are in it. */
  readonly size: number;
  find(leafHash: Uint8Array): number | null;
  /** Adds entry `size`; of two that are alike the first stays. It is found at once, and kept after {@link DuplicateIndex.keep}. */
  add(leafHash: Uint8Array): void;
  /** Writes what was added since the last time. */
  keep(): void;
}

/**
 * Opens the index in `file`; an empty one when there is none, or when a power cut may have damaged it: nothing in it is synced,
 * since all of it is in the log.
 */
export function openDuplicateIndex(file: string): DuplicateIndex {
  const database = openDatabase(file);
  const find = database.prepare('SELECT at FROM entry WHERE hash = ?');
  const insert = database.prepare('INSERT OR IGNORE INTO entry (hash, at) VALUES (?, ?)');
  const cover = database.prepare("UPDATE fact SET value = ? WHERE name = 'size'");
  let size = Number(factOf(database, 'size'));
  const keep = (): void => {
    if (!database.isTransaction) return;
    cover.run(String(size));
    database.exec('COMMIT');
  };
  return {
    get size() {
      return size;
    },
    find: (leafHash) => (find.get(leafHash.subarray(0, KEY_BYTES)) as { at: number } | undefined)?.at ?? null,
    add: (leafHash) => {
      if (!database.isTransaction) database.exec('BEGIN');
      insert.run(leafHash.subarray(0, KEY_BYTES), size);
      size += 1;
    },
    keep,
    [Symbol.dispose]: () => {
      try {
        keep();
        database.exec("UPDATE fact SET value = '' WHERE name = 'boot'");
      } catch {
        // What is not in it, the next opening adds from the log.
      } finally {
        database.close();
      }
    },
  };
}

function openDatabase(file: string): DatabaseSync {
  const boot = readFileSync(BOOT_ID_FILE, 'latin1').trim();
  const found = prepare(file, boot);
  // One that was open when the host went down may hold anything.
  const before = factOf(found, 'boot');
  if (before !== '' && before !== boot) {
    found.close();
    for (const name of [file, `${file}-wal`, `${file}-shm`]) rmSync(name, { force: true });
    return openDatabase(file);
  }
  found.prepare("UPDATE fact SET value = ? WHERE name = 'boot'").run(boot);
  return found;
}

function prepare(file: string, boot: string): DatabaseSync {
  const database = new DatabaseSync(file);
  // Held by one process, and so without a lock for each statement.
  database.exec(
    'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192',
  );
  database.exec('CREATE TABLE IF NOT EXISTS entry (hash BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID, STRICT');
  database.exec('CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT');
  const put = database.prepare('INSERT OR IGNORE INTO fact (name, value) VALUES (?, ?)');
  put.run('size', '0');
  put.run('boot', boot);
  return database;
}

function factOf(database: DatabaseSync, name: string): string {
  const row = database.prepare('SELECT value FROM fact WHERE name = ?').get(name) as { value: string } | undefined;
  return row?.value ?? '';
}
