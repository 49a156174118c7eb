// Entries about which somebody decides whether they may enter a log, before they wait to be written.
import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';

/**
 * Questions that are asked at a time. Node's pool of threads answers them, and syncs batches too: so few that a sync waits some
 * milliseconds, and so many that the threads have work while the main one writes tiles.
 */
const ASKED_AT_ONCE = 64;
/** Bytes that wait for an answer before more are refused. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** What waits with an entry, however short it is: promises, and whoever sent it. */
const WAITING_BYTES_EACH = 1024;

/** Resolves when an entry may enter the log, and rejects with why it may not. Its bytes do not change until then. */
export type Admit<Answer = void> = (entry: Buffer) => Promise<Answer>;

/** Asks about the entries of one log, in the order of calls; the answers come in any order. */
export class AdmissionQueue<Answer = void> {
  readonly #admit: Admit<Answer>;
  /** Turns that are waited for, from index `#given` on. */
  readonly #waiting: (() => void)[] = [];
  #given = 0;
  #waitingBytes = 0;
  #asked = 0;

  constructor(admit: Admit<Answer>) {
    this.#admit = admit;
  }

  /** Resolves to the answer when the entry may enter. @throws what {@link Admit} throws; LedgerError LEDGER_BUSY */
  async ask(entry: Buffer): Promise<Answer> {
    if (this.#waitingBytes > WAITING_BYTES_MAX) throw overloaded();
    const bytes = entry.length + WAITING_BYTES_EACH;
    this.#waitingBytes += bytes;
    if (this.#asked < ASKED_AT_ONCE) this.#asked += 1;
    // Whoever has its answer gives its turn on.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#admit(entry);
    } finally {
      this.#waitingBytes -= bytes;
      this.#giveTurn();
    }
  }

  #giveTurn(): void {
    const next = this.#waiting[this.#given];
    if (next === undefined) {
      this.#asked -= 1;
      return;
    }
    next();
    this.#given += 1;
    // Seldom: taking the first of many away moves the others.
    if (this.#given * 2 <= this.#waiting.length) return;
    this.#waiting.splice(0, this.#given);
    this.#given = 0;
  }
}

function overloaded(): LedgerError {
  return new LedgerError('LEDGER_BUSY', `entries of more than ${WAITING_BYTES_MAX} bytes wait for their admission`, {
    exit: exitStatus.unavailable,
    hint: 'Send less at a time, and wait for the indexes.',
  });
}
