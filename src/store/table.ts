// A repository over one table, made from the list of its columns: put, get, list, delete.
import type { SQLInputValue } from 'node:sqlite';

import type { Connection, Durability } from './connection.ts';

/** What SQLite keeps in a column; a document of type `unknown` is kept as JSON text. */
type ColumnKind = 'value' | 'document';

/** How a table is laid out. */
export interface TableSpec<Row, Field extends keyof Row & string> {
  readonly name: string;
  /** Every field of the row, in the order of the columns. */
  readonly columns: { readonly [Field in keyof Row]: unknown extends Row[Field] ? 'document' : 'value' };
  readonly key: readonly Field[];
  readonly durability: Durability;
}

/** Rows of one table by their key. `Key` picks the key's fields of the row. */
export interface Table<Row, Key> {
  /** Adds the row, or replaces the one with its key. */
  put(row: Row): void;
  get(key: Key): Row | null;
  /** Rows whose fields equal those given, in the order of their keys; all without any. */
  list(where?: Partial<Row>): Row[];
  /** True when a row was there. */
  delete(key: Key): boolean;
}

/** Makes the repository of one table. */
export function openTable<Row extends object, Field extends keyof Row & string>(
  connection: Connection,
  spec: TableSpec<Row, Field>,
): Table<Row, Pick<Row, Field>> {
  const columns = Object.entries(spec.columns) as [keyof Row & string, ColumnKind][];
  const names = columns.map(([name]) => name);
  const put = `INSERT OR REPLACE INTO ${spec.name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
  const where = (fields: readonly string[]): string =>
    fields.length === 0 ? '' : ` WHERE ${fields.map((field) => `${field} IS ?`).join(' AND ')}`;
  const ofKey = where(spec.key);
  const documents = new Set<string>(columns.filter(([, kind]) => kind === 'document').map(([name]) => name));
  const toValue = (field: string, value: unknown): SQLInputValue =>
    documents.has(field) ? JSON.stringify(value ?? null) : (value as SQLInputValue);
  const toRow = (found: Record<string, unknown>): Row =>
    Object.fromEntries(
      columns.map(([name, kind]) => [name, kind === 'document' ? parse(found[name]) : found[name]]),
    ) as Row;
  return {
    put: (row) => {
      connection.run(
        put,
        names.map((name) => toValue(name, row[name])),
        spec.durability,
      );
    },
    get: (key) => {
      const found = connection.all(
        `SELECT * FROM ${spec.name}${ofKey}`,
        spec.key.map((field) => toValue(field, key[field])),
      );
      return found[0] === undefined ? null : toRow(found[0]);
    },
    list: (match = {}) => {
      // Names come from the row's type; the filter keeps any other text out of the SQL.
      const fields = names.filter((name) => match[name] !== undefined);
      const sql = `SELECT * FROM ${spec.name}${where(fields)} ORDER BY ${spec.key.join(', ')}`;
      return connection
        .all(
          sql,
          fields.map((field) => toValue(field, match[field])),
        )
        .map(toRow);
    },
    delete: (key) => {
      const sql = `DELETE FROM ${spec.name}${ofKey}`;
      return (
        connection.run(
          sql,
          spec.key.map((field) => toValue(field, key[field])),
          spec.durability,
        ) > 0
      );
    },
  };
}

function parse(text: unknown): unknown {
  return JSON.parse(String(text));
}
