// The writer of a hash-chained journal: entries are queued, written and made durable in groups, and acknowledged after that.
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { checkEntry, encodeRecord, nextHead } from './chain.ts';
import { makeJournalFile, makeJournalFolder, writeError } from './disk.ts';
import { checkRange, corrupt, emptyIndex, type JournalIndex, readEntries, scanRecords } from './journal-file.ts';
import { type Journal, type JournalEntry, type JournalReceipt, LedgerError } from './journal.ts';
import { takeWriterLock } from './writer-lock.ts';

/** How long an entry without `flush` may wait for company: short against a window (100 ms), long against a disk flush (1 ms). */
const BATCH_WAIT_MS = 20;

/** Entries in one write: bounds its memory to 4 MiB. A full queue does not wait for the timer. */
const BATCH_ENTRIES_MAX = 512;

const datasync = promisify(fdatasync);

/** Name of the file in the journal's folder. */
export const JOURNAL_FILE = 'journal';

interface Waiting {
  readonly line: Buffer;
  readonly resolve: (index: number) => void;
  readonly reject: (error: LedgerError) => void;
}

/**
 * Opens the journal in `dir` for writing, making it when it is not there. The end of a write that a crash cut short is
 * removed: it was never acknowledged.
 *
 * `append` rejects with LEDGER_ENTRY_TOO_LARGE or LEDGER_ENTRY_FORM for the one entry; with LEDGER_NO_SPACE or LEDGER_STOPPED the
 * journal has stopped, every later append gets LEDGER_STOPPED, and opening it again goes on after the last acknowledged entry.
 *
 * @throws LedgerError LEDGER_LOCKED, LEDGER_CORRUPT, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export function openJournal(dir: string): Promise<Journal> {
  return Promise.resolve().then(() => openLocked(dir));
}

function openLocked(dir: string): Journal {
  const file = join(dir, JOURNAL_FILE);
  makeJournalFolder(dir);
  const lock = takeWriterLock(join(dir, 'lock'));
  let fd: number | null = null;
  try {
    makeJournalFile(dir, file);
    fd = openSync(file, 'r+');
    return new HashChain({ file, fd, lock, index: recover(file, fd) });
  } catch (error) {
    if (fd !== null) closeSync(fd);
    lock[Symbol.dispose]();
    throw error instanceof LedgerError ? error : writeError(file, error);
  }
}

/** Reads the whole chain, cuts a torn tail, and makes what an earlier process may have left in memory durable. */
function recover(file: string, fd: number): JournalIndex {
  const index = emptyIndex();
  const { damage, tornBytes } = scanRecords(fd, index);
  if (damage !== null) throw corrupt(file, damage);
  if (tornBytes > 0) ftruncateSync(fd, index.end);
  fdatasyncSync(fd);
  return index;
}

interface OpenFile {
  readonly file: string;
  readonly fd: number;
  readonly lock: Disposable;
  readonly index: JournalIndex;
}

class HashChain implements Journal {
  readonly #open: OpenFile;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  #isFlushDue = false;
  #draining: Promise<void> | null = null;
  #stopped: LedgerError | null = null;

  constructor(open: OpenFile) {
    this.#open = open;
  }

  get size(): number {
    return this.#open.index.offsets.length;
  }

  append(line: Uint8Array, { flush }: { readonly flush: boolean }): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== null) throw stoppedSince(this.#stopped);
      checkEntry(line);
      // A copy: the caller may use its buffer again before the write.
      this.#waiting.push({ line: Buffer.from(line), resolve, reject });
      if (flush || this.#waiting.length >= BATCH_ENTRIES_MAX) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), BATCH_WAIT_MS);
    });
  }

  receipt(index: number): JournalReceipt {
    checkRange(index, this.size);
    return { index, size: this.size, head: this.#open.index.head };
  }

  read(from: number, limit: number): JournalEntry[] {
    if (this.#stopped?.details['closed'] === true) throw stoppedSince(this.#stopped);
    return readEntries({ ...this.#open, from, limit });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped?.details['closed'] === true) return;
    this.#stopped = new LedgerError('LEDGER_STOPPED', 'it was closed', { details: { closed: true } });
    this.#flush();
    await this.#draining;
    closeSync(this.#open.fd);
    this.#open.lock[Symbol.dispose]();
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    this.#isFlushDue = true;
    this.#draining ??= this.#drain();
  }

  /** Writes batches until no flush is due. What arrives during a write shares the next one. */
  async #drain(): Promise<void> {
    while (this.#isFlushDue && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_ENTRIES_MAX);
      this.#isFlushDue = this.#waiting.length > 0;
      await this.#writeBatch(batch);
    }
    this.#isFlushDue = false;
    this.#draining = null;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const { fd, file, index } = this.#open;
    const { records, head } = chainOf(index.head, batch);
    try {
      writeAll(fd, Buffer.concat(records), index.end);
      await datasync(fd);
    } catch (error) {
      this.#stop(writeError(file, error), batch);
      return;
    }
    for (const [at, { resolve }] of batch.entries()) {
      index.offsets.push(index.end);
      index.end += records[at]?.length ?? 0;
      resolve(index.offsets.length - 1);
    }
    index.head = head;
  }

  /** Nothing of the failed batch stays in the file, and nothing that waited behind it is tried: its order is lost. */
  #stop(error: LedgerError, batch: readonly Waiting[]): void {
    this.#stopped ??= error;
    cutBack(this.#open.fd, this.#open.index.end);
    for (const { reject } of [...batch, ...this.#waiting]) reject(error);
    this.#waiting = [];
  }
}

function chainOf(before: string, batch: readonly Waiting[]): { readonly records: Buffer[]; readonly head: string } {
  let head = before;
  const records = batch.map(({ line }) => {
    head = nextHead(head, line);
    return encodeRecord(head, line);
  });
  return { records, head };
}

function writeAll(fd: number, bytes: Buffer, offset: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(fd, bytes, written, bytes.length - written, offset + written);
  }
}

function cutBack(fd: number, end: number): void {
  try {
    ftruncateSync(fd, end);
  } catch {
    // The disk is failing: the next opening finds either a torn tail, or whole records whose writers were told that nobody
    // knows. Neither was acknowledged.
  }
}

function stoppedSince(cause: LedgerError): LedgerError {
  return new LedgerError('LEDGER_STOPPED', `the journal has stopped: ${cause.message}`, {
    exit: cause.exit,
    hint: cause.hint ?? 'Open the journal again.',
    cause,
  });
}
