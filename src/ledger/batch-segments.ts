// The files in which batches lie until tiles hold their entries.
import type { AppendFile, LogDisk } from './log-disk.ts';
import type { LogFiles } from './log-files.ts';
import { type Batch, encodeBatch } from './write-ahead.ts';

interface Segment {
  readonly file: AppendFile;
  readonly first: number;
  bytes: number;
  /** Index after the last entry that was, or is being, written. */
  until: number;
}

interface OldSegment {
  readonly first: number;
  /** Index after its last entry. */
  readonly until: number;
}

/** Batches of one log, in files of some MiB each. Errors are those of the disk. */
export class BatchSegments implements Disposable {
  readonly #disk: LogDisk;
  readonly #files: LogFiles;
  #old: OldSegment[];
  #current: Segment | null = null;
  #isNextDue = false;

  /** @param old first entries of segments that are there, all before entry `until` */
  constructor(
    disk: LogDisk,
    files: LogFiles,
    { old, until }: { readonly old: readonly number[]; readonly until: number },
  ) {
    this.#disk = disk;
    this.#files = files;
    this.#old = old.map((first) => ({ first, until }));
  }

  /** Bytes of the segment that is written. */
  get bytes(): number {
    return this.#current?.bytes ?? 0;
  }

  /** Makes a batch durable, or leaves nothing of it, as far as the disk lets. */
  async write(batch: Batch): Promise<void> {
    const segment = this.#isNextDue || this.#current === null ? this.#openNext(batch.first) : this.#current;
    segment.until = batch.first + batch.entries.length;
    const bytes = encodeBatch(batch);
    try {
      segment.file.append(bytes);
      await segment.file.sync();
    } catch (error) {
      cutBack(segment);
      throw error;
    }
    segment.bytes += bytes.length;
  }

  /** The next batch begins a new segment. */
  end(): void {
    this.#isNextDue = true;
  }

  /** Removes the segments of which tiles hold every entry, now that those below `size` are in durable ones. */
  removeUntil(size: number): void {
    for (const { first, until } of this.#old) if (until <= size) this.#disk.remove(this.#files.segment(first));
    this.#old = this.#old.filter(({ until }) => until > size);
    if (!this.#isNextDue || this.#current === null || this.#current.until > size) return;
    const { first } = this.#current;
    this[Symbol.dispose]();
    this.#disk.remove(this.#files.segment(first));
  }

  [Symbol.dispose](): void {
    this.#current?.file[Symbol.dispose]();
    this.#current = null;
  }

  #openNext(first: number): Segment {
    if (this.#current !== null) this.#old.push(this.#current);
    this[Symbol.dispose]();
    this.#isNextDue = false;
    // One of the same name holds entries that tiles have, or none: it is not needed any more.
    this.#old = this.#old.filter((segment) => segment.first !== first);
    this.#current = { file: this.#disk.openAppend(this.#files.segment(first), 0), first, bytes: 0, until: first };
    return this.#current;
  }
}

function cutBack({ file, bytes }: Segment): void {
  try {
    file.cutTo(bytes);
  } catch {
    // The disk is failing: the next opening finds either a torn end, or a whole batch whose writers were told that nobody
    // knows. Neither was acknowledged.
  }
}
