// One SQLite connection: how durable a commit is, transactions, prepared statements, and the version of the schema.
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { exitStatus } from '../base/index.ts';
import { StoreError, withStoreErrors } from './errors.ts';
import { MIGRATIONS } from './schema.ts';

/**
 * How durable a commit is. `durable` survives a power cut (synchronous FULL, about 0.2 ms): what was admitted must not be forgotten.
 * `relaxed` survives the end of the process, and a power cut up to the last durable commit (synchronous NORMAL, a few µs): what
 * is written each window and can be learnt again.
 */
export type Durability = 'durable' | 'relaxed';

/** How long to wait for another process's transaction (a command that reads), in ms. */
const BUSY_WAIT_MS = 2000;

/** A SQLite connection with cached statements. */
export interface Connection extends Disposable {
  /** Rows of a query. */
  all(sql: string, values: readonly SQLInputValue[]): Record<string, unknown>[];
  /** Runs one changing statement at `durability`; inside a transaction the transaction's own counts. */
  run(sql: string, values: readonly SQLInputValue[], durability: Durability): number;
  /** All or nothing; a transaction inside a transaction is part of the outer one. */
  transaction<Result>(durability: Durability, act: () => Result): Result;
}

/**
 * Opens the database, makes or migrates its tables.
 *
 * @throws StoreError STORE_OPEN, STORE_CORRUPT, STORE_NEWER, STORE_BUSY, STORE_NO_SPACE
 */
export function openConnection(file: string): Connection {
  return withStoreErrors(file, () => {
    const database = new DatabaseSync(file, { timeout: BUSY_WAIT_MS });
    try {
      // Requests carry environments: for the owner alone. SQLite gives its side files the mode of the database.
      chmodSync(file, 0o600);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
      migrate(database, file);
    } catch (error) {
      database.close();
      throw error;
    }
    return new SqliteConnection(database, file);
  });
}

/** Each migration takes the schema from the version that is its position to the next, all in one transaction. */
function migrate(database: DatabaseSync, file: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > MIGRATIONS.length) {
    throw new StoreError('STORE_NEWER', `the database ${file} was written by a newer Provost (schema ${version})`, {
      exit: exitStatus.unavailable,
      hint: `This one knows schemas up to ${MIGRATIONS.length}: upgrade it, or use another PROVOST_HOME.`,
    });
  }
  if (version === MIGRATIONS.length) return;
  const steps = MIGRATIONS.slice(version).join('\n');
  database.exec(`BEGIN IMMEDIATE;\n${steps}\nPRAGMA user_version = ${MIGRATIONS.length};\nCOMMIT`);
}

class SqliteConnection implements Connection {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #statements = new Map<string, StatementSync>();
  #synchronous: Durability = 'durable';

  constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.#file = file;
  }

  all(sql: string, values: readonly SQLInputValue[]): Record<string, unknown>[] {
    return withStoreErrors(this.#file, () => this.#prepare(sql).all(...values));
  }

  run(sql: string, values: readonly SQLInputValue[], durability: Durability): number {
    return withStoreErrors(this.#file, () => {
      this.#setDurability(durability);
      return Number(this.#prepare(sql).run(...values).changes);
    });
  }

  transaction<Result>(durability: Durability, act: () => Result): Result {
    if (this.#database.isTransaction) return act();
    return withStoreErrors(this.#file, () => {
      this.#setDurability(durability);
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = act();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk makes SQLite roll back by itself.
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** SQLite takes a change of `synchronous` between transactions only. */
  #setDurability(durability: Durability): void {
    if (durability === this.#synchronous || this.#database.isTransaction) return;
    this.#database.exec(`PRAGMA synchronous = ${durability === 'durable' ? 'FULL' : 'NORMAL'}`);
    this.#synchronous = durability;
  }
}
