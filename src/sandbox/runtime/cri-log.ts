// The workload's own output, as conmon keeps it: one line an entry, in the CRI log form, bounded by starting over.
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errnoOf, KIB } from '../../base/index.ts';

/** One line that a workload wrote. */
export interface LogLine {
  /** RFC 3339 with nanoseconds, in the host's zone, as conmon wrote it. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  /** True when the line goes on in the next entry of this stream. */
  readonly isPartial: boolean;
}

export interface ReadLogOptions {
  /** Wait for more until `signal` is aborted. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

const CHUNK_BYTES = 64 * KIB;
/** conmon cuts lines at 16 KiB; an entry longer than this is not one of its, and is dropped. */
const ENTRY_BYTES_MAX = 64 * KIB;

/**
 * Reads a log from its beginning. conmon starts the file over when it is full: a reader that follows goes on with the new
 * one; what was in the old one and not yet read is gone. A log that does not exist is empty.
 */
export async function* readCriLog(path: string, options: ReadLogOptions = {}): AsyncGenerator<LogLine, void, void> {
  using changes = options.follow === true ? watchLog(path, options.signal) : null;
  let log: OpenLog | null = null;
  let isLastPass = changes === null;
  try {
    for (;;) {
      const next: OpenLog | null = await openIfNew(path, log?.inode);
      if (next !== null) {
        // The old file is finished first: it may hold lines that were written between our last read and the change.
        if (log !== null) yield* readEntries(log);
        await log?.file.close();
        log = next;
      }
      if (log !== null) yield* readEntries(log);
      if (isLastPass || changes === null) return;
      isLastPass = !(await changes.next());
    }
  } finally {
    await log?.file.close();
  }
}

interface OpenLog {
  readonly file: FileHandle;
  readonly inode: number;
  readonly buffer: EntryBuffer;
}

async function* readEntries(log: OpenLog): AsyncGenerator<LogLine, void, void> {
  for (;;) {
    const { bytesRead, buffer: chunk } = await log.file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, null);
    if (bytesRead === 0) return;
    for (const entry of log.buffer.push(chunk.subarray(0, bytesRead))) {
      const line = parseCriEntry(entry);
      if (line !== null) yield line;
    }
  }
}

/** Cuts bytes into entries; holds the unfinished last one. */
class EntryBuffer {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): string[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const entries: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(0x0a, from); end >= 0; end = bytes.indexOf(0x0a, from)) {
      entries.push(bytes.toString('utf8', from, end));
      from = end + 1;
    }
    this.#rest = bytes.length - from > ENTRY_BYTES_MAX ? Buffer.alloc(0) : Buffer.from(bytes.subarray(from));
    return entries;
  }
}

/** One entry: `<time> <stream> <F|P> <text>`; null when it is not one. */
export function parseCriEntry(entry: string): LogLine | null {
  const match = /^(\d{4}-\d\d-\d\dT[0-9:.]{8,18}(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP]) ?/.exec(entry);
  if (match === null) return null;
  const [head, time = '', stream, tag] = match;
  return {
    time,
    stream: stream === 'stderr' ? 'stderr' : 'stdout',
    text: entry.slice(head.length),
    isPartial: tag === 'P',
  };
}

async function openIfNew(path: string, known: number | undefined): Promise<OpenLog | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  const inode = (await file.stat()).ino;
  if (inode !== known) return { file, inode, buffer: new EntryBuffer() };
  await file.close();
  return null;
}

interface Changes extends Disposable {
  /** Resolves true at the next change since the last call, false when the reader is told to stop. */
  next(): Promise<boolean>;
}

/** Watches the folder, since the file itself is replaced. */
function watchLog(path: string, signal: AbortSignal | undefined): Changes {
  const name = basename(path);
  // A signal that was given before says nothing any more: what is there is read, and that is all.
  let isChanged = signal?.aborted === true;
  let wake: (() => void) | null = null;
  const notify = (): void => {
    isChanged = true;
    wake?.();
  };
  const watcher: FSWatcher = watch(dirname(path), { persistent: true }, (_event, changed) => {
    if (changed === null || changed === name) notify();
  });
  signal?.addEventListener('abort', notify, { once: true });
  return {
    async next() {
      if (!isChanged) await new Promise<void>((resolve) => (wake = resolve));
      isChanged = false;
      wake = null;
      return signal?.aborted !== true;
    },
    [Symbol.dispose]: () => {
      signal?.removeEventListener('abort', notify);
      watcher.close();
    },
  };
}
