// The writer of a log: entries become durable in batches, then parts of tiles under a signed checkpoint.
import { BatchQueue, stoppedSince } from './batch-queue.ts';
import { BatchSegments } from './batch-segments.ts';
import { writeError } from './disk.ts';
import { parseBundle } from './entry-bundle.ts';
import { type Journal, type JournalEntry, LedgerError, READ_ENTRIES_MAX } from './journal.ts';
import type { LogDisk } from './log-disk.ts';
import { type LogFiles, logFiles, readTile } from './log-files.ts';
import { type Published, type Recovered, recoverLog } from './log-recovery.ts';
import type { NoteSigner } from './note-key.ts';
import { encodeReceipt } from './receipt.ts';
import { type TileName, TILE_WIDTH, tileWidth } from './tile-name.ts';
import { TilePublisher } from './tile-publisher.ts';
import { openTileTree, type TileTree } from './tile-tree.ts';
import type { TreeEdge } from './tree-edge.ts';

/** What a log is opened with. */
export interface TileLogOptions {
  readonly dir: string;
  readonly disk: LogDisk;
  /** Signs checkpoints; its name is the log's origin. */
  readonly signer: NoteSigner;
  /** Refuses what the log does not take. @throws LedgerError */
  readonly check: (entry: Uint8Array) => void;
  /** The longest that an entry waits for its checkpoint; 0 publishes each batch. */
  readonly publishAfterMs: number;
  /** The shortest time between two times that tiles are made durable. */
  readonly settleAfterMs: number;
  /** Gives a new checkpoint with the cosignatures of witnesses, before it is published; null asks none. */
  readonly cosign: ((checkpoint: Buffer, log: TileLog) => Promise<Buffer>) | null;
}

/** A log that this process writes. */
export interface TileLog extends Journal {
  /** Entries under the published checkpoint. */
  readonly publishedSize: number;
  /** Publishes what is durable. */
  publish(): Promise<void>;
  /** That the published tree continues the one of `from` entries. @throws LedgerError LEDGER_RANGE */
  consistencyProof(from: number, to: number): Promise<Buffer[]>;
}

/**
 * Opens the log in `options.dir` for writing; `lock` is let go with it. Entries that were acknowledged are there, whatever ended the
 * writer before.
 *
 * `append` rejects with the error of `check` for the one entry; with LEDGER_NO_SPACE or LEDGER_STOPPED the log has stopped: every later
 * append gets LEDGER_STOPPED, what is there can be read, and opening it again goes on after the last acknowledged entry.
 *
 * @throws LedgerError LEDGER_CORRUPT when that cannot be shown, LEDGER_NO_SPACE, LEDGER_STOPPED
 */
export async function openTileLog(options: TileLogOptions, lock: Disposable): Promise<TileLog> {
  const files = logFiles(options.dir);
  try {
    const recovered = recoverLog(options.disk, files, options.signer.verifier);
    const log = new Writer({ ...options, files, lock }, recovered);
    await log.begin(recovered.torn);
    return log;
  } catch (error) {
    lock[Symbol.dispose]();
    throw asLedgerError(options.dir, error);
  }
}

interface WriterParts extends TileLogOptions {
  readonly files: LogFiles;
  readonly lock: Disposable;
}

class Writer implements TileLog {
  readonly #parts: WriterParts;
  readonly #edge: TreeEdge;
  readonly #queue: BatchQueue;
  readonly #segments: BatchSegments;
  readonly #publisher: TilePublisher;
  #isClosed = false;
  #published: Published;
  /** Entries that are durable, and not yet under a checkpoint. */
  readonly #unpublished: Buffer[];
  #timer: NodeJS.Timeout | null = null;
  #publishing: Promise<void> | null = null;
  #settling: Promise<void> | null = null;

