// Logs of their own, for others: any bytes, each entry once, served as static files, cosigned by witnesses.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus } from '../base/index.ts';
import { AdmissionQueue, type Admit } from './admission-queue.ts';
import { stoppedSince } from './batch-queue.ts';
import { makeJournalFolder, writeError } from './disk.ts';
import { type DuplicateIndex, openDuplicateIndex } from './duplicate-index.ts';
import { type JournalEntry, LedgerError } from './journal.ts';
import { openHostDisk } from './log-disk.ts';
import {
  checkOrigin,
  type EntryForm,
  formOf,
  type LogFormat,
  readLogFormat,
  refuseOther,
  saveLogFormat,
} from './log-format.ts';
import { hasKey, makeKey, PUBLIC_KEY_FILE, readKey } from './log-key.ts';
import { parseSignerKey } from './note-key.ts';
import { openTileLog, type TileLog } from './tile-log.ts';
import { type WitnessAddress, WitnessClient } from './witness-client.ts';
import { takeWriterLock } from './writer-lock.ts';

const SETTLE_AFTER_MS = 1000;
/** A checkpoint covers what was acknowledged within this: many batches of a busy log, and a fraction of a second of a quiet one. */
const PUBLISH_AFTER_MS = 50;
/**
 * Hashes fall on all pages of the index, so that a commit writes nearly a page for each: few at a time, or the log stands still
 * for as long as callers may wait.
 */
const KEPT_TOGETHER = 1024;
const KEEP_AFTER_MS = 1000;
/** Entries that are read at once to bring the index of duplicates up to date. */
const CATCH_UP_ENTRIES = 1024;

/** A log that this process writes for others. */
export interface PublicLog extends AsyncDisposable {
  readonly origin: string;
  readonly size: number;
  /** Resolves to the entry's index once it is durable: that of the first, when it is there already. */
  add(entry: Uint8Array): Promise<number>;
  /** The index of the entry with this key, of those that are durable: what its format knows an entry by, mostly its leaf hash. */
  find(key: Uint8Array): number | null;
  read(from: number, limit: number): JournalEntry[];
  receipt(index: number): Promise<Buffer>;
}

/** How a log is served. */
export interface PublicLogOptions {
  readonly dir: string;
  readonly witnesses: readonly WitnessAddress[];
  /** Witnesses that must have cosigned a checkpoint before it is published. */
  readonly quorum: number;
  /** Asked for each entry that is not there yet; without it the log takes any. */
  readonly admit?: Admit;
}

