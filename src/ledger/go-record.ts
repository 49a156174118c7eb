// Records of Go's checksum database: a module's two lines of go.sum. @source https://go.dev/design/25530-sumdb
import { hash } from 'node:crypto';

import { exitStatus } from '../base/index.ts';
import { faultOfModule, type GoModule } from './go-module.ts';
import { LedgerError } from './journal.ts';
import { decodeBase64 } from './signed-note.ts';
import { HASH_BYTES, hashLeaf } from './tree-hash.ts';

const RECORD_BYTES_MAX = 4096;
const HASH_MARK = 'h1:';

/**
 * Parses a record: `<path> <version> h1:<hash>` and `<path> <version>/go.mod h1:<hash>`, each line with its break.
 *
 * @throws LedgerError LEDGER_RECORD
 */
export function parseGoRecord(bytes: Uint8Array): GoModule {
  if (bytes.length > RECORD_BYTES_MAX) throw badRecord(`it has more than ${RECORD_BYTES_MAX} bytes`);
  // What is not ASCII is in no record, whatever it decodes to.
  const [zip = '', goMod = '', ...rest] = Buffer.from(bytes).toString('latin1').split('\n');
  const [path = '', version = '', ...zipHash] = zip.split(' ');
  const isForm = rest.length === 1 && rest[0] === '' && goMod.startsWith(`${path} ${version}/go.mod `);
  if (!isForm) throw badRecord('it is not the two lines of one module at one version');
  const fault = faultOfModule({ path, version });
  if (fault !== null) throw badRecord(`the module is not canonical: ${fault}`);
  if (!isHash(zipHash.join(' ')) || !isHash(goMod.slice(path.length + version.length + '/go.mod'.length + 2)))
    throw badRecord('a hash in it is not h1: and a SHA-256 in base64');
  return { path, version };
}

/** Refuses what is no record. @throws LedgerError LEDGER_RECORD */
export function checkGoRecord(bytes: Uint8Array): void {
  parseGoRecord(bytes);
}

/** By what a log knows a record that it has: one module at one version has one. What is no record is known by itself. */
export function goRecordKey(bytes: Uint8Array): Buffer {
  try {
    return goModuleKey(parseGoRecord(bytes));
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return hashLeaf(bytes);
  }
}

/** The key of a module's record. */
export function goModuleKey({ path, version }: GoModule): Buffer {
  return hash('sha256', `${path}@${version}`, 'buffer');
}

function isHash(text: string): boolean {
  return text.startsWith(HASH_MARK) && decodeBase64(text.slice(HASH_MARK.length))?.length === HASH_BYTES;
}

function badRecord(why: string): LedgerError {
  return new LedgerError('LEDGER_RECORD', `the record cannot be taken: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Send the two lines of go.sum for one module at one version, and nothing else.',
  });
}