  constructor(parts: WriterParts, { edge, published, unpublished, segments }: Recovered) {
    const { disk, files, signer, settleAfterMs, cosign } = parts;
    this.#parts = parts;
    this.#edge = edge;
    this.#published = published;
    this.#unpublished = [...unpublished];
    this.#segments = new BatchSegments(disk, files, { old: segments, until: edge.size });
    this.#publisher = new TilePublisher({
      disk,
      files,
      signer,
      segments: this.#segments,
      settleAfterMs,
      nowMs: () => performance.now(),
      cosign: (checkpoint) => (cosign === null ? Promise.resolve(checkpoint) : cosign(checkpoint, this)),
    });
    this.#queue = new BatchQueue((entries) => this.#write(entries));
  }

  get size(): number {
    return this.#published.size + this.#unpublished.length;
  }

  get publishedSize(): number {
    return this.#published.size;
  }

  /** Takes a write that was cut short away, and publishes all, also what is published: it may not have reached the disk before a power cut. */
  async begin(torn: Recovered['torn']): Promise<void> {
    const { disk, files } = this.#parts;
    if (torn !== null) disk.openAppend(files.segment(torn.first), torn.end)[Symbol.dispose]();
    const isAllPublished = this.#unpublished.length === 0 && this.#published.note.length > 0;
    if (isAllPublished) await this.#publisher.publish(this.#edge, this.#published.note);
    else await this.#publishEdge();
    await this.#publisher.settle();
    this.#publisher.mend(this.#edge);
  }

  append(line: Uint8Array, options: { readonly flush: boolean }): Promise<number> {
    return new Promise((resolve) => {
      this.#refuseClosed();
      this.#parts.check(line);
      resolve(this.#queue.push(line, options));
    });
  }

  read(from: number, limit: number): JournalEntry[] {
    this.#refuseClosed();
    const end = Math.min(this.size, from + Math.min(limit, READ_ENTRIES_MAX));
    const entries: JournalEntry[] = [];
    for (let at = Math.max(0, from); at < end; at += 1) {
      const { first, together } = this.#entriesWith(at);
      const until = Math.min(end, first + together.length);
      for (const bytes of together.slice(at - first, until - first))
        entries.push({ index: entries.length + from, bytes });
      at = until - 1;
    }
    return entries;
  }

  async receipt(index: number): Promise<Buffer> {
    this.#refuseClosed();
    if (index >= this.#published.size && index < this.size) await this.publish();
    const { size, note } = this.#published;
    return encodeReceipt({ index, proof: await this.#tree(size).inclusionProof(index), extra: null, checkpoint: note });
  }

  consistencyProof(from: number, to: number): Promise<Buffer[]> {
    return this.#tree(to).consistencyProof(from);
  }

  async publish(): Promise<void> {
    // One that is under way may have begun before the last batch.
    await this.#publishing?.catch(() => undefined);
    this.#cancelTimer();
    if (this.#queue.stopped !== null) throw stoppedSince(this.#queue.stopped);
    if (this.#unpublished.length === 0) return;
    this.#publishing ??= this.#publishEdge().finally(() => {
      this.#publishing = null;
    });
    await this.#publishing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#queue.drain();
    // What cannot be published now is when the log is opened again.
    await this.publish().catch(() => undefined);
    this.#cancelTimer();
    await this.#settling;
    if (this.#queue.stopped === null) await this.#settle();
    this.#segments[Symbol.dispose]();
    this.#parts.lock[Symbol.dispose]();
    this.#queue.stop(closed());
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw stoppedSince(closed());
  }

  /** The entries that lie in one place with entry `at`. */
  #entriesWith(at: number): { readonly first: number; readonly together: readonly Buffer[] } {
    const { size } = this.#published;
    if (at >= size) return { first: size, together: this.#unpublished };
    const index = Math.floor(at / TILE_WIDTH);
    const width = tileWidth(size, 'entries', index);
    return { first: index * TILE_WIDTH, together: parseBundle(this.#tile({ level: 'entries', index, width }), width) };
  }

  #tile(name: TileName): Buffer {
    return readTile(this.#parts.disk, this.#parts.files, name);
  }

  #tree(size: number): TileTree {
    return openTileTree((name) => Promise.resolve(this.#tile(name)), size);
  }

  async #write(entries: readonly Buffer[]): Promise<number> {
    const first = this.size;
    await this.#segments.write({ first, entries }).catch((error: unknown) => {
      throw asLedgerError(this.#parts.dir, error);
    });
    for (const entry of entries) {
      this.#edge.add(entry);
      this.#unpublished.push(entry);
    }
    // Whoever waits for the checkpoint gets the error; a log that cannot publish takes nothing any more.
    this.#timer ??= setTimeout(() => void this.publish().catch(() => undefined), this.#parts.publishAfterMs);
    return first;
  }

  #cancelTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #publishEdge(): Promise<void> {
    const before = this.#published.size;
    try {
      this.#published = await this.#publisher.publish(this.#edge);
    } catch (error) {
      const stop = asLedgerError(this.#parts.dir, error);
      this.#queue.stop(stop);
      throw stop;
    }
    this.#unpublished.splice(0, this.#published.size - before);
    if (this.#settling === null && this.#publisher.isSettlingDue) this.#settling = this.#settle();
  }

  async #settle(): Promise<void> {
    try {
      await this.#publisher.settle();
    } catch (error) {
      this.#queue.stop(asLedgerError(this.#parts.dir, error));
    }
    this.#settling = null;
  }
}

function closed(): LedgerError {
  return new LedgerError('LEDGER_STOPPED', 'it was closed');
}

function asLedgerError(dir: string, error: unknown): LedgerError {
  return error instanceof LedgerError ? error : writeError(dir, error);
}
