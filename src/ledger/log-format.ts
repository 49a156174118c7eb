// Which entries a log takes: said in a file of its folder, once for all.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus } from '../base/index.ts';
import { saveWhole } from './disk.ts';
import { checkBytes, checkEntry } from './entry-form.ts';
import { checkGoRecord, goRecordKey } from './go-record.ts';
import { LedgerError } from './journal.ts';
import { hashLeaf } from './tree-hash.ts';

/**
 * `provost`: leaves of verified envelopes, which the writer makes; `raw`: any bytes; `gosum`: records of Go's checksum database.
 */
export const logFormats = ['provost', 'raw', 'gosum'] as const;
export type LogFormat = (typeof logFormats)[number];

/** What a log takes, and by what it knows that it has an entry already. */
export interface EntryForm {
  /** @throws LedgerError */
  readonly check: (entry: Uint8Array) => void;
  readonly keyOf: (entry: Uint8Array) => Buffer;
}

const FORMAT_FILE = 'format';
/** A host, and a path where there is one. @source Go, cmd/go/internal/modfetch/sumdb.go */
const DATABASE_NAME = /^[A-Za-z\d](?:[\w.-]*[A-Za-z\d])?(?::\d{1,5})?(?:\/[\w.~-]+)*$/;

const forms: Readonly<Record<LogFormat, EntryForm>> = {
  provost: { check: checkEntry, keyOf: hashLeaf },
  raw: { check: checkBytes, keyOf: hashLeaf },
  gosum: { check: checkGoRecord, keyOf: goRecordKey },
};

/** What a log of this format takes. */
export function formOf(format: LogFormat): EntryForm {
  return forms[format];
}

/** Refuses a name under which the go command would not use a checksum database. @throws LedgerError LEDGER_KEY */
export function checkOrigin(format: LogFormat, origin: string): void {
  if (format !== 'gosum' || DATABASE_NAME.test(origin)) return;
  throw new LedgerError('LEDGER_KEY', 'the go command takes no checksum database of this name', {
    exit: exitStatus.usage,
    hint: 'Name it as a host, with a path where you like: sum.example.com or example.com/sum.',
  });
}

/** Parses the name of a format. @throws LedgerError LEDGER_FORMAT */
export function parseLogFormat(text: string): LogFormat {
  const format = logFormats.find((name) => name === text);
  if (format !== undefined) return format;
  throw new LedgerError('LEDGER_FORMAT', `${JSON.stringify(text.slice(0, 40))} is no format of a log`, {
    exit: exitStatus.usage,
    hint: `Give one of ${logFormats.join(', ')}.`,
  });
}

/** The format of the log in `dir`; one that says none takes any bytes. @throws LedgerError LEDGER_FORMAT for one that is not known here */
export function readLogFormat(dir: string): LogFormat {
  const file = join(dir, FORMAT_FILE);
  return existsSync(file) ? parseLogFormat(readFileSync(file, 'utf8').replace(/\n$/, '')) : 'raw';
}

/** Says the format of a log that is being made, durably. Only the holder of the writer's lock may. @throws LedgerError LEDGER_NO_SPACE, LEDGER_STOPPED */
export function saveLogFormat(dir: string, format: LogFormat): void {
  saveWhole(join(dir, FORMAT_FILE), `${format}\n`, 0o644);
}

/** Says the format of a log that may have been made before logs said theirs. @throws as {@link saveLogFormat}; LEDGER_FORMAT when it has another */
export function claimLogFormat(dir: string, format: LogFormat): void {
  if (existsSync(join(dir, FORMAT_FILE))) refuseOther(dir, format);
  else saveLogFormat(dir, format);
}

/** @throws LedgerError LEDGER_FORMAT when the log in `dir` has another format */
export function refuseOther(dir: string, format: LogFormat): void {
  const found = readLogFormat(dir);
  if (found === format) return;
  throw new LedgerError('LEDGER_FORMAT', `the log in ${dir} has the format ${found}, not ${format}`, {
    exit: exitStatus.usage,
    hint: 'A log keeps its format: give another folder.',
  });
}