/**
 * Makes a log in `dir`, with a key of its own.
 *
 * @returns its public key: NAME+ID+BASE64
 * @throws LedgerError LEDGER_EXISTS, LEDGER_FORMAT, LEDGER_KEY, LEDGER_LOCKED, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function makePublicLog(dir: string, origin: string, format: LogFormat = 'raw'): string {
  checkOrigin(format, origin);
  makeJournalFolder(dir);
  using _lock = takeWriterLock(join(dir, 'lock'));
  if (hasKey(dir) || existsSync(join(dir, 'state'))) {
    refuseOther(dir, format);
    throw new LedgerError('LEDGER_EXISTS', `there is a log in ${dir}`, {
      exit: exitStatus.usage,
      hint: `Serve it with provost log serve ${dir}, or give another folder.`,
    });
  }
  // Before the key: a log with one takes what its format says, and nothing else.
  saveLogFormat(dir, format);
  return makeKey(dir, origin);
}

/** The public key of the log in `dir`; null when there is none. */
export function publicKeyOf(dir: string): string | null {
  const file = join(dir, PUBLIC_KEY_FILE);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/**
 * Opens a log that {@link makePublicLog} made, for writing.
 *
 * @throws LedgerError LEDGER_LOCKED, LEDGER_CORRUPT, LEDGER_KEY, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export async function openPublicLog({ dir, witnesses, quorum, admit }: PublicLogOptions): Promise<PublicLog> {
  const signer = parseSignerKey(readKey(dir));
  const ended = new AbortController();
  const client = new WitnessClient();
  const cosign = (checkpoint: Buffer, log: TileLog): Promise<Buffer> => {
    const proof = (from: number, to: number): Promise<Buffer[]> => log.consistencyProof(from, to);
    return client.cosign(checkpoint, { witnesses, quorum, proof, signal: ended.signal });
  };
  const lock = takeWriterLock(join(dir, 'lock'));
  const { check, keyOf } = formOf(readLogFormat(dir));
  const options = {
    dir,
    disk: openHostDisk(),
    signer,
    check,
    publishAfterMs: PUBLISH_AFTER_MS,
    settleAfterMs: SETTLE_AFTER_MS,
  };
  const log = await openTileLog({ ...options, cosign: witnesses.length === 0 ? null : cosign }, lock);
  const indexFile = join(dir, 'duplicates.sqlite');
  const admission = admit === undefined ? null : new AdmissionQueue(admit);
  const facts = { origin: signer.name, indexFile, ended, admission, check, keyOf };
  return new UniqueLog(log, openDuplicateIndex(indexFile), facts);
}

interface Facts {
  readonly origin: string;
  readonly check: EntryForm['check'];
  readonly keyOf: EntryForm['keyOf'];
  readonly indexFile: string;
  readonly ended: AbortController;
  readonly admission: AdmissionQueue | null;
}

class UniqueLog implements PublicLog {
  readonly origin: string;
  readonly #log: TileLog;
  readonly #index: DuplicateIndex;
  readonly #facts: Facts;
  /** Why the index is not used any more: without it an entry could get in twice. */
  #failed: LedgerError | null = null;
  /** Entries that are on their way, by their leaf hash. */
  readonly #pending = new Map<string, Promise<number>>();
  /** Entries that are in the index, and not kept yet. */
  #unkept = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: TileLog, index: DuplicateIndex, facts: Facts) {
    this.origin = facts.origin;
    this.#facts = facts;
    this.#log = log;
    this.#index = index;
    for (let entries = this.#missing(); entries.length > 0; entries = this.#missing()) {
      for (const { bytes } of entries) index.add(facts.keyOf(bytes));
      index.keep();
    }
  }

  #missing(): JournalEntry[] {
    return this.#log.read(this.#index.size, CATCH_UP_ENTRIES);
  }

  get size(): number {
    return this.#log.size;
  }

  add(entry: Uint8Array): Promise<number> {
    const leafHash = this.#facts.keyOf(entry);
    const key = leafHash.toString('latin1');
    const known = this.#pending.get(key);
    if (known !== undefined) return known;
    const found = this.#withIndex((index) => index.find(leafHash));
    if (this.#failed !== null) return Promise.reject(stoppedSince(this.#failed));
    if (found !== null) return Promise.resolve(found);
    const added = this.#enter(entry, leafHash).finally(() => this.#pending.delete(key));
    this.#pending.set(key, added);
    return added;
  }

  async #enter(entry: Uint8Array, leafHash: Buffer): Promise<number> {
    const { admission } = this.#facts;
    if (admission === null) return this.#append(entry, leafHash);
    this.#facts.check(entry);
    // A copy: the caller may use its buffer again before the answer.
    const bytes = Buffer.from(entry);
    await admission.ask(bytes);
    return this.#append(bytes, leafHash);
  }

  #append(entry: Uint8Array, leafHash: Buffer): Promise<number> {
    return this.#log.append(entry, { flush: true }).then((index) => {
      // Promises of one batch settle in the order of their indexes, so that this is the order of the log.
      this.#withIndex((entries) => entries.add(leafHash));
      this.#unkept += 1;
      if (this.#unkept >= KEPT_TOGETHER) this.#keep();
      else this.#timer ??= setTimeout(() => this.#keep(), KEEP_AFTER_MS);
      return index;
    });
  }

  find(key: Uint8Array): number | null {
    const found = this.#withIndex((index) => index.find(key));
    if (this.#failed !== null) throw stoppedSince(this.#failed);
    return found;
  }

  read(from: number, limit: number): JournalEntry[] {
    return this.#log.read(from, limit);
  }

  receipt(index: number): Promise<Buffer> {
    return this.#log.receipt(index);
  }

  #keep(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#unkept = 0;
    this.#withIndex((index) => index.keep());
  }

  /** Uses the index, or remembers that it cannot be used: the next opening makes up from the log what it lacks. */
  #withIndex<Result>(use: (index: DuplicateIndex) => Result): Result | null {
    if (this.#failed !== null) return null;
    try {
      return use(this.#index);
    } catch (error) {
      this.#failed = writeError(this.#facts.indexFile, error);
      return null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#facts.ended.abort();
    await this.#log[Symbol.asyncDispose]();
    this.#keep();
    this.#index[Symbol.dispose]();
  }
}
