// One look at the memory of a workload's processes: off the main thread, within bounds; a process that ends meanwhile is left out.
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import type { MemoryLook } from '../../behaviour/index.ts';
import { KIB } from '../../base/index.ts';
import { printable } from './printable.ts';
import { CODE_MAPPINGS_MAX, type CodeMapping, countChangedPages, parseCodeMappings } from './process-maps.ts';

/** Processes that one look reads. */
const PROCESSES_MAX = 32;
/** Text of mappings that is read of one process: some five thousand of them, which take about two milliseconds to parse. */
const MAPS_BYTES_MAX = 512 * KIB;
const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
/** Pages of code that are looked at in one process: 256 MiB of program files. */
const CODE_PAGES_MAX = 65_536;
const NAMES_MAX = 8;

/** What is looked at. */
export interface LookOptions {
  readonly pids: readonly number[];
  /** Whether to ask which memory was touched; the kernel goes through all of it, some 80 ms a GiB. */
  readonly countsTouched: boolean;
  /** Processes whose marks the look before took away: only what these touched since can be told. Those of this look are put in its place. */
  readonly marked: Set<number>;
}

/** Looks once. `touchedBytes` counts a page that two processes share twice. */
export async function lookAtMemory({ pids, countsTouched, marked }: LookOptions): Promise<MemoryLook> {
  const sum = { anonymousExecutableBytes: 0, writableExecutableBytes: 0, changedCodePages: 0 };
  const names = new Set<string>();
  let isWhole = pids.length <= PROCESSES_MAX;
  let touchedBytes = 0;
  const known = new Set(marked);
  marked.clear();
  for (const pid of pids.slice(0, PROCESSES_MAX)) {
    const found = await lookAtProcess(pid);
    if (found === null) continue;
    isWhole &&= found.isWhole;
    sum.anonymousExecutableBytes += found.anonymousExecutableBytes;
    sum.writableExecutableBytes += found.writableExecutableBytes;
    sum.changedCodePages += found.changedCodePages;
    if (found.name !== null) names.add(found.name);
    if (!countsTouched) continue;
    const bytes = await takeTouched(pid);
    if (bytes === null) continue;
    marked.add(pid);
    // All that a new process has, it has touched since.
    touchedBytes += bytes;
  }
  const touched = known.size > 0 && marked.size > 0 ? { touchedBytes } : {};
  return { ...sum, processes: [...names].slice(0, NAMES_MAX), ...touched, isWhole };
}

interface ProcessLook extends Pick<
  MemoryLook,
  'anonymousExecutableBytes' | 'writableExecutableBytes' | 'changedCodePages' | 'isWhole'
> {
  /** Null when nothing about it is to be told. */
  readonly name: string | null;
}

async function lookAtProcess(pid: number): Promise<ProcessLook | null> {
  try {
    const maps = await readBounded(`/proc/${pid}/maps`);
    const mappings = parseCodeMappings(maps.text);
    const sizeOf = (chosen: readonly CodeMapping[]): number =>
      chosen.reduce((sum, { start, end }) => sum + end - start, 0);
    const anonymous = mappings.filter(({ isAnonymous }) => isAnonymous);
    const changed = await changedPagesOf(pid, mappings);
    const writable = mappings.filter(({ isWritable }) => isWritable);
    const isTold = anonymous.length + writable.length + changed.pages > 0;
    return {
      anonymousExecutableBytes: sizeOf(anonymous),
      writableExecutableBytes: sizeOf(writable),
      changedCodePages: changed.pages,
      isWhole: maps.isWhole && changed.isWhole && mappings.length < CODE_MAPPINGS_MAX,
      name: isTold ? printable((await readFile(`/proc/${pid}/comm`, 'latin1')).trimEnd()) : null,
    };
  } catch {
    // It has ended: what it had counts no more.
    return null;
  }
}

/** Text of a file that may be longer than anybody wants to read. */
async function readBounded(path: string): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(64 * KIB);
  const parts: string[] = [];
  for (let bytes = 0; bytes < MAPS_BYTES_MAX;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return { text: parts.join(''), isWhole: true };
    parts.push(buffer.toString('latin1', 0, bytesRead));
    bytes += bytesRead;
  }
  return { text: parts.join(''), isWhole: false };
}

async function changedPagesOf(
  pid: number,
  mappings: readonly CodeMapping[],
): Promise<{ pages: number; isWhole: boolean }> {
  await using file = await open(`/proc/${pid}/pagemap`);
  let [left, pages] = [CODE_PAGES_MAX, 0];
  for (const { start, end } of mappings.filter(({ isAnonymous, isPrivate }) => !isAnonymous && isPrivate)) {
    const count = Math.min((end - start) / PAGE_BYTES, left);
    left -= count;
    pages += countChangedPages(await readEntries(file, { first: start / PAGE_BYTES, count }));
  }
  return { pages, isWhole: left > 0 };
}

async function readEntries(file: FileHandle, { first, count }: { first: number; count: number }): Promise<Buffer> {
  const buffer = Buffer.alloc(count * ENTRY_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, first * ENTRY_BYTES);
  return buffer.subarray(0, bytesRead);
}

/** Bytes of the pages that carry the mark of having been touched, which is taken away from them; null when the process has ended. */
async function takeTouched(pid: number): Promise<number | null> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1');
    await writeFile(`/proc/${pid}/clear_refs`, '1');
    return Number(/^Referenced: +(\d+) kB$/m.exec(text)?.[1] ?? 0) * KIB;
  } catch {
    // As above.
    return null;
  }
}
