// Entries that wait to become durable, written in batches: what arrives during a write shares the next one.
import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import { BATCH_ENTRIES_MAX } from './write-ahead.ts';

/** How long an entry without `flush` may wait for company: short against a window (100 ms), long against a disk flush (1 ms). */
const BATCH_WAIT_MS = 20;
/** Bytes of one batch; its last entry may go beyond. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes that wait to be written before more are refused. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;

interface Waiting {
  readonly entry: Buffer;
  readonly resolve: (index: number) => void;
  readonly reject: (error: LedgerError) => void;
}

/** Makes a batch durable, and gives the index of its first entry. Rejects with the error that stops the queue. */
export type WriteBatch = (entries: readonly Buffer[]) => Promise<number>;

/** A queue of one log. Once stopped it takes nothing any more. */
export class BatchQueue {
  readonly #write: WriteBatch;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #isFlushDue = false;
  #draining: Promise<void> | null = null;
  #stopped: LedgerError | null = null;

  constructor(write: WriteBatch) {
    this.#write = write;
  }

  /** Why it has stopped; null while it goes on. */
  get stopped(): LedgerError | null {
    return this.#stopped;
  }

  /** Resolves to the entry's index once it is durable. The order of indexes is the order of calls. */
  push(entry: Uint8Array, { flush }: { readonly flush: boolean }): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== null) throw stoppedSince(this.#stopped);
      if (this.#waitingBytes > WAITING_BYTES_MAX) throw overloaded();
      // A copy: the caller may use its buffer again before the write.
      this.#waiting.push({ entry: Buffer.from(entry), resolve, reject });
      this.#waitingBytes += entry.length;
      if (flush || this.#waiting.length >= BATCH_ENTRIES_MAX) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), BATCH_WAIT_MS);
    });
  }

  /** Nothing that waits is tried: its order is lost. */
  stop(error: LedgerError): void {
    this.#stopped ??= error;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Writes what waits. */
  async drain(): Promise<void> {
    this.#flush();
    await this.#draining;
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    this.#isFlushDue = true;
    this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#isFlushDue && this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      this.#isFlushDue = this.#waiting.length > 0;
      await this.#writeBatch(batch);
    }
    this.#isFlushDue = false;
    this.#draining = null;
  }

  #takeBatch(): Waiting[] {
    let [count, bytes] = [0, 0];
    while (count < this.#waiting.length && count < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX) {
      bytes += this.#waiting[count]?.entry.length ?? 0;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const first = await this.#write(batch.map(({ entry }) => entry));
      for (const [at, { resolve }] of batch.entries()) resolve(first + at);
    } catch (error) {
      const stop = error as LedgerError;
      for (const { reject } of batch) reject(stop);
      this.stop(stop);
    }
  }
}

/** The error of whatever is asked of a log that has stopped. */
export function stoppedSince(cause: LedgerError): LedgerError {
  return new LedgerError('LEDGER_STOPPED', `the log has stopped: ${cause.message}`, {
    exit: cause.exit,
    hint: cause.hint ?? 'Open the log again.',
    cause,
  });
}

function overloaded(): LedgerError {
  return new LedgerError('LEDGER_BUSY', `more than ${WAITING_BYTES_MAX} bytes wait to be written`, {
    exit: exitStatus.unavailable,
    hint: 'Send less at a time, and wait for the indexes.',
  });
}
